/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * notify.h - what the daemon and systemd say to each other, without libsystemd:
 * sd_notify(3) (READY, STATUS, WATCHDOG), the fd store (FDSTORE) and the descriptors that
 * come back from it (LISTEN_FDS, sd_listen_fds(3)).
 *
 * Everything does nothing, successfully, when systemd did not start us. Any thread, except
 * notify_init() and notify_fds_take(): before threads are started, as they change the
 * environment.
 */
#ifndef LZ_DAEMON_NOTIFY_H
#define LZ_DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

/* Remember NOTIFY_SOCKET and take it out of the environment: children must not use it. */
void notify_init(void);
bool notify_is_active(void);

int notify_ready(void);
int notify_stopping(void);
int notify_reloading(void);
/* The daemon's loop turns. */
int notify_watchdog(void);
/* How often that must be said (WatchdogSec= of the unit), in milliseconds; 0: never. */
uint32_t notify_watchdog_ms(void);
int notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Put a duplicate of fd into systemd's fd store (FileDescriptorStoreMax= in the unit);
 * -ENOTCONN when systemd is not there. systemd polls it not: a group's queue is not its
 * business.
 */
int notify_fd_store(const char *name, int fd);
int notify_fd_drop(const char *name);

/* Descriptors that systemd passed at start, by name. */
struct notify_fds;
/* 0 also when there are none. All become close-on-exec. */
int notify_fds_take(struct notify_fds **ret, struct err *err);
/* The first one of that name, yours now; -ENOENT. */
int notify_fds_get(struct notify_fds *f, const char *name);
bool notify_fds_has(const struct notify_fds *f, const char *name);
/* Closes those that nobody got. */
void notify_fds_free(struct notify_fds *f);
DEFINE_CLEANUP(struct notify_fds *, notify_fds_free, notify_fds_freep)
#define cleanup_notify_fds cleanup_(notify_fds_freep)

#endif
