/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The timer heap: order, removal from anywhere, moving; against a sorted model. */
#include "daemon/loop/timers.h"

#include "tests/unit/tap.h"

#define N 500

static struct loop_timer t[N];
static bool in[N];

static uint32_t rnd(void)
{
	static uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

static bool is_heap(const struct timers *h)
{
	for (uint32_t i = 0; i < h->count; i++) {
		if (h->heap[i]->heap_index != i)
			return false;
		if (i && h->heap[(i - 1) / 2]->at_ms > h->heap[i]->at_ms)
			return false;
	}
	return true;
}

static uint64_t earliest(void)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < N; i++)
		if (in[i] && t[i].at_ms < best)
			best = t[i].at_ms;
	return best;
}

int main(void)
{
	struct timers h = { 0 };
	bool heap = true, first = true;
	uint32_t count = 0;

	ok(timers_first(&h) == NULL, "an empty heap has no first timer");
	for (int step = 0; step < 20000; step++) {
		uint32_t i = rnd() % N;

		if (!in[i]) {
			t[i].at_ms = rnd() % 1000;
			if (timers_add(&h, &t[i]) < 0)
				bail("out of memory");
			in[i] = true;
			count++;
		} else if (rnd() % 2) {
			t[i].at_ms = rnd() % 1000;
			timers_moved(&h, &t[i]);
		} else {
			timers_remove(&h, &t[i]);
			in[i] = false;
			count--;
		}
		if (step % 16 == 0) {
			heap = heap && is_heap(&h) && h.count == count;
			if (count)
				first = first && timers_first(&h)->at_ms == earliest();
		}
	}
	ok(heap, "stays a heap under adding, moving and removing");
	ok(first, "the first timer is the earliest");

	uint64_t last = 0;
	bool sorted = true;

	while (h.count) {
		struct loop_timer *f = timers_first(&h);

		sorted = sorted && f->at_ms >= last;
		last = f->at_ms;
		timers_remove(&h, f);
	}
	ok(sorted, "taken one by one they come in order");
	timers_done(&h);
	return tap_done();
}
