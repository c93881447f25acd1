/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * obtain.h - from a reference to an image in the store, ready to be opened.
 *
 *	known by digest? ─────────────────────────────────────────────────> record
 *	   │ no
 *	lazyerofs-resolve ──> image.json, zTOCs in staging
 *	   │ network failed: known by this reference? ────────────────────> record, and a note
 *	   │
 *	all parts there? ─────────────────────────────────────────────────> record
 *	   │ no
 *	mkfs.lazyerofs ──> maps, bootstrap in staging ──> installed ───────> record
 *
 * A tag is looked up anew each time; only where the registry cannot be reached is the image
 * used that the tag meant last. An image named by digest cannot change: once it is here, no
 * network is needed to mount it again. Staging is removed in any case. Loop thread.
 */
#ifndef LZ_DAEMON_OBTAIN_H
#define LZ_DAEMON_OBTAIN_H

#include "daemon/config.h"
#include "daemon/control/store.h"
#include "daemon/pool.h"

struct obtain;

/* Copied. Empty text: not given. */
struct obtain_request {
	char reference[IMAGE_RECORD_REF_SIZE];
	char platform[80];
	char index[DIGEST_TEXT_SIZE];
	bool build_index;		/* an image without SOCI index is fetched whole */
};

struct obtain_opts {
	struct loop *loop;
	struct pool *pool;
	struct store *store;
	const struct config *config;	/* borrowed for the whole time */
	/* A line for people; not from inside obtain_start(). */
	void (*progress)(void *arg, const char *text);
	/* Once. rec is yours, or NULL and err. The obtain is gone. */
	void (*done)(void *arg, struct image_record *rec, const struct err *err);
	void *arg;
};

int obtain_start(const struct obtain_opts *opts, const struct obtain_request *req,
		 struct obtain **ret, struct err *err);
/* done follows with ECANCELED, soon. */
void obtain_cancel(struct obtain *o);

#endif
