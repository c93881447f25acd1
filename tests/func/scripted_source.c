/* SPDX-License-Identifier: GPL-2.0-or-later */
/* scripted_source.c - see scripted_source.h. */
#include "tests/func/scripted_source.h"

#include <stdlib.h>
#include <string.h>

struct scripted_read {
	struct loop_task task;
	struct list held;
	struct scripted *s;
	struct source_read *r;		/* NULL: cancelled or over */
	uint64_t off, len, pos;
	struct script script;
	bool posted, paused, waiting, in_data;
};

static uint32_t rnd(struct scripted *s)
{
	s->seed = s->seed * 1664525u + 1013904223u;
	return s->seed >> 8;
}

static void gone(struct scripted_read *sr)
{
	if (!sr->posted && !sr->in_data)
		free(sr);
}

static void finish(struct scripted_read *sr, const struct err *err)
{
	struct source_read *r = sr->r;

	sr->r = NULL;
	sr->s->under_way--;
	list_del(&sr->held);
	r->private = NULL;
	gone(sr);
	r->on_done(r, err);
}

static void fail(struct scripted_read *sr, int num, const char *text)
{
	struct err err = ERR_INIT;

	err_set(&err, ERR_NETWORK, num, "%s", text);
	finish(sr, &err);
}

/* Up to where this read serves bytes before its script strikes. */
static uint64_t stop_at(const struct scripted_read *sr)
{
	switch (sr->script.act) {
	case ACT_ERROR:
	case ACT_SHORT:
	case ACT_STALL:
	case ACT_HOLD:
		return sr->script.at < sr->len ? sr->script.at : sr->len;
	default:
		return sr->len;
	}
}

/* true when the read goes on. */
static bool strike(struct scripted_read *sr)
{
	uint8_t more = 0;

	switch (sr->script.act) {
	case ACT_ERROR:
		fail(sr, ECONNRESET, "scripted error");
		return false;
	case ACT_STALL:
	case ACT_HOLD:
		sr->waiting = true;
		list_del(&sr->held);
		list_add_tail(&sr->s->held, &sr->held);
		return true;
	case ACT_LONG:
		sr->in_data = true;
		sr->r->on_data(sr->r, &more, 1);
		sr->in_data = false;
		if (!sr->r) {
			gone(sr);
			return false;
		}
		fail(sr, EPROTO, "scripted extra byte was refused");
		return false;
	default:
		finish(sr, NULL);
		return false;
	}
}

/* One piece. false when the read is over (and sr gone). */
static bool serve(struct scripted_read *sr)
{
	struct scripted *s = sr->s;
	uint64_t stop = stop_at(sr), n;
	uint8_t buf[65536];
	int r;

	if (sr->pos == stop)
		return strike(sr);
	n = 1 + rnd(s) % s->piece_max;
	if (n > stop - sr->pos)
		n = stop - sr->pos;
	if (n > sizeof(buf))
		n = sizeof(buf);
	memcpy(buf, s->data + sr->off + sr->pos, n);
	if (sr->script.act == ACT_FLIP && sr->script.at >= sr->pos && sr->script.at < sr->pos + n)
		buf[sr->script.at - sr->pos] ^= 4;
	sr->pos += n;
	s->served_bytes += n;
	sr->in_data = true;
	r = sr->r->on_data(sr->r, buf, n);
	sr->in_data = false;
	if (!sr->r) {
		gone(sr);
		return false;
	}
	if (r < 0) {
		fail(sr, -r, "data not taken");
		return false;
	}
	return true;
}

static void post(struct scripted_read *sr)
{
	if (sr->posted || sr->paused || sr->waiting)
		return;
	sr->posted = true;
	loop_post(sr->s->loop, &sr->task);
}

static void run(struct loop_task *t)
{
	struct scripted_read *sr = container_of(t, struct scripted_read, task);

	sr->posted = false;
	if (!sr->r)
		free(sr);
	else if (!sr->paused && serve(sr))
		post(sr);
}

static int scripted_read(struct source *source, uint64_t off, uint64_t len,
			 uint32_t deadline_ms, struct source_read *r, struct err *err)
{
	struct scripted *s = container_of(source, struct scripted, source);
	struct script script = { ACT_GOOD, 0 };
	struct scripted_read *sr;

	(void)deadline_ms;
	if (s->trouble_one_in && rnd(s) % s->trouble_one_in == 0) {
		static const enum act acts[] = { ACT_REFUSE, ACT_ERROR, ACT_SHORT, ACT_LONG,
						 ACT_FLIP, ACT_INSIDE };

		script.act = acts[rnd(s) % (sizeof(acts) / sizeof(acts[0]))];
		script.at = rnd(s) % (len ? len : 1);
	} else if (s->always)
		script = s->script[0];
	else if (s->reads < sizeof(s->script) / sizeof(s->script[0]))
		script = s->script[s->reads];
	s->reads++;
	if (script.act == ACT_REFUSE)
		return err_set(err, ERR_NETWORK, ECONNREFUSED, "scripted refusal");
	if (off > s->size || len > s->size - off || len == 0)
		return err_set(err, ERR_BUG, EINVAL, "read outside the layer");
	sr = calloc(1, sizeof(*sr));
	if (!sr)
		return err_sys(err, ENOMEM, "read");
	sr->s = s;
	sr->r = r;
	sr->off = off;
	sr->len = len;
	sr->script = script;
	sr->task.run = run;
	list_init(&sr->held);
	r->private = sr;
	s->under_way++;
	if (script.act == ACT_INSIDE)
		while (!sr->paused)
			if (!serve(sr))
				return 0;
	post(sr);
	return 0;
}

static void scripted_cancel(struct source *source, struct source_read *r)
{
	(void)source;
	fail(r->private, ECANCELED, "cancelled");
}

static void scripted_pause(struct source *source, struct source_read *r, int pause)
{
	struct scripted_read *sr = r->private;

	(void)source;
	sr->paused = pause;
	if (!pause && !sr->in_data)
		post(sr);
}

static void scripted_free(struct source *source)
{
	container_of(source, struct scripted, source)->freed = true;
}

void scripted_release(struct scripted *s)
{
	while (!list_is_empty(&s->held)) {
		struct scripted_read *sr = list_first(&s->held, struct scripted_read, held);

		list_del(&sr->held);
		sr->waiting = false;
		sr->script.act = ACT_GOOD;
		post(sr);
	}
}

void scripted_fail_held(struct scripted *s)
{
	while (!list_is_empty(&s->held))
		fail(list_first(&s->held, struct scripted_read, held), ECONNRESET, "scripted error");
}

void scripted_init(struct scripted *s, struct loop *l, const uint8_t *data, uint64_t size)
{
	static const struct source_ops ops = {
		.name = "scripted",
		.read = scripted_read,
		.cancel = scripted_cancel,
		.pause = scripted_pause,
		.free = scripted_free,
	};

	*s = (struct scripted){
		.source = { &ops, "scripted source" }, .loop = l, .data = data, .size = size,
		.piece_max = 40000, .seed = 1,
	};
	list_init(&s->held);
}
