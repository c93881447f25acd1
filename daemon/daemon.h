/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * daemon.h - all the parts of lazyerofsd, in the order they are started, and how it stops.
 *
 *	limits, folders, lock          setup.c      fails early, says what to do
 *	guardian, kernel path          setup.c      proves the path, takes over what was kept
 *	privileges                     sandbox.c
 *	store, conductor, images       daemon.c
 *	images the kernel holds        control/restore.c    before any request is answered
 *	transport->start, admin socket daemon.c
 *
 * Main thread = loop thread.
 */
#ifndef LZ_DAEMON_DAEMON_H
#define LZ_DAEMON_DAEMON_H

#include "daemon/config.h"
#include "daemon/control/admin.h"
#include "daemon/control/images.h"
#include "daemon/control/mounts.h"
#include "daemon/fill/fetch.h"
#include "daemon/kernel/guardian.h"
#include "daemon/notify.h"

struct daemon {
	struct config config;
	const char *config_path;	/* NULL: none was there */
	int lock_fd, spool_dirfd;
	uint64_t started_ms;
	struct notify_fds *fds;
	struct loop *loop;
	struct pool *pool;
	struct guardian *guardian;
	struct transport *transport;
	struct fetch *fetch;
	struct conductor *conductor;
	struct store *store;
	struct layers *layers;
	struct images *images;
	struct mounts *mounts;
	struct admin *admin;
	struct loop_timer alive;	/* tells systemd's watchdog that the loop turns */
	bool serving;			/* transport->start() was called */
};

/* d->config is set, descriptors are -1. READY is not said yet. On failure daemon_stop() cleans up. */
int daemon_start(struct daemon *d, struct err *err);
/* Mounts stay; what is pending is left to the guardian. Safe on what was half started. */
void daemon_stop(struct daemon *d);
/* SIGHUP */
void daemon_reload(struct daemon *d);

/* --- setup.c ------------------------------------------------------------------------- */
void setup_limits(void);
/* Folders with the right modes on file systems that do; then the single-instance lock. */
int setup_folders(struct daemon *d, struct err *err);
/* Guardian and transport. */
int setup_kernel(struct daemon *d, struct err *err);

/* --- control/restore.c ----------------------------------------------------------------- */
/* Open every image that the kernel holds. Failures are logged: its reads get EIO. */
void restore_images(struct daemon *d);

/* --- control/commands.c ------------------------------------------------------------------ */
extern const struct admin_command daemon_commands[];	/* arg: struct daemon */

/* --- control/status.c -------------------------------------------------------------------- */
json_t *status_json(struct daemon *d);

#endif
