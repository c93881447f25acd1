/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * decode.h - a stream of compressed bytes, through digests and inflaters, to append.h.
 *
 * The worker's half of a fill job. It is fed pieces as they arrive and splits them into
 * spans. A span's bytes are hashed at once, and either
 *   - inflated at once into a buffer (STREAM: the output fits the budget; the usual case),
 *     so that little is left to do when the last byte arrives, or
 *   - kept compressed (SPOOL) and inflated when the digest holds.
 * Only then does a byte go to append_feed(): verified before written, never after.
 *
 * A step ends when something new can be published, so that the loop answers early, and
 * in any case when the pieces are used up. Worker thread; one step at a time.
 */
#ifndef LZ_DAEMON_FILL_DECODE_H
#define LZ_DAEMON_FILL_DECODE_H

#include <stdbool.h>

#include "base/digest.h"
#include "base/list.h"
#include "daemon/fill/append.h"
#include "daemon/fill/budget.h"
#include "daemon/fill/spool.h"
#include "ztoc/inflate.h"

#define DECODE_STREAM_MAX_BYTES (8u << 20)
#define PIECE_BYTES (64u << 10)

/* Compressed bytes on their way from the source to the worker. */
struct piece {
	struct list link;
	uint32_t len, used;
	uint8_t data[PIECE_BYTES];
};

struct decode {
	/* set by the owner */
	struct layer *layer;
	struct append *append;
	struct budget *budget;
	uint64_t spool_bytes;
	int spool_dirfd;
	uint32_t span, end_span;	/* next or current, and one past the last */
	struct list pieces;		/* to do, in order */

	/* results of a step */
	bool more;			/* call again without new pieces */
	bool mismatch;			/* with -EBADMSG: the digest of `span` differs */
	uint64_t consumed_bytes;	/* pieces used, since the owner zeroed it */
	uint32_t spans_verified;	/* same */

	/* its own */
	uint64_t in_pos;		/* layer offset of the next byte */
	uint8_t last_byte;
	bool in_span, replaying;
	struct digest_ctx hash;
	struct inflater *inflater;
	int inflate_failed;		/* told only when the digest holds */
	struct err inflate_err;
	uint8_t *window;
	uint8_t *out;			/* STREAM: the span's output */
	uint64_t out_len, out_cap;	/* out_len: also what a replay has appended */
	struct spool spool;
	int append_failed;		/* inside the inflater's sink */
	struct err append_err;
	uint64_t unpublished_bytes;
};

void decode_init(struct decode *d, const struct fill_plan *plan);
/* Frees everything, pieces too. */
void decode_done(struct decode *d);
/* Begin span d->span anew, with pieces that start at its first byte. */
void decode_restart(struct decode *d);
/* 0 or -errno; all spans are through when d->span == d->end_span. */
int decode_step(struct decode *d, struct err *err);

#endif
