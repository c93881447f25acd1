/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chunks.h - a growing collection whose memory can be given back from either end.
 *
 * Items are whole: none lies in two chunks. A chunk is mapped, not malloc()ed, so that it
 * leaves the process when it is dropped; of its CHUNK_BYTES only the pages in use are
 * resident. Zeroed: empty. One thread at a time.
 */
#ifndef LZ_ZTOC_CHUNKS_H
#define LZ_ZTOC_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

#define CHUNK_BYTES (1u << 20)		/* with its head; more where one item is larger */

struct chunk {
	struct chunk *prev, *next;
	size_t mapped, len;		/* bytes of the mapping, of data */
	uint8_t data[];			/* 16-aligned */
};

struct chunks {
	struct chunk *first, *last;
};

/* Room for an item of n bytes, right after the one before unless a chunk begins. NULL: no memory. */
void *chunks_add(struct chunks *c, size_t n);
void chunks_drop_first(struct chunks *c);
void chunks_drop_last(struct chunks *c);
void chunks_done(struct chunks *c);

#endif
