/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * child.h - run a program, hear its lines, learn how it ended. Loop thread.
 *
 * The child gets /dev/null as input, no signal blocked, a process group of its own, and no
 * descriptor of ours. Its stdout comes line by line; of its stderr the last line is kept,
 * which by the house rule is the reason of a failure. When it ends, its whole group is
 * killed: helpers that it left behind go with it.
 */
#ifndef LZ_DAEMON_CHILD_H
#define LZ_DAEMON_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "daemon/loop/loop.h"

#define CHILD_LINE_MAX 1024	/* longer lines are cut */

struct child;

struct child_result {
	int exit_code;		/* -1: killed by `signo` */
	int signo;
	bool timed_out, killed;	/* by us */
	char error[CHILD_LINE_MAX];	/* last line of stderr, or "" */
};

struct child_opts {
	const char *const *argv;	/* argv[0]: path of the program; borrowed for the call */
	uint32_t timeout_ms;		/* 0: none */
	void (*line)(void *arg, const char *line);	/* may be NULL */
	void (*exited)(void *arg, const struct child_result *r);	/* once; child is gone */
	void *arg;
};

/* On failure exited() is not called. */
int child_start(struct loop *loop, const struct child_opts *opts, struct child **ret,
		struct err *err);
/* Ends it now; exited() follows from the loop. */
void child_kill(struct child *c);
/* Kills it and forgets it without a call. */
void child_free(struct child *c);

#endif
