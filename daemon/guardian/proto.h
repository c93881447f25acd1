/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * proto.h - what the daemon and the guardian say to each other on RUN_DIR/guardian.sock.
 *
 * Unix SOCK_SEQPACKET; each message is one struct guardian_msg, each request gets one
 * reply with the same op. PUT carries one descriptor with the request, GET one with the
 * reply (SCM_RIGHTS). Only root may connect.
 *
 *   HELLO    value = grace_ms; I am the daemon. -EBUSY while another one is connected.
 *            After the reply the guardian touches no group and no journal.
 *   PUT      keep this descriptor under name
 *   GET      give me a duplicate of name; -ENOENT
 *   DROP     close name; -ENOENT
 *   SERVING  I answer events now: the next grace period starts when I am gone
 */
#ifndef LZ_DAEMON_GUARDIAN_PROTO_H
#define LZ_DAEMON_GUARDIAN_PROTO_H

#include <stdint.h>

#define GUARDIAN_MAGIC 0x475a4c01u	/* changes with the layout */
#define GUARDIAN_NAME_SIZE 64
#define GUARDIAN_SOCKET "guardian.sock"
#define GUARDIAN_LOCK "guardian.lock"

enum guardian_op {
	GUARDIAN_HELLO = 1,
	GUARDIAN_PUT,
	GUARDIAN_GET,
	GUARDIAN_DROP,
	GUARDIAN_SERVING,
};

struct guardian_msg {
	uint32_t magic, op;
	int32_t status;			/* reply: 0 or -errno */
	uint32_t value;
	char name[GUARDIAN_NAME_SIZE];	/* NUL-terminated */
};

/*
 * Descriptors named fanotify.N and journal.N are known to the guardian: a group and the
 * journal of its unanswered events, N < GUARDIAN_GROUPS_MAX. All others it only keeps.
 */
#define GUARDIAN_GROUPS_MAX 8
#define GUARDIAN_GROUP "fanotify"
#define GUARDIAN_JOURNAL "journal"

#endif
