/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wire.h - one struct guardian_msg, with or without a descriptor; both sides use it. */
#ifndef LZ_DAEMON_GUARDIAN_WIRE_H
#define LZ_DAEMON_GUARDIAN_WIRE_H

#include "daemon/guardian/proto.h"

/* 0 or -errno; fd >= 0 goes along. flags for sendmsg(2). */
int guardian_wire_send(int sock, const struct guardian_msg *m, int fd, int flags);
/*
 * 1 with a well-formed message (magic, size, terminated name) and *ret_fd (close-on-exec)
 * or -1; 0 at the end of the connection; -EPROTO on anything else, no descriptor leaked.
 */
int guardian_wire_recv(int sock, struct guardian_msg *ret, int *ret_fd);
/* Is the peer of this connection root? 0, -EPERM or -errno. */
int guardian_wire_peer_check(int sock);

#endif
