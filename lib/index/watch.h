/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watch.h - what a watcher may see of blobs that are indexed or copied: how far each is.
 *
 *	WAITING -> INDEXING | COPYING -> one of the ends
 *
 * bytes and state may be read at any time between begin() and end(), by any thread.
 */
#ifndef LZ_INDEX_WATCH_H
#define LZ_INDEX_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"

enum index_state {
	INDEX_WAITING,
	INDEX_INDEXING,		/* and copied in the same pass, where it goes elsewhere */
	INDEX_COPYING,
	/* The ends; of layers: */
	INDEX_BUILT,
	INDEX_REUSED,		/* had a zTOC that serves */
	INDEX_SKIPPED_SMALL,
	INDEX_SKIPPED_ZSTD,	/* a zTOC cannot index it: the index stays valid without */
	INDEX_SKIPPED_TYPE,	/* the same of others */
	/* of blobs that are copied: */
	INDEX_COPIED,
	INDEX_PRESENT,		/* was there */
	INDEX_MOUNTED,		/* the registry took it over from another of its repositories */
	INDEX_MISSING,		/* not at the source, or spoilt, and only a SOCI index wants it */
};

const char *index_state_name(enum index_state state);
/* One of the ends? */
bool index_state_is_end(int state);

struct index_progress {
	struct digest digest;
	const char *name;		/* shown instead of the digest, or NULL */
	uint64_t size;
	_Atomic uint64_t bytes;		/* read so far */
	_Atomic int state;		/* enum index_state */
};

struct index_watch {
	void (*begin)(void *arg, const struct index_progress *v, uint32_t n);
	void (*end)(void *arg);
	void *arg;
};

#endif
