/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keep.h - the guardian's state: descriptors by name, and whether a daemon is there. */
#ifndef LZ_DAEMON_GUARDIAN_KEEP_H
#define LZ_DAEMON_GUARDIAN_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/guardian/proto.h"
#include "daemon/kernel/journal.h"

#define KEEP_NAMES_MAX 64
#define KEEP_CLIENTS_MAX 8
#define KEEP_GRACE_DEFAULT_MS 30000u
#define KEEP_GRACE_MAX_MS 86400000u

struct keep_entry {
	char name[GUARDIAN_NAME_SIZE];	/* empty: free */
	int fd;
};

struct keep_client {
	int sock;			/* -1: free */
	bool daemon;			/* said HELLO */
};

struct keep {
	struct keep_entry entries[KEEP_NAMES_MAX];
	struct keep_client clients[KEEP_CLIENTS_MAX];
	uint32_t grace_ms;
	uint64_t absent_since_ms;	/* no daemon has served since */
	bool served;			/* the present daemon said SERVING */
};

void keep_init(struct keep *k);
/* Accept a connection; only root's. */
void keep_client_add(struct keep *k, int listen_sock);
/* One message of client c is there (or its end). */
void keep_client_serve(struct keep *k, struct keep_client *c);
bool keep_has_daemon(const struct keep *k);
bool keep_is_idle(const struct keep *k);	/* nothing kept, nobody connected */
int keep_fd(const struct keep *k, const char *name);	/* borrowed, or -1 */

/*
 * deny.c: answer for the absent daemon: what it had read and not answered, and what waits
 * in the queue of group n; all EIO. Returns the number of events denied.
 */
unsigned deny_pending(const struct keep *k, uint32_t n);

void guardian_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
