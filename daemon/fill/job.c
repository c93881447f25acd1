/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * job.c - one fill job: a run of spans in one read of the source, appended as they arrive.
 *
 *	source --on_data--> pieces --step--> worker: hash, inflate, append --done--> publish
 *	   ^                  |                                                        |
 *	   +--- pause --------+ (more than JOB_WINDOW_BYTES wait)    conductor_segment_grew()
 *
 * The worker runs one step at a time; job_advance() decides what is next whenever
 * something changed (bytes came, a step ended, the source ended). It runs from the loop's
 * mailbox or from the end of a step, never inside a source's callback, so a job can end
 * there without a caller still holding it.
 *
 * Why a fault fetches the rest of its segment in the same request: the bytes come in
 * order, so those waited for are answered as soon as their span is through, whatever
 * follows; and a second request would cost a round trip (20-100 ms to a registry, as long
 * as some megabytes take to come). What follows is bounded by the segment: 4 MiB of tar.
 *
 * A digest mismatch is answered with one fresh read from the start of that span; a second
 * one ends the job (CORRUPT). Loop thread, but job_work().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "daemon/fill/conductor_private.h"
#include "daemon/log.h"

static void job_advance(struct fill_job *job);

static void job_kicked(struct loop_task *t)
{
	struct fill_job *job = container_of(t, struct fill_job, kick);

	job->kicked = false;
	job_advance(job);
}

static void job_kick(struct fill_job *job)
{
	if (job->kicked || job->working || job->ended)
		return;
	job->kicked = true;
	loop_post(job->c->opts.loop, &job->kick);
}

/* --- worker ------------------------------------------------------------------------ */

static void job_work(struct pool_job *pj)
{
	struct fill_job *job = container_of(pj, struct fill_job, pool_job);
	int r = 0;

	if (!job->padded) {
		job->padded = true;
		r = append_pad(&job->append, &job->step_err);
	}
	if (r == 0)
		r = decode_step(&job->decode, &job->step_err);
	job->step_result = r;
}

static void publish(struct fill_job *job)
{
	struct conductor *c = job->c;
	struct layer *l = job->layer;

	for (uint32_t i = 0; i < job->append.ntargets; i++) {
		const struct append_target *t = &job->append.target[i];
		struct segment *s = &l->segments[t->segment];

		s->complete_told = t->complete_told;
		if (t->len == s->len)
			continue;
		l->present_bytes += t->len - s->len;
		/* Transports read it from workers (layer_sync). */
		__atomic_store_n(&s->len, t->len, __ATOMIC_RELEASE);
		durable_layer_written(c, l);
		conductor_segment_grew(c, l, t->segment);
	}
	c->stats.written_bytes += job->append.written_bytes;
	job->append.written_bytes = 0;
	c->stats.spans_verified += job->decode.spans_verified;
	job->decode.spans_verified = 0;
}

static void job_worked(struct pool_job *pj)
{
	struct fill_job *job = container_of(pj, struct fill_job, pool_job);

	job->working = false;
	job->more = job->decode.more;
	job->queued_bytes -= job->decode.consumed_bytes;
	job->decode.consumed_bytes = 0;
	publish(job);
	job_advance(job);
}

static void job_submit(struct fill_job *job)
{
	while (!list_is_empty(&job->pieces)) {
		struct list *node = job->pieces.next;

		list_del(node);
		list_add_tail(&job->decode.pieces, node);
	}
	job->working = true;
	job->more = false;
	job->pool_job.work = job_work;
	job->pool_job.done = job_worked;
	job->pool_job.prio = job->background ? POOL_BACKGROUND : POOL_FAULT;
	pool_submit(job->c->opts.pool, &job->pool_job);
}

/* --- source ------------------------------------------------------------------------ */

void job_update_pause(struct fill_job *job)
{
	struct source *s = job->layer->source;
	/* Some slack between off and on, so that they do not alternate at each piece. */
	uint64_t limit = job->paused ? JOB_WINDOW_BYTES / 2 : JOB_WINDOW_BYTES;
	bool pause = job->queued_bytes > limit ||
		     (job->background && background_is_held(job->c));

	if (!job->reading || pause == job->paused)
		return;
	job->paused = pause;
	job->progress_ms = io_now_ms();
	s->ops->pause(s, &job->read, pause);
}

static int queue_bytes(struct fill_job *job, const uint8_t *data, uint64_t len)
{
	while (len) {
		struct piece *p = NULL;
		uint64_t n;

		if (!list_is_empty(&job->pieces))
			p = container_of(job->pieces.prev, struct piece, link);
		if (!p || p->len == PIECE_BYTES) {
			p = malloc(sizeof(*p));
			if (!p)
				return -ENOMEM;
			p->len = p->used = 0;
			list_add_tail(&job->pieces, &p->link);
		}
		n = PIECE_BYTES - p->len < len ? PIECE_BYTES - p->len : len;
		memcpy(p->data + p->len, data, n);
		p->len += (uint32_t)n;
		job->queued_bytes += n;
		data += n;
		len -= n;
	}
	return 0;
}

static int job_on_data(struct source_read *r, const uint8_t *data, uint64_t len)
{
	struct fill_job *job = container_of(r, struct fill_job, read);
	struct conductor *c = job->c;
	int ret;

	if (job->cancelled || job->ended)
		return -ECANCELED;
	if (len > job->read_len - job->received_bytes)
		return -EPROTO;
	ret = queue_bytes(job, data, len);
	if (ret < 0)
		return ret;
	job->received_bytes += len;
	job->progress_ms = io_now_ms();
	c->stats.fetched_bytes += len;
	if (job->background) {
		c->stats.background_bytes += len;
		background_charge(c, len);
	}
	job_update_pause(job);
	job_kick(job);
	return 0;
}

static void job_on_done(struct source_read *r, const struct err *err)
{
	struct fill_job *job = container_of(r, struct fill_job, read);

	job->reading = job->paused = false;
	loop_timer_del(&job->watchdog);
	if (err)
		job->source_err = *err;
	else if (job->received_bytes < job->read_len)
		err_set(&job->source_err, ERR_NETWORK, EIO, "the source ended %llu bytes early",
			(unsigned long long)(job->read_len - job->received_bytes));
	if (err && job->source_err.num == 0)
		job->source_err.num = EIO;
	job_kick(job);
}

static void job_stop_reading(struct fill_job *job)
{
	struct source *s = job->layer->source;

	if (job->reading)
		s->ops->cancel(s, &job->read);
}

static void job_watchdog(struct loop_timer *t)
{
	struct fill_job *job = container_of(t, struct fill_job, watchdog);
	uint64_t due = job->progress_ms + job->c->opts.deadline_ms, now = io_now_ms();
	struct err why;

	if (job->paused)
		due = now + job->c->opts.deadline_ms;	/* its silence is our wish */
	if (due > now) {
		loop_timer_set(job->c->opts.loop, t, due);
		return;
	}
	job_stop_reading(job);
	why = job->source_err;	/* what it had been trying to get over */
	err_set(&job->source_err, ERR_NETWORK, ETIMEDOUT, "no data for %u ms%s%s",
		job->c->opts.deadline_ms, why.kind == ERR_NETWORK ? "; last: " : "",
		why.kind == ERR_NETWORK ? why.text : "");
	job_kick(job);
}

/* Read from the first byte of the decoder's current span to the end of the last one. */
static int job_read(struct fill_job *job, struct err *err)
{
	struct source *s = job->layer->source;
	uint64_t off = job->layer->map->spans[job->decode.span].comp_start;
	uint64_t len = job->plan.comp_off + job->plan.comp_len - off;
	uint64_t limit_ms = job->c->opts.deadline_ms + len / JOB_MIN_BYTES_PER_MS;
	int r;

	if (!s)
		return err_set(err, ERR_NETWORK, ENETDOWN, "no source: it is served offline");
	job->source_err = (struct err)ERR_INIT;
	job->read = (struct source_read){
		.on_data = job_on_data, .on_done = job_on_done, .background = job->background,
	};
	job->read_len = len;
	job->received_bytes = job->queued_bytes = 0;
	job->progress_ms = io_now_ms();
	job->reading = true;
	job->paused = false;
	r = loop_timer_set(job->c->opts.loop, &job->watchdog,
			   job->progress_ms + job->c->opts.deadline_ms);
	if (r < 0) {
		job->reading = false;
		return err_sys(err, -r, "timer");
	}
	r = s->ops->read(s, off, len, limit_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)limit_ms,
			 &job->read, err);
	if (r < 0) {
		job->reading = false;
		loop_timer_del(&job->watchdog);
		return r;
	}
	job_update_pause(job);
	return 0;
}

/* --- life -------------------------------------------------------------------------- */

static void pieces_drop(struct fill_job *job)
{
	while (!list_is_empty(&job->pieces)) {
		struct piece *p = list_first(&job->pieces, struct piece, link);

		list_del(&p->link);
		free(p);
	}
	job->queued_bytes = 0;
}

/* What is left of a block goes back to its segment, for the next job. */
static void carry_back(struct fill_job *job)
{
	for (uint32_t i = 0; i < job->append.ntargets; i++) {
		const struct append_target *t = &job->append.target[i];
		struct segment *s = &job->layer->segments[t->segment];

		s->job = NULL;
		s->carry_len = 0;
		if (!t->carry_len || !s->carry) {
			free(s->carry);
			s->carry = NULL;
		}
		if (!t->carry_len)
			continue;
		if (!s->carry)
			s->carry = malloc(MAP_BLOCK_BYTES);
		/* Without memory for it these few bytes are fetched once more. */
		if (!s->carry)
			continue;
		memcpy(s->carry, t->carry, t->carry_len);
		s->carry_len = t->carry_len;
	}
}

static void job_free(struct fill_job *job)
{
	pieces_drop(job);
	decode_done(&job->decode);
	append_done(&job->append);
	loop_timer_del(&job->watchdog);
	if (job->base_taken)
		budget_give(&job->c->budget, JOB_BASE_BYTES);
	free(job);
}

static void job_end(struct fill_job *job, const struct err *err)
{
	struct conductor *c = job->c;

	job->ended = true;	/* on_done of the cancelled read posts nothing any more */
	job_stop_reading(job);
	carry_back(job);
	list_del(&job->link);
	job->layer->fill.jobs--;
	if (job->background)
		c->background_jobs--;
	else
		c->fault_jobs--;
	conductor_job_ended(c, job, err);
	job_free(job);
}

/* The digest of a span differs: once, fetch it again. True when the job goes on. */
static bool job_retry(struct fill_job *job)
{
	struct conductor *c = job->c;
	struct err err = ERR_INIT;

	c->stats.digest_mismatches++;
	if (job->retried || job->cancelled)
		return false;
	if (log_limit_ok(&c->log))
		log_warning("layer %.12s from %s: %s; fetching it again", job->layer->blob_id,
			    job->layer->source->label, job->step_err.text);
	job->retried = true;
	job_stop_reading(job);
	pieces_drop(job);
	decode_restart(&job->decode);
	job->step_result = 0;
	if (job_read(job, &err) < 0) {
		job->source_err = err;
		job_kick(job);
	}
	return true;
}

static void job_advance(struct fill_job *job)
{
	struct err err = ERR_INIT;

	if (job->working || job->kicked)
		return;
	if (job->cancelled) {
		err_set(&err, ERR_SYSTEM, ECANCELED, "cancelled");
		job_end(job, &err);
	} else if (job->step_result == -EBADMSG && job->decode.mismatch && job_retry(job)) {
		return;
	} else if (job->step_result < 0) {
		if (job->step_err.num == 0)
			job->step_err.num = -job->step_result;
		job_end(job, &job->step_err);
	} else if (!list_is_empty(&job->pieces) || job->more || !job->padded) {
		job_submit(job);
		job_update_pause(job);
	} else if (job->reading) {
		/* Also when all is through: on_done comes right after the last byte, and a
		 * connection that ends well can be used again. */
		job_update_pause(job);
	} else if (job->decode.span == job->decode.end_span) {
		job_end(job, NULL);
	} else if (job->source_err.num) {
		job_end(job, &job->source_err);
	} else {
		err_set(&err, ERR_BUG, EIO, "span %u: bytes are missing", job->decode.span);
		job_end(job, &err);
	}
}

void job_cancel(struct fill_job *job)
{
	job->cancelled = true;
	job_stop_reading(job);
	job_kick(job);
}

void job_promote(struct fill_job *job)
{
	if (!job->background)
		return;
	job->background = false;
	job->c->background_jobs--;
	job->c->fault_jobs++;
	/* Its step may be queued behind a sync that takes seconds. */
	if (job->working)
		pool_promote(job->c->opts.pool, &job->pool_job);
	job_update_pause(job);
}

static struct fill_job *job_new(struct conductor *c, struct layer *l, struct err *err)
{
	struct fill_job *job = calloc(1, sizeof(*job));

	if (!job) {
		err_sys(err, ENOMEM, "fill job");
		return NULL;
	}
	job->c = c;
	job->layer = l;
	list_init(&job->link);
	list_init(&job->pieces);
	job->kick.run = job_kicked;
	job->watchdog.fired = job_watchdog;
	job->decode = (struct decode){
		.layer = l, .append = &job->append, .budget = &c->budget,
		.spool_bytes = c->opts.spool_bytes, .spool_dirfd = c->opts.spool_dirfd,
	};
	return job;
}

int job_start(struct conductor *c, struct layer *l, uint32_t segment, uint64_t want_end,
	      bool background, struct err *err)
{
	struct fill_job *job = job_new(c, l, err);
	int r;

	if (!job)
		return -ENOMEM;
	plan_make(l, segment, want_end, background, &job->plan);
	decode_init(&job->decode, &job->plan);
	r = append_init(&job->append, l, &job->plan);
	if (r < 0) {
		job_free(job);
		return err_sys(err, -r, "fill job");
	}
	job->background = job->began_background = background;
	job->want_end = want_end;
	job->start_pos = l->segments[segment].len + l->segments[segment].carry_len;
	budget_force(&c->budget, JOB_BASE_BYTES);
	job->base_taken = true;
	for (uint32_t i = 0; i < job->plan.nsegments; i++)
		l->segments[job->plan.first_segment + i].job = job;
	list_add_tail(&c->jobs, &job->link);
	l->fill.jobs++;
	c->stats.jobs++;
	if (background)
		c->background_jobs++;
	else
		c->fault_jobs++;
	if (job->plan.nspans && job_read(job, &job->source_err) < 0 && job->source_err.num == 0)
		job->source_err.num = EIO;
	job_kick(job);
	return 0;
}
