/* SPDX-License-Identifier: GPL-2.0-or-later */
/* timer.c - see timer.h. */
#include "oci/timer.h"

#include "base/io.h"

void timers_init(struct timers *ts)
{
	list_init(&ts->head);
}

void timer_init(struct timer *t, void (*fn)(void *arg), void *arg)
{
	list_init(&t->node);
	t->fn = fn;
	t->arg = arg;
}

void timer_start(struct timers *ts, struct timer *t, uint64_t in_ms)
{
	struct list *after;

	timer_stop(t);
	t->due_ms = io_now_ms() + in_ms;
	after = ts->head.prev;
	while (after != &ts->head && container_of(after, struct timer, node)->due_ms > t->due_ms)
		after = after->prev;
	list_add_tail(after->next, &t->node);
}

void timer_stop(struct timer *t)
{
	list_del(&t->node);
}

void timers_run(struct timers *ts, uint64_t now_ms)
{
	while (!list_is_empty(&ts->head)) {
		struct timer *t = list_first(&ts->head, struct timer, node);

		if (t->due_ms > now_ms)
			return;
		timer_stop(t);
		t->fn(t->arg);
	}
}

int64_t timers_next(const struct timers *ts, uint64_t now_ms)
{
	const struct timer *t;

	if (list_is_empty(&ts->head))
		return -1;
	t = list_first(&ts->head, struct timer, node);
	return t->due_ms <= now_ms ? 0 : (int64_t)(t->due_ms - now_ms);
}
