/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mounting.h - the whole story of one `mount IMAGE DIR`: target checked, image obtained,
 * opened, mounted. Loop thread.
 *
 * Any number at once. Cancelled at any point it leaves nothing behind, but for what is
 * cached: a mount that was made meanwhile is unmounted again.
 */
#ifndef LZ_DAEMON_MOUNTING_H
#define LZ_DAEMON_MOUNTING_H

#include "daemon/control/images.h"
#include "daemon/control/obtain.h"

struct mounting;

struct mounting_opts {
	struct loop *loop;
	struct pool *pool;
	struct store *store;
	struct images *images;
	const struct config *config;
	void (*progress)(void *arg, const char *text);
	/* Once; the mounting is gone. image_id is NULL on failure. */
	void (*done)(void *arg, const char *image_id, const struct err *err);
	void *arg;
};

/* target: absolute path of an existing directory, in the daemon's mount namespace. */
int mounting_start(const struct mounting_opts *opts, const struct obtain_request *req,
		   const char *target, struct mounting **ret, struct err *err);
/* done follows with ECANCELED, soon. */
void mounting_cancel(struct mounting *m);

#endif
