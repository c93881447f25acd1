/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * durable.c - makes what was filled survive a machine crash: transport->layer_sync() on the
 * pool, when a layer became complete, and else sync_ms after its first unrecorded write.
 * One sync per layer at a time. A failure is logged and tried again: it costs the fetched
 * bytes after a crash, never truth. Loop thread, but sync_work().
 */
#include <errno.h>
#include <stdlib.h>

#include "base/io.h"
#include "daemon/fill/conductor_private.h"
#include "daemon/log.h"

struct sync_job {
	struct pool_job pool_job;
	struct conductor *c;
	struct layer *layer;
	int result;
	struct err err;
};

static void schedule(struct conductor *c);

static void sync_work(struct pool_job *pj)
{
	struct sync_job *sj = container_of(pj, struct sync_job, pool_job);
	struct transport *t = sj->layer->transport;

	sj->result = t->ops->layer_sync(t, sj->layer, &sj->err);
}

static void sync_done(struct pool_job *pj)
{
	struct sync_job *sj = container_of(pj, struct sync_job, pool_job);
	struct conductor *c = sj->c;
	struct layer *l = sj->layer;

	if (sj->result < 0) {
		if (log_limit_ok(&c->log))
			log_warning("layer %.12s: what was filled is not recorded as durable: %s",
				    l->blob_id, sj->err.text);
		l->fill.dirty = true;
		l->fill.dirty_ms = io_now_ms();		/* not at once again */
	}
	l->fill.syncing = false;
	l->fill.jobs--;
	c->syncs--;
	free(sj);
	conductor_layer_released(c, l);
	schedule(c);
}

static void sync_start(struct conductor *c, struct layer *l)
{
	struct sync_job *sj;

	if (l->fill.syncing || l->fill.removing || c->stopping)
		return;
	sj = calloc(1, sizeof(*sj));
	if (!sj) {
		l->fill.dirty_ms = io_now_ms();	/* the timer comes back to it */
		return;
	}
	sj->pool_job = (struct pool_job){
		.work = sync_work, .done = sync_done, .prio = POOL_BACKGROUND,
	};
	sj->c = c;
	sj->layer = l;
	l->fill.dirty = false;
	l->fill.syncing = true;
	l->fill.jobs++;
	c->syncs++;
	pool_submit(c->opts.pool, &sj->pool_job);
}

static void timer_fired(struct loop_timer *t)
{
	struct conductor *c = container_of(t, struct conductor, sync_timer);
	uint64_t now = io_now_ms();
	struct layer *l;

	list_for_each(l, &c->layers, link)
		if (l->fill.dirty && l->fill.dirty_ms + c->opts.sync_ms <= now)
			sync_start(c, l);
	schedule(c);
}

/* Set the timer for the layer that is due first. */
static void schedule(struct conductor *c)
{
	uint64_t first = UINT64_MAX;
	struct layer *l;

	if (!c->opts.sync_ms || c->stopping)
		return;
	list_for_each(l, &c->layers, link)
		if (l->fill.dirty && !l->fill.syncing && l->fill.dirty_ms < first)
			first = l->fill.dirty_ms;
	if (first != UINT64_MAX)
		loop_timer_set(c->opts.loop, &c->sync_timer, first + c->opts.sync_ms);
}

void durable_layer_written(struct conductor *c, struct layer *l)
{
	if (!l->fill.dirty) {
		l->fill.dirty = true;
		l->fill.dirty_ms = io_now_ms();
		if (!c->sync_timer.loop)
			schedule(c);
	}
	if (layer_is_complete(l))
		sync_start(c, l);
}

void durable_init(struct conductor *c)
{
	c->sync_timer.fired = timer_fired;
}

void durable_done(struct conductor *c)
{
	loop_timer_del(&c->sync_timer);
}
