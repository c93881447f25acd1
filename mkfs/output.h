/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * output.h - a file that is either whole or not there.
 *
 * A path is written as PATH.tmpXXXXXX in the same directory and renamed on commit. A
 * descriptor path (/dev/fd/N, /proc/self/fd/N) cannot be renamed over: it is emptied first,
 * and emptied again on abort.
 */
#ifndef LZ_MKFS_OUTPUT_H
#define LZ_MKFS_OUTPUT_H

#include "base/err.h"

struct output {
	const char *path;	/* borrowed */
	char *tmp;		/* NULL: a descriptor path */
	int fd;			/* read and write, close-on-exec */
};

#define OUTPUT_INIT { .fd = -1 }

int output_open(struct output *o, const char *path, struct err *err);
/* Contents must have been fsynced by whoever wrote them; syncs the directory. */
int output_commit(struct output *o, struct err *err);
/* No-op after commit and on OUTPUT_INIT. */
void output_abort(struct output *o);

#endif
