/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * background.c - which segment is filled when nobody waits, and how fast.
 *
 * Order: segments asked for by conductor_prefetch(), then the layers with background fill
 * on, one after the other, from front to back. Never against a reader: while a fault has a
 * job or queues for one, no background job starts and those under way hold their breath
 * (their source is paused; what arrived is still worked off).
 *
 * Two neighbours are not filled at once when they share a span (the last chunk of the one
 * reaches into the first span of the other): the second fetch of that span would be waste.
 * So a second job takes another layer, or starts in the middle of what is left of this one.
 *
 * Rate: a token bucket of compressed bytes; jobs pause at an empty one. A layer whose job
 * failed rests, 1 s at first, twice as long each time, 5 minutes at most. Loop thread.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/io.h"
#include "daemon/fill/conductor_private.h"
#include "daemon/log.h"

#define BURST_MIN_BYTES (256.0 * 1024)
#define RETRY_FIRST_MS 1000u
#define RETRY_MAX_MS 300000u

/* --- rate ---------------------------------------------------------------------------- */

static void tokens_refill(struct conductor *c)
{
	struct background *b = &c->background;
	double rate = (double)c->opts.background_rate, burst = rate / 4;
	uint64_t now = io_now_ms();

	if (burst < BURST_MIN_BYTES)
		burst = BURST_MIN_BYTES;
	b->tokens += rate * (double)(now - b->tokens_ms) / 1000;
	if (b->tokens > burst)
		b->tokens = burst;
	b->tokens_ms = now;
}

void background_charge(struct conductor *c, uint64_t n)
{
	struct background *b = &c->background;
	double wait_ms;

	if (!c->opts.background_rate)
		return;
	tokens_refill(c);
	b->tokens -= (double)n;
	if (b->tokens > 0 || b->throttled)
		return;
	wait_ms = -b->tokens * 1000 / (double)c->opts.background_rate + 1;
	/* Without a timer nothing would end the pause: then rather no pause. */
	b->throttled = loop_timer_set(c->opts.loop, &b->timer,
				      io_now_ms() + (uint64_t)wait_ms) == 0;
	background_update_pause(c);
}

bool background_is_held(const struct conductor *c)
{
	return c->background.throttled || c->fault_jobs > 0 || !list_is_empty(&c->ready);
}

void background_update_pause(struct conductor *c)
{
	struct fill_job *job;

	list_for_each(job, &c->jobs, link)
		if (job->background)
			job_update_pause(job);
}

static void timer_fired(struct loop_timer *t)
{
	struct conductor *c = container_of(t, struct conductor, background.timer);

	c->background.throttled = false;
	conductor_pump(c);
}

/* --- choice -------------------------------------------------------------------------- */

static bool is_open(const struct layer *l, uint32_t i)
{
	return !l->segments[i].job && l->segments[i].len < l->map->segments[i].size;
}

static uint64_t next_tar(const struct layer *l, uint32_t i)
{
	uint64_t extent;

	return plan_next_tar(l->map, i, l->segments[i].len + l->segments[i].carry_len, &extent);
}

/* Where the bytes begin that segment i has in the spans of segment i + 1. */
static uint64_t tail_start(const struct layer *l, uint32_t i)
{
	return l->map->spans[l->map->segments[i + 1].first_span].out_start;
}

/* Segment i misses only its tail, and filling i + 1 from its start will bring it. */
static bool tail_comes_with_next(const struct layer *l, uint32_t i)
{
	if (i + 1 >= l->map->nsegments || next_tar(l, i) < tail_start(l, i))
		return false;
	/* Padding only: a job of no spans, do it now. */
	if (next_tar(l, i) == PLAN_NO_TAR)
		return false;
	if (l->segments[i + 1].job)
		return true;
	if (!is_open(l, i + 1) || next_tar(l, i + 1) == PLAN_NO_TAR)
		return false;
	return (l->segments[i + 1].len == 0 && l->segments[i + 1].carry_len == 0) ||
	       layer_map_span_find(l->map, next_tar(l, i + 1)) <=
		       layer_map_span_find(l->map, next_tar(l, i));
}

/* Filling segment i now would leave segment i - 1 with a tail to be fetched again. */
static bool would_outrun(const struct layer *l, uint32_t i)
{
	uint64_t extent, last;

	if (i == 0 || l->segments[i - 1].len == l->map->segments[i - 1].size)
		return false;
	last = plan_next_tar(l->map, i - 1, l->map->segments[i - 1].size - MAP_BLOCK_BYTES, &extent);
	if (last == PLAN_NO_TAR || last + MAP_BLOCK_BYTES <= tail_start(l, i - 1))
		return false;	/* it has no tail */
	return l->segments[i - 1].job || next_tar(l, i - 1) < tail_start(l, i - 1);
}

static bool choose_from(const struct layer *l, uint32_t from, bool outrun, uint32_t *ret)
{
	for (uint32_t n = 0; n < l->map->nsegments; n++) {
		uint32_t i = (from + n) % l->map->nsegments;

		if (!is_open(l, i) || tail_comes_with_next(l, i))
			continue;
		if (outrun ? (i > 0 && l->segments[i - 1].job) : would_outrun(l, i))
			continue;
		*ret = i;
		return true;
	}
	return false;
}

static bool layer_is_eligible(const struct layer *l, uint64_t now)
{
	return l->source && !l->fill.removing && !layer_is_complete(l) && l->fill.retry_ms <= now;
}

static bool choose_hint(struct layer *l, uint32_t *ret)
{
	struct layer_fill *f = &l->fill;

	while (f->nhints) {
		*ret = f->hints[0];
		f->nhints--;
		for (uint32_t i = 0; i < f->nhints; i++)
			f->hints[i] = f->hints[i + 1];
		if (is_open(l, *ret))
			return true;
	}
	return false;
}

static bool choose(struct conductor *c, struct layer **ret_layer, uint32_t *ret_segment)
{
	uint64_t now = io_now_ms();
	struct layer *l;

	list_for_each(l, &c->layers, link)
		if (layer_is_eligible(l, now) && choose_hint(l, ret_segment))
			goto found;
	list_for_each(l, &c->layers, link)
		if (l->background && layer_is_eligible(l, now) &&
		    choose_from(l, l->fill.cursor, false, ret_segment))
			goto found;
	list_for_each(l, &c->layers, link) {
		uint32_t left = l->map->nsegments - l->fill.cursor;

		if (l->background && layer_is_eligible(l, now) &&
		    choose_from(l, l->fill.cursor + left / 2, true, ret_segment))
			goto found;
	}
	return false;
found:
	*ret_layer = l;
	return true;
}

/* A fault must find room for its job. */
static bool has_memory(const struct conductor *c)
{
	return list_is_empty(&c->jobs) ||
	       c->budget.used_bytes + 2 * (uint64_t)JOB_BASE_BYTES <= c->budget.max_bytes;
}

static void wake_for_retry(struct conductor *c)
{
	uint64_t now = io_now_ms(), first = UINT64_MAX;
	struct layer *l;

	list_for_each(l, &c->layers, link)
		if ((l->background || l->fill.nhints) && l->fill.retry_ms > now &&
		    l->fill.retry_ms < first)
			first = l->fill.retry_ms;
	if (first != UINT64_MAX && !c->background.throttled)
		loop_timer_set(c->opts.loop, &c->background.timer, first);
}

void background_pump(struct conductor *c)
{
	struct layer *l;
	uint32_t i;

	if (c->stopping || background_is_held(c))
		return;
	while (c->background_jobs < c->opts.background_jobs && has_memory(c) &&
	       choose(c, &l, &i)) {
		struct err err = ERR_INIT;

		/* Any byte of it is wanted: the plan then takes what belongs to it. */
		if (job_start(c, l, i, 1, true, &err) < 0)
			background_job_ended(l, &err);
		else if (i == l->fill.cursor)
			l->fill.cursor = (i + 1) % l->map->nsegments;
	}
	wake_for_retry(c);
}

void background_job_ended(struct layer *l, const struct err *err)
{
	uint64_t wait_ms = RETRY_MAX_MS;

	if (!err) {
		l->fill.failures = 0;
		return;
	}
	if (l->fill.failures < 9)
		wait_ms = (uint64_t)RETRY_FIRST_MS << l->fill.failures;
	l->fill.failures++;
	l->fill.retry_ms = io_now_ms() + (wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS);
}

/* --- interface ----------------------------------------------------------------------- */

void conductor_background_set(struct conductor *c, struct layer *l, bool on)
{
	l->background = on;
	if (on)
		l->fill.retry_ms = l->fill.failures = 0;
	conductor_pump(c);
}

static int hint_add(struct layer_fill *f, uint32_t segment)
{
	if (f->nhints == f->hints_cap) {
		uint32_t cap = f->hints_cap ? f->hints_cap * 2 : 16;
		uint32_t *hints = reallocarray(f->hints, cap, sizeof(*hints));

		if (!hints)
			return -ENOMEM;
		f->hints = hints;
		f->hints_cap = cap;
	}
	f->hints[f->nhints++] = segment;
	return 0;
}

int conductor_prefetch(struct conductor *c, struct layer *l, uint64_t off, uint64_t len)
{
	int r = 0;

	if (len == 0 || off >= l->map->blob_size || len > l->map->blob_size - off)
		return -EINVAL;
	for (uint32_t i = layer_map_segment_find(l->map, off);
	     r == 0 && i < l->map->nsegments && l->map->segments[i].blob_off < off + len; i++)
		if (is_open(l, i))
			r = hint_add(&l->fill, i);
	conductor_pump(c);
	return r;
}

void background_init(struct conductor *c)
{
	c->background.timer.fired = timer_fired;
	c->background.tokens_ms = io_now_ms();
	c->background.tokens = (double)c->opts.background_rate / 4;
}

void background_done(struct conductor *c)
{
	loop_timer_del(&c->background.timer);
}
