/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan.h - which spans a fill job fetches, and which segments it may append to.
 *
 * A segment stands at a position (len + carry_len); the next byte of the tar that it needs
 * decides the first span. The spans run
 *   - at least to the one that holds the last byte wanted,
 *   - otherwise to the end of the segment's own spans, and on through spans that begin no
 *     segment (nobody else would ever fetch those).
 * The last chunk of a segment may reach into spans that the next segment owns; these are
 * fetched only when wanted. Whoever fetches such a span serves both sides, so that filling
 * from front to back fetches no span twice:
 *
 *	spans     | 0 | 1 | 2 | 3 |          job for 1: spans 2..3, and segment 0, standing
 *	segment 0 |=======|==|               idle at span 2, gets its tail
 *	segment 1         |  |====|          job for 0's tail: span 2, and segment 1, standing
 *	                                     idle at its start, gets its head
 *
 * Pure functions of the layer. Loop thread.
 */
#ifndef LZ_DAEMON_FILL_PLAN_H
#define LZ_DAEMON_FILL_PLAN_H

#include "daemon/fill/layer.h"

#define PLAN_NO_TAR UINT64_MAX
#define PLAN_SEGMENTS_MAX 3

struct fill_plan {
	uint32_t segment;			/* for which the job is made */
	uint32_t first_span, nspans;		/* 0 spans: only padding is missing */
	uint64_t comp_off, comp_len;		/* of the layer, the spans in one piece */
	uint32_t first_segment, nsegments;	/* to append to; segment is one of them */
};

/*
 * Tar offset of the first data byte at or after pos (bytes from the segment's start), or
 * PLAN_NO_TAR when only padding follows. *ret_extent: the extent that holds it.
 */
uint64_t plan_next_tar(const struct layer_map *m, uint32_t segment, uint64_t pos,
		       uint64_t *ret_extent);

/* Do bytes of the segment that are missing below want_end lie in spans of the next one? */
bool plan_needs_next(const struct layer *l, uint32_t segment, uint64_t want_end);

/*
 * Segment is idle and not complete; 0 < want_end <= its size (rounded up to a block).
 * background: where a new segment begins, take the tail of the one before along, even if
 * that means some spans before its own first byte. A fault does not wait for those.
 */
void plan_make(const struct layer *l, uint32_t segment, uint64_t want_end, bool background,
	       struct fill_plan *ret);

#endif
