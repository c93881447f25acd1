/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * decode.c - see decode.h; soci-format.md 1.7 and 1.8 for spans and their boundaries.
 *
 *	             begin_span            last byte         digest holds
 *	between spans ----------> in_span -----------> STREAM: append, next span
 *	     ^                                         SPOOL:  replaying, step by step
 *	     +-------------------------------------------------+
 */
#include "daemon/fill/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PUBLISH_BYTES (64u << 10)	/* below this a trip to the loop is not worth it */
#define REPLAY_STEP_BYTES (4u << 20)
#define REPLAY_READ_BYTES (16u << 10)	/* deflate makes at most 1032 times as much of it */

void decode_init(struct decode *d, const struct fill_plan *plan)
{
	d->span = plan->first_span;
	d->end_span = plan->first_span + plan->nspans;
	d->in_pos = plan->comp_off;
	d->spool.fd = -1;
	list_init(&d->pieces);
}

static const struct map_span *span_of(const struct decode *d)
{
	return &d->layer->map->spans[d->span];
}

static void end_span(struct decode *d)
{
	inflater_free(d->inflater);
	d->inflater = NULL;
	if (d->out) {
		free(d->out);
		budget_give(d->budget, d->out_cap);
		d->out = NULL;
	}
	free(d->window);
	d->window = NULL;
	spool_done(&d->spool);
	d->in_span = d->replaying = false;
	d->inflate_failed = 0;
}

static void pieces_free(struct decode *d)
{
	while (!list_is_empty(&d->pieces)) {
		struct piece *p = list_first(&d->pieces, struct piece, link);

		list_del(&p->link);
		free(p);
	}
}

void decode_done(struct decode *d)
{
	end_span(d);
	pieces_free(d);
}

void decode_restart(struct decode *d)
{
	end_span(d);
	pieces_free(d);
	d->in_pos = span_of(d)->comp_start;
	d->mismatch = d->more = false;
}

static int stream_sink(void *arg, const uint8_t *data, size_t len)
{
	struct decode *d = arg;

	if (len > d->out_cap - d->out_len)
		return -EOVERFLOW;
	memcpy(d->out + d->out_len, data, len);
	d->out_len += len;
	return 0;
}

static int replay_sink(void *arg, const uint8_t *data, size_t len)
{
	struct decode *d = arg;

	d->append_failed = append_feed(d->append, span_of(d)->out_start + d->out_len, data, len,
				       &d->append_err);
	d->out_len += len;
	return d->append_failed;
}

static int inflater_open(struct decode *d, inflate_sink sink, struct err *err)
{
	const struct map_span *s = span_of(d);
	struct inflate_span is = {
		.bits = s->bits, .out_len = s->out_end - s->out_start,
		.exact = d->span + 1 < d->layer->map->nspans,
	};
	bool plain = d->layer->map->compression == ZTOC_UNCOMPRESSED;

	if (s->window_off != MAP_NO_WINDOW) {
		d->window = malloc(ZTOC_WINDOW_BYTES);
		if (!d->window)
			return err_sys(err, ENOMEM, "window");
		int r = layer_window_read(d->layer, d->span, d->window, err);

		if (r < 0)
			return r;
		is.window = d->window;
	}
	d->out_len = 0;
	return inflater_new(plain ? INFLATE_NONE : INFLATE_BEST, &is, sink, d, &d->inflater, err);
}

/* Choose STREAM or SPOOL. */
static int begin_output(struct decode *d, struct err *err)
{
	const struct map_span *s = span_of(d);
	uint64_t out = s->out_end - s->out_start;

	if (out <= DECODE_STREAM_MAX_BYTES && budget_take(d->budget, out)) {
		d->out_cap = out;
		d->out = malloc(out ? out : 1);
		if (d->out)
			return inflater_open(d, stream_sink, err);
		budget_give(d->budget, out);
	}
	return spool_init(&d->spool, d->budget, s->comp_end - s->comp_start, d->spool_bytes,
			  d->spool_dirfd, err);
}

static int take_bytes(struct decode *d, const uint8_t *data, uint64_t len, struct err *err)
{
	digest_update(&d->hash, data, len);
	if (!d->out)
		return spool_write(&d->spool, data, len, err);
	/* Wrong bytes make a decoder fail: wait for what the digest says to that. */
	if (!d->inflate_failed)
		d->inflate_failed = inflater_feed(d->inflater, data, len, &d->inflate_err);
	return 0;
}

static int begin_span(struct decode *d, struct err *err)
{
	const struct map_span *s = span_of(d);
	int r = begin_output(d, err);

	if (r < 0)
		return r;
	d->in_span = true;
	digest_init(&d->hash);
	/* The byte at a bit boundary belongs to both spans (and to both digests). */
	if (s->comp_start + 1 == d->in_pos)
		return take_bytes(d, &d->last_byte, 1, err);
	return 0;
}

static void span_through(struct decode *d)
{
	end_span(d);
	d->span++;
}

static int digest_check(struct decode *d, struct err *err)
{
	const struct map_span *s = span_of(d);
	char got[DIGEST_TEXT_SIZE], want[DIGEST_TEXT_SIZE];
	struct digest digest;

	digest_final(&d->hash, &digest);
	if (digest_is_equal(&digest, &s->digest)) {
		d->spans_verified++;
		return 0;
	}
	d->mismatch = true;
	digest_format(&digest, got);
	digest_format(&s->digest, want);
	return err_set(err, ERR_CORRUPT, EBADMSG, "span %u, bytes %llu-%llu: digest is %s, not %s",
		       d->span, (unsigned long long)s->comp_start,
		       (unsigned long long)s->comp_end - 1, got, want);
}

/* The span's bytes are all here. */
static int finish_input(struct decode *d, struct err *err)
{
	const struct map_span *s = span_of(d);
	int r = digest_check(d, err);

	if (r < 0)
		return r;
	if (!d->out) {
		d->replaying = true;
		return 0;
	}
	r = d->inflate_failed;
	if (r == 0)
		r = inflater_finish(d->inflater, &d->inflate_err);
	if (r < 0) {
		if (err)
			*err = d->inflate_err;
		return err_prefix(err, "span %u", d->span);
	}
	r = append_feed(d->append, s->out_start, d->out, d->out_len, err);
	if (r == 0)
		r = append_flush(d->append, err);
	if (r < 0)
		return r;
	d->unpublished_bytes += d->out_len;
	span_through(d);
	return 0;
}

static int replay_end(struct decode *d, struct err *err)
{
	int r = inflater_finish(d->inflater, err);

	if (r < 0)
		return err_prefix(err, "span %u", d->span);
	span_through(d);
	return 0;
}

/* Inflate and append some more of a span that is spooled and verified. */
static int replay(struct decode *d, struct err *err)
{
	uint64_t start = d->inflater ? d->out_len : 0;
	uint8_t buf[REPLAY_READ_BYTES];
	size_t n = 1;
	int r = d->inflater ? 0 : inflater_open(d, replay_sink, err);

	while (r == 0 && n > 0 && d->out_len - start < REPLAY_STEP_BYTES) {
		const uint8_t *data;

		r = spool_read(&d->spool, buf, sizeof(buf), &data, &n, err);
		if (r == 0 && n > 0)
			r = inflater_feed(d->inflater, data, n, err);
	}
	if (d->append_failed) {
		if (err)
			*err = d->append_err;
		return d->append_failed;
	}
	if (r < 0)
		return err_prefix(err, "span %u", d->span);
	r = append_flush(d->append, err);
	if (r < 0)
		return r;
	d->unpublished_bytes += d->out_len - start;
	return n == 0 ? replay_end(d, err) : 0;
}

/* Use what the current span may have of the first piece. */
static int use_piece(struct decode *d, struct err *err)
{
	struct piece *p = list_first(&d->pieces, struct piece, link);
	uint64_t n = p->len - p->used, left = span_of(d)->comp_end - d->in_pos;
	int r;

	if (n > left)
		n = left;
	r = n ? take_bytes(d, p->data + p->used, n, err) : 0;
	if (r < 0)
		return r;
	if (n)
		d->last_byte = p->data[p->used + n - 1];
	p->used += (uint32_t)n;
	d->in_pos += n;
	d->consumed_bytes += n;
	if (p->used == p->len) {
		list_del(&p->link);
		free(p);
	}
	return 0;
}

/* One thing at a time; *ret_idle: there is nothing to do without more pieces. */
static int advance(struct decode *d, bool *ret_idle, struct err *err)
{
	*ret_idle = false;
	if (d->span == d->end_span) {
		*ret_idle = true;
		return 0;
	}
	if (d->replaying)
		return replay(d, err);
	if (!d->in_span)
		return begin_span(d, err);
	if (d->in_pos == span_of(d)->comp_end)
		return finish_input(d, err);
	if (list_is_empty(&d->pieces)) {
		*ret_idle = true;
		return 0;
	}
	return use_piece(d, err);
}

int decode_step(struct decode *d, struct err *err)
{
	bool idle = false;
	int r = 0;

	d->unpublished_bytes = 0;
	while (r == 0 && !idle && d->unpublished_bytes < PUBLISH_BYTES)
		r = advance(d, &idle, err);
	d->more = r == 0 && !idle;
	/* After a failure too: what was verified and staged is written or kept in carry. */
	if (r < 0)
		append_flush(d->append, NULL);
	return r;
}
