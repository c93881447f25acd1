/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layer.h - one layer blob at run time: its map, its segments, what of them is present.
 *
 * A segment is filled as a prefix: `len` bytes from its start are present, verified and
 * written; the rest does not exist. len is a multiple of 4 KiB, so a page of the kernel's
 * is whole or absent. Bytes of a block that straddles two spans wait in `carry`.
 *
 *   segment  |========== len ==========|carry|........ not there ........| size
 *
 * Owner: the loop thread, except what a job has taken (segment.job != NULL): carry and the
 * right to write the segment belong to the job's worker until it reports back.
 */
#ifndef LZ_DAEMON_LAYER_H
#define LZ_DAEMON_LAYER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "daemon/fill/source.h"
#include "daemon/loop/loop.h"
#include "image/map.h"

struct conductor;
struct transport;
struct fill_job;

struct segment {
	uint64_t len;			/* present: verified and written */
	struct fill_job *job;		/* filling it now, or NULL */
	struct list waiters;		/* struct kreq.link */
	uint8_t *carry;			/* carry_len < 4096 verified bytes after len, or NULL */
	uint16_t carry_len;
	bool complete_told;		/* transport was told: needs us no more */
	/* the conductor's: */
	struct layer *layer;
	struct list ready;		/* queued for a job */
	uint64_t want;			/* readers want bytes up to here, from its start */
};

/* The conductor's part of a layer. */
struct layer_fill {
	struct conductor *conductor;	/* NULL: not added */
	unsigned jobs;			/* fill and sync jobs that touch the layer */
	bool removing;
	void (*removed)(void *arg);
	void *removed_arg;
	struct loop_task removed_task;
	bool dirty, syncing;		/* written since the last layer_sync */
	uint64_t dirty_ms;
	/* background fill */
	uint32_t cursor;		/* next segment to look at */
	uint32_t *hints;		/* segments wanted first (prefetch), in order */
	uint32_t nhints, hints_cap;
	unsigned failures;		/* in a row */
	uint64_t retry_ms;		/* not before */
};

struct layer {
	struct list link;		/* conductor's list */
	char blob_id[DIGEST_HEX_LEN + 1];
	struct layer_map *map;		/* owned */
	int ztoc_fd;			/* owned; windows are read from it */
	struct source *source;		/* owned; NULL: offline, only what is present */
	struct segment *segments;	/* map->nsegments */
	struct transport *transport;	/* borrowed */
	void *transport_data;		/* the transport's own, from layer_open */
	uint64_t present_bytes;		/* sum of len */
	unsigned refs;			/* images that hold it */
	bool background;		/* background fill wanted */
	struct layer_fill fill;
	/* Windows steer the inflater and are in no span's digest, so the zTOC file is held
	 * against map->ztoc_digest once, by the first worker that reads a window. */
	pthread_mutex_t ztoc_lock;
	bool ztoc_checked;
};

/*
 * Takes map, ztoc_fd and source also on failure. All segments absent. Refuses (CORRUPT) a
 * map whose spans do not follow each other.
 */
int layer_new(struct layer_map *map, int ztoc_fd, struct source *source, struct layer **ret,
	      struct err *err);
void layer_free(struct layer *l);
/* Are blob bytes [off, off+len) present? */
bool layer_has(const struct layer *l, uint64_t off, uint64_t len);
bool layer_is_complete(const struct layer *l);
/* Worker: the 32 KiB of window that span i begins with, from the (verified) zTOC file. */
int layer_window_read(struct layer *l, uint32_t span, uint8_t *ret, struct err *err);

#endif
