/* SPDX-License-Identifier: GPL-2.0-or-later */
/* timers.c - see timers.h. */
#include "daemon/loop/timers.h"

#include <errno.h>
#include <stdlib.h>

static void place(struct timers *h, uint32_t i, struct loop_timer *t)
{
	h->heap[i] = t;
	t->heap_index = i;
}

static void sift_up(struct timers *h, uint32_t i)
{
	struct loop_timer *t = h->heap[i];

	while (i > 0 && h->heap[(i - 1) / 2]->at_ms > t->at_ms) {
		place(h, i, h->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(h, i, t);
}

static void sift_down(struct timers *h, uint32_t i)
{
	struct loop_timer *t = h->heap[i];

	for (;;) {
		uint32_t k = 2 * i + 1;

		if (k >= h->count)
			break;
		if (k + 1 < h->count && h->heap[k + 1]->at_ms < h->heap[k]->at_ms)
			k++;
		if (h->heap[k]->at_ms >= t->at_ms)
			break;
		place(h, i, h->heap[k]);
		i = k;
	}
	place(h, i, t);
}

void timers_done(struct timers *h)
{
	free(h->heap);
	*h = (struct timers){ 0 };
}

int timers_add(struct timers *h, struct loop_timer *t)
{
	if (h->count == h->cap) {
		uint32_t cap = h->cap ? h->cap * 2 : 16;
		struct loop_timer **heap = reallocarray(h->heap, cap, sizeof(*heap));

		if (!heap)
			return -ENOMEM;
		h->heap = heap;
		h->cap = cap;
	}
	place(h, h->count++, t);
	sift_up(h, t->heap_index);
	return 0;
}

void timers_moved(struct timers *h, struct loop_timer *t)
{
	sift_up(h, t->heap_index);
	sift_down(h, t->heap_index);
}

void timers_remove(struct timers *h, struct loop_timer *t)
{
	uint32_t i = t->heap_index;
	struct loop_timer *last = h->heap[--h->count];

	if (last == t)
		return;
	place(h, i, last);
	timers_moved(h, last);
}

struct loop_timer *timers_first(const struct timers *h)
{
	return h->count ? h->heap[0] : NULL;
}
