/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * append.h - verified bytes of the tar, in order, to the ends of segments.
 *
 * A job appends to up to three neighbouring segments (plan.h). Each *target* knows the
 * next byte that it needs; bytes nobody needs (tar headers, padding of the tar) are passed
 * over. Between files zeros up to the next 4 KiB are written: the one kind of byte that is
 * ours. Whole blocks only go out, through one staging buffer; what is left of a block
 * stays in the target's carry until the next bytes come.
 *
 *	target   |====== len ======|~~ staged or carry ~~|          | size
 *	                                                 ^ pos
 *
 * Worker thread; one at a time, as the job that owns it.
 */
#ifndef LZ_DAEMON_FILL_APPEND_H
#define LZ_DAEMON_FILL_APPEND_H

#include "daemon/fill/layer.h"
#include "daemon/fill/plan.h"

#define APPEND_STAGING_BYTES (512u << 10)

struct append_target {
	uint32_t segment;
	uint64_t len;			/* written, from the segment's start */
	uint64_t pos;			/* len + what is staged or carried */
	uint64_t extent;		/* that pos is in, or that follows */
	uint16_t carry_len;		/* valid while not being staged */
	bool complete_told;
	uint8_t carry[MAP_BLOCK_BYTES];
};

struct append {
	struct layer *layer;
	uint32_t ntargets;
	struct append_target target[PLAN_SEGMENTS_MAX];
	struct append_target *staging_for;	/* NULL: staging is empty */
	uint8_t *staging;
	uint32_t staged;
	uint64_t written_bytes;
};

/* Loop thread: take positions and carries from the plan's segments. 0 or -ENOMEM. */
int append_init(struct append *a, struct layer *l, const struct fill_plan *plan);
void append_done(struct append *a);

/* Write the padding at which targets stand (after a restart they may stand in it). */
int append_pad(struct append *a, struct err *err);
/*
 * data is tar [tar_off, tar_off+len), verified. Calls must follow each other without gaps.
 * An error is final: append_flush() is still to be called, nothing else.
 */
int append_feed(struct append *a, uint64_t tar_off, const uint8_t *data, uint64_t len,
		struct err *err);
/* Write the whole blocks that are staged; len of each target is then up to date. */
int append_flush(struct append *a, struct err *err);

#endif
