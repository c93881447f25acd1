/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guardian.h - who holds the kernel's descriptors while the daemon is away.
 *
 * fanotify fails open and cachefiles fails for good when the last descriptor closes. So
 * each such descriptor also lies with the guardian, a tiny process of its own
 * (lazyerofs-guardian: no network, no parsing, oom_score_adj -1000) on the unix socket
 * RUN_DIR/guardian.sock, and with systemd's fd store where there is one. A new daemon asks
 * for them first.
 *
 * After `grace_ms` without a daemon the guardian itself reads pending fanotify events and
 * denies them with EIO: a reader waits in bounded time, and never gets a wrong byte.
 *
 * Names are [a-z0-9._-]{1,63}. Blocking calls, short; loop or main thread.
 */
#ifndef LZ_DAEMON_GUARDIAN_H
#define LZ_DAEMON_GUARDIAN_H

#include <stdint.h>

#include "base/err.h"

struct guardian;

/* Connect to the guardian of run_dir, or start one. */
int guardian_open(const char *run_dir, const char *guardian_program, uint32_t grace_ms,
		  struct guardian **ret, struct err *err);
void guardian_close(struct guardian *g);
/* Keep a duplicate of fd under name (replaces an older one). */
int guardian_put(struct guardian *g, const char *name, int fd, struct err *err);
/* A duplicate of the descriptor kept under name: >= 0, or -ENOENT. */
int guardian_get(struct guardian *g, const char *name, struct err *err);
int guardian_drop(struct guardian *g, const char *name, struct err *err);
/*
 * Kernel requests are being answered from now on. The grace period runs from the last
 * moment at which a daemon that said so was there: one that dies again and again while
 * starting does not keep readers waiting.
 */
int guardian_serving(struct guardian *g, struct err *err);

#endif
