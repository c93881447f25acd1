/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conductor.c - see conductor.h: requests and who waits for what.
 *
 * A request waits in the list of the first segment of its range that is not filled far
 * enough; when that one has grown it is answered or moves on to the next. Segments that
 * readers want and that no job fills queue on `ready`; conductor_pump() gives them jobs,
 * at most max_jobs at once, first come first served.
 *
 *	request --present--> answer 0
 *	   |
 *	   v                          grew: all there -> answer 0
 *	waiters of a segment --+----- grew: a later segment is missing -> its waiters
 *	   |                   +----- the segment's job failed -> answer -EIO
 *	   +--- deadline, dropped, layer removed, shutdown -> answer -EIO
 */
#include "daemon/fill/conductor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "daemon/fill/conductor_private.h"
#include "daemon/log.h"

#define LOG_WINDOW_MS 10000u
#define LOG_PER_WINDOW 20u

/* --- logging ------------------------------------------------------------------------ */

/* An unreachable registry must not fill the journal. */
bool log_limit_ok(struct log_limit *ll)
{
	uint64_t now = io_now_ms();

	if (now - ll->window_ms >= LOG_WINDOW_MS || ll->window_ms == 0) {
		if (ll->dropped)
			log_warning("%u more messages like these were left out", ll->dropped);
		*ll = (struct log_limit){ .window_ms = now };
	}
	if (ll->count < LOG_PER_WINDOW) {
		ll->count++;
		return true;
	}
	ll->dropped++;
	return false;
}

/* --- requests ----------------------------------------------------------------------- */

static void request_answer(struct conductor *c, struct kreq *req, int status)
{
	list_del(&req->link);
	list_del(&req->by_deadline);
	c->stats.pending--;
	if (status == 0)
		c->stats.answered_ok++;
	else
		c->stats.answered_error++;
	req->transport->ops->answer(req->transport, req, status);
}

/* Where the part of req that lies in segment i ends, from the segment's start. */
static uint64_t part_end(const struct kreq *req, uint32_t i)
{
	const struct map_segment *s = &req->layer->map->segments[i];
	uint64_t end = req->off + req->len - s->blob_off;

	return end < s->size ? end : s->size;
}

/* Put req where it waits, and see to it that all it needs is being filled. */
static void request_park(struct conductor *c, struct kreq *req)
{
	struct layer *l = req->layer;
	uint64_t end = req->off + req->len;
	bool parked = false;

	for (uint32_t i = layer_map_segment_find(l->map, req->off);
	     i < l->map->nsegments && l->map->segments[i].blob_off < end; i++) {
		struct segment *s = &l->segments[i];
		uint64_t stop = part_end(req, i);

		if (s->len >= stop)
			continue;
		if (!parked)
			list_add_tail(&s->waiters, &req->link);
		parked = true;
		if (s->want < stop)
			s->want = stop;
		if (s->job)
			job_promote(s->job);
		else if (list_is_empty(&s->ready))
			list_add_tail(&c->ready, &s->ready);
	}
}

static int deadline_arm(struct conductor *c)
{
	if (list_is_empty(&c->pending) || c->deadline.loop)
		return 0;
	return loop_timer_set(c->opts.loop, &c->deadline,
			      list_first(&c->pending, struct kreq, by_deadline)->deadline_ms);
}

static void deadline_fired(struct loop_timer *t)
{
	struct conductor *c = container_of(t, struct conductor, deadline);
	uint64_t now = io_now_ms();
	int r;

	while (!list_is_empty(&c->pending)) {
		struct kreq *req = list_first(&c->pending, struct kreq, by_deadline);

		if (req->deadline_ms > now)
			break;
		if (log_limit_ok(&c->expired_log))
			log_error("layer %.12s from %s: a read of %llu bytes at %llu got no data "
				  "within %u ms: I/O error for the reader", req->layer->blob_id,
				  req->layer->source ? req->layer->source->label : "nowhere",
				  (unsigned long long)req->len, (unsigned long long)req->off,
				  c->opts.deadline_ms);
		c->stats.expired++;
		request_answer(c, req, -EIO);
	}
	r = deadline_arm(c);
	if (r < 0)
		log_error("no timer for deadlines: %s", strerror(-r));
}

void conductor_request(struct conductor *c, struct kreq *req)
{
	struct layer *l = req->layer;

	list_init(&req->link);
	list_init(&req->by_deadline);
	req->arrived_us = io_now_us();
	req->deadline_ms = req->arrived_us / 1000 + c->opts.deadline_ms;
	c->stats.requests++;
	c->stats.pending++;
	if (c->stopping || l->fill.conductor != c || l->fill.removing || req->len == 0 ||
	    req->off >= l->map->blob_size || req->len > l->map->blob_size - req->off) {
		request_answer(c, req, -EIO);
		return;
	}
	if (layer_has(l, req->off, req->len)) {
		request_answer(c, req, 0);
		return;
	}
	list_add_tail(&c->pending, &req->by_deadline);
	if (deadline_arm(c) < 0) {
		request_answer(c, req, -EIO);
		return;
	}
	request_park(c, req);
	conductor_pump(c);
}

void conductor_request_drop(struct conductor *c, struct kreq *req)
{
	request_answer(c, req, -EIO);
}

static void waiters_fail(struct conductor *c, struct segment *s)
{
	s->want = 0;
	while (!list_is_empty(&s->waiters))
		request_answer(c, list_first(&s->waiters, struct kreq, link), -EIO);
}

void conductor_segment_grew(struct conductor *c, struct layer *l, uint32_t i)
{
	struct segment *s = &l->segments[i];
	struct kreq *req, *tmp;
	struct list later;

	list_init(&later);
	list_for_each_safe(req, tmp, &s->waiters, link) {
		if (s->len < part_end(req, i))
			continue;
		list_del(&req->link);
		if (layer_has(l, req->off, req->len))
			request_answer(c, req, 0);
		else
			list_add_tail(&later, &req->link);
	}
	while (!list_is_empty(&later)) {
		req = list_first(&later, struct kreq, link);
		list_del(&req->link);
		request_park(c, req);
	}
}

/* --- jobs --------------------------------------------------------------------------- */

static bool has_memory_for_job(const struct conductor *c)
{
	if (list_is_empty(&c->jobs))
		return true;
	return c->budget.used_bytes + JOB_BASE_BYTES <= c->budget.max_bytes;
}

/*
 * Segment i would fetch a span that the segment before it, busy or queued, needs as well:
 * that one's next job brings both what they want.
 */
static bool comes_with_previous(const struct layer *l, uint32_t i)
{
	const struct segment *prev = &l->segments[i] - 1;

	return i > 0 && (prev->job || !list_is_empty(&prev->ready)) &&
	       l->segments[i].len == 0 && plan_needs_next(l, i - 1, prev->want);
}

static void pump_faults(struct conductor *c)
{
	struct segment *s, *tmp;

	list_for_each_safe(s, tmp, &c->ready, ready) {
		struct layer *l = s->layer;
		uint32_t i = (uint32_t)(s - l->segments);
		struct err err = ERR_INIT;

		if (c->fault_jobs >= c->opts.max_jobs || !has_memory_for_job(c))
			return;
		if (!s->job && s->len < s->want && comes_with_previous(l, i))
			continue;	/* its end looks here again */
		list_del(&s->ready);
		/* A neighbour's job may have taken it meanwhile: its end queues it again. */
		if (s->job || s->len >= s->want)
			continue;
		if (job_start(c, l, i, s->want, false, &err) < 0) {
			if (log_limit_ok(&c->log))
				log_error("layer %.12s: %s", l->blob_id, err.text);
			waiters_fail(c, s);
		}
	}
}

void conductor_pump(struct conductor *c)
{
	if (c->stopping)
		return;
	pump_faults(c);
	background_update_pause(c);
	background_pump(c);
}

static void job_failed(struct conductor *c, const struct fill_job *job, const struct err *err)
{
	const struct layer *l = job->layer;

	c->stats.job_failures++;
	if (!log_limit_ok(&c->log))
		return;
	log_error("layer %.12s segment %u from %s: %s (%s)", l->blob_id, job->plan.segment,
		  l->source ? l->source->label : "nowhere", err->text,
		  err->num == ENOSPC ? "no space" : err_kind_name(err->kind));
}

static void segment_released(struct conductor *c, const struct fill_job *job, uint32_t i,
			     const struct err *err)
{
	struct segment *s = &job->layer->segments[i];

	/* A background job's failure is not the reader's, who came later: a job of its own
	 * decides that. Nor is it that of a segment that was only served on the side. */
	if (err && i == job->plan.segment && !job->began_background)
		waiters_fail(c, s);
	if (s->len >= s->want)
		s->want = 0;
	if (s->want && list_is_empty(&s->ready))
		list_add_tail(&c->ready, &s->ready);
}

void conductor_layer_released(struct conductor *c, struct layer *l)
{
	if (!l->fill.removing || l->fill.jobs || !l->fill.removed)
		return;
	l->fill.conductor = NULL;
	l->fill.removing = false;
	loop_post(c->opts.loop, &l->fill.removed_task);
}

void conductor_job_ended(struct conductor *c, struct fill_job *job, const struct err *err)
{
	struct layer *l = job->layer;
	const struct segment *s = &l->segments[job->plan.segment];
	struct err stuck = ERR_INIT;

	/* Unreachable unless plan and append disagree; it must not become an endless loop. */
	if (!err && (job->began_background ? s->len + s->carry_len <= job->start_pos
					   : s->len < job->want_end)) {
		err_set(&stuck, ERR_BUG, EIO, "the job ended at %llu of %llu bytes",
			(unsigned long long)s->len, (unsigned long long)job->want_end);
		err = &stuck;
	}
	if (err && !job->cancelled)
		job_failed(c, job, err);
	if (!c->stopping && !l->fill.removing) {
		if (job->began_background)
			background_job_ended(l, err);
		for (uint32_t i = 0; i < job->plan.nsegments; i++)
			segment_released(c, job, job->plan.first_segment + i, err);
	}
	conductor_layer_released(c, l);
	conductor_pump(c);
}

/* --- layers ------------------------------------------------------------------------- */

void conductor_layer_add(struct conductor *c, struct layer *l)
{
	l->fill.conductor = c;
	l->fill.removing = false;
	list_add_tail(&c->layers, &l->link);
	conductor_pump(c);
}

static void layer_removed(struct loop_task *t)
{
	struct layer_fill *f = container_of(t, struct layer_fill, removed_task);
	void (*done)(void *arg) = f->removed;

	f->removed = NULL;
	done(f->removed_arg);
}

void conductor_layer_remove(struct conductor *c, struct layer *l, void (*done)(void *arg),
			    void *arg)
{
	struct fill_job *job;

	l->fill.removing = true;
	l->fill.removed = done;
	l->fill.removed_arg = arg;
	l->fill.removed_task.run = layer_removed;
	list_del(&l->link);
	for (uint32_t i = 0; i < l->map->nsegments; i++) {
		list_del(&l->segments[i].ready);
		waiters_fail(c, &l->segments[i]);
	}
	list_for_each(job, &c->jobs, link)
		if (job->layer == l)
			job_cancel(job);
	conductor_layer_released(c, l);
}

struct layer *conductor_layer_find(struct conductor *c, const char *blob_id)
{
	struct layer *l;

	list_for_each(l, &c->layers, link)
		if (strcmp(l->blob_id, blob_id) == 0)
			return l;
	return NULL;
}

/* --- life --------------------------------------------------------------------------- */

int conductor_new(const struct conductor_opts *opts, struct conductor **ret, struct err *err)
{
	struct conductor *c = calloc(1, sizeof(*c));

	if (!c)
		return err_sys(err, ENOMEM, "conductor");
	c->opts = *opts;
	if (c->opts.max_jobs == 0)
		c->opts.max_jobs = 1;
	c->budget.max_bytes = opts->memory_max_bytes;
	list_init(&c->layers);
	list_init(&c->ready);
	list_init(&c->jobs);
	list_init(&c->pending);
	c->deadline.fired = deadline_fired;
	background_init(c);
	durable_init(c);
	*ret = c;
	return 0;
}

void conductor_free(struct conductor *c)
{
	struct fill_job *job;
	struct layer *l, *tmp;
	struct err err = ERR_INIT;

	if (!c)
		return;
	c->stopping = true;
	while (!list_is_empty(&c->pending))
		request_answer(c, list_first(&c->pending, struct kreq, by_deadline), -EIO);
	background_done(c);
	durable_done(c);
	list_for_each(job, &c->jobs, link)
		job_cancel(job);
	while (!list_is_empty(&c->jobs) || c->syncs) {
		if (loop_turn(c->opts.loop, -1, &err) < 0) {
			/* Workers may still use it all: better kept than freed under them. */
			log_error("fill jobs cannot be ended: %s", err.text);
			return;
		}
	}
	loop_timer_del(&c->deadline);
	list_for_each_safe(l, tmp, &c->layers, link) {
		list_del(&l->link);
		l->fill.conductor = NULL;
		for (uint32_t i = 0; i < l->map->nsegments; i++) {
			list_del(&l->segments[i].ready);
			l->segments[i].want = 0;
		}
	}
	free(c);
}

void conductor_stats_get(const struct conductor *c, struct conductor_stats *ret)
{
	*ret = c->stats;
	ret->memory_bytes = c->budget.used_bytes;
}
