/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gzindex.h - inflate a gzip stream once, in pieces, and find its checkpoints on the way.
 *
 * A checkpoint is a deflate block boundary from where inflating can start anew, given the
 * 32 KiB of output before it (kernel-notes/soci-format.md, Building). The first one is right
 * after the gzip header; the next ones where a block that is not the last ends and more
 * than span_size bytes came out since the one before. The choice does not depend on how
 * the input is cut into pieces. Two checkpoints never share an output offset (`soci` makes
 * such pairs of streams that begin with an empty block, and then refuses to load them).
 *
 * CRC and length of each gzip member are checked. Memory: ~300 KiB. One thread at a time.
 */
#ifndef LZ_ZTOC_GZINDEX_H
#define LZ_ZTOC_GZINDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ztoc/accepted.h"

struct gzindex_point {
	uint64_t in;		/* offset of the first byte not fully consumed */
	uint64_t out;
	uint8_t bits;		/* bits of byte in-1 that are still to be used */
	const uint8_t *window;	/* the 32 KiB before out, zeros in front if fewer */
};

/*
 * Callbacks; a negative value ends the work and is returned.
 *   out    the next inflated bytes
 *   point  the next checkpoint; out was not necessarily called for all bytes before it
 *   is_complete  may the stream end here? Asked, after all bytes went to out, when what
 *          follows the first member is no gzip (the bytes are ignored if so), or has a
 *          header that matters only if not
 */
struct gzindex_ops {
	int (*out)(void *arg, const uint8_t *data, size_t len, struct err *err);
	int (*point)(void *arg, const struct gzindex_point *p, struct err *err);
	int (*is_complete)(void *arg, bool *ret, struct err *err);
};

struct gzindex_opts {
	uint64_t span_size;
	uint64_t max_out_bytes;
	bool first_member_only;		/* no checkpoints in further members, junk ignored */
	bool strict;			/* refuse what accepted.h lists */
};

struct gzindex;

int gzindex_new(const struct gzindex_opts *opts, const struct gzindex_ops *ops, void *arg,
		struct gzindex **ret, struct err *err);
void gzindex_free(struct gzindex *g);
int gzindex_feed(struct gzindex *g, const uint8_t *data, size_t len, struct err *err);
/* The input is at its end: hand out the remaining bytes, check that a member ended. */
int gzindex_finish(struct gzindex *g, struct err *err);
/* ZTOC_ACCEPTED_*, so far. */
unsigned int gzindex_accepted(const struct gzindex *g);

#endif
