/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * buildpipe.h - work handed from the thread that inflates to the one that hashes and
 * reads the tar, through a ring of fixed size.
 *
 * One producer, which pushes; one consumer, which is a thread of the pipe's own once
 * enough bytes have passed to make it worth while, and before that (or where threads are
 * not wanted, or cannot be had) the producer itself. The items' order is kept. What the
 * consumer's function touches is the consumer's alone until buildpipe_drain() or
 * buildpipe_free() returned.
 */
#ifndef LZ_ZTOC_BUILDPIPE_H
#define LZ_ZTOC_BUILDPIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define BUILDPIPE_ITEM_BYTES (128u << 10)	/* longer data is cut into several items */

struct buildpipe_item {
	int kind;
	uint8_t bits;
	uint64_t in, out;
	const uint8_t *data;	/* valid during the call */
	size_t len;
};

/* Negative: the pipe takes no more, and reports this error to the producer. */
typedef int (*buildpipe_fn)(void *arg, const struct buildpipe_item *item, struct err *err);

struct buildpipe;

int buildpipe_new(buildpipe_fn fn, void *arg, bool threaded, struct buildpipe **ret,
		  struct err *err);
/* Ends the thread; items not yet consumed are dropped. */
void buildpipe_free(struct buildpipe *p);
/* The data is copied. May wait for the consumer. */
int buildpipe_push(struct buildpipe *p, const struct buildpipe_item *item, struct err *err);
/* Wait until all items are consumed. */
int buildpipe_drain(struct buildpipe *p, struct err *err);

#endif
