/* SPDX-License-Identifier: GPL-2.0-or-later */
/* plan.c on a map made by hand: ranges, tails, and who joins a job. */
#include "daemon/fill/plan.h"

#include "tests/unit/tap.h"

#define MIB (1ull << 20)

/*
 * Spans of 4 MiB of tar, 1 MiB compressed (each sharing a byte with the next).
 * File A: tar [512, 512 + 6.5 MiB): chunks at 0..6 MiB; chunk 3 starts in span 0 and ends in
 * span 1. File B: tar [7 MiB, 7 MiB + 100). File C: tar [9 MiB, 9 MiB + 2 MiB).
 *	segment 0: A's chunks 0..3    (4 MiB; the last 512 bytes are in span 1)
 *	segment 1: A's chunks 4..6, B (2.5 MiB + 4 KiB)
 *	segment 2: C                  (2 MiB)
 */
static struct layer *make_layer(void)
{
	struct layer_map *m = calloc(1, sizeof(*m));
	struct layer *l = NULL;
	struct err err = ERR_INIT;

	m->compression = ZTOC_GZIP;
	m->nspans = 3;
	m->nextents = 3;
	m->nsegments = 3;
	m->comp_size = 3 * MIB;
	m->out_size = 12 * MIB;
	m->spans = calloc(3, sizeof(*m->spans));
	m->segments = calloc(3, sizeof(*m->segments));
	m->extents = calloc(3, sizeof(*m->extents));
	for (uint32_t i = 0; i < 3; i++)
		m->spans[i] = (struct map_span){
			.comp_start = i * MIB - (i > 0), .comp_end = (i + 1) * MIB,
			.out_start = 4 * MIB * i, .out_end = 4 * MIB * (i + 1),
			.bits = i ? 3 : 0,
		};
	m->extents[0] = (struct map_extent){ 0, 512, 6 * MIB + MIB / 2 };
	m->extents[1] = (struct map_extent){ 6 * MIB + MIB / 2, 7 * MIB, 100 };
	m->extents[2] = (struct map_extent){ 6 * MIB + MIB / 2 + 4096, 9 * MIB, 2 * MIB };
	m->segments[0] = (struct map_segment){ 0, 4 * MIB, 0, 1 };
	m->segments[1] = (struct map_segment){ 4 * MIB, 5 * MIB / 2 + 4096, 1, 1 };
	m->segments[2] = (struct map_segment){ 13 * MIB / 2 + 4096, 2 * MIB, 2, 1 };
	m->blob_size = 17 * MIB / 2 + 4096;
	if (layer_new(m, -1, NULL, &l, &err) < 0)
		bail("%s", err.text);
	return l;
}

static struct layer *l;

static void stand(uint32_t segment, uint64_t pos)
{
	l->segments[segment].len = pos - pos % 4096;
	l->segments[segment].carry_len = (uint16_t)(pos % 4096);
}

static bool plan_is(uint32_t segment, uint64_t want_end, uint32_t first, uint32_t nspans,
		    uint32_t first_segment, uint32_t nsegments)
{
	struct fill_plan p;

	plan_make(l, segment, want_end, false, &p);
	if (p.first_span == first && p.nspans == nspans && p.first_segment == first_segment &&
	    p.nsegments == nsegments)
		return true;
	printf("#   spans %u+%u, segments %u+%u\n", p.first_span, p.nspans, p.first_segment,
	       p.nsegments);
	return false;
}

int main(void)
{
	struct fill_plan p;
	uint64_t x;
	struct fill_job *busy = (struct fill_job *)(uintptr_t)1;

	l = make_layer();
	is_int(plan_next_tar(l->map, 0, 0, &x), 512, "a segment's first byte");
	is_int(plan_next_tar(l->map, 1, 5 * MIB / 2 - 1, &x), 512 + 13 * MIB / 2 - 1,
	       "the last byte of a file");
	is_int(plan_next_tar(l->map, 1, 5 * MIB / 2, &x), 7 * MIB, "then the first of the next");
	is_int(plan_next_tar(l->map, 1, 5 * MIB / 2 + 100, &x), -1, "only padding is left");

	ok(plan_is(0, 4096, 0, 1, 0, 1), "a read at the front: the segment's own span");
	ok(plan_is(0, 4 * MIB - 4096, 0, 1, 0, 1), "up to where the tail begins: still its own");
	ok(plan_is(0, 4 * MIB, 0, 2, 0, 2), "the tail is wanted: the next span too, for both");
	plan_make(l, 0, 4 * MIB, false, &p);
	ok(p.comp_off == 0 && p.comp_len == 2 * MIB, "in one range");
	ok(plan_is(1, 4096, 1, 1, 1, 1), "an empty segment 0 cannot join 1's job");
	plan_make(l, 1, 4096, false, &p);
	ok(p.comp_off == MIB - 1 && p.comp_len == MIB + 1, "the shared byte is read again");

	stand(0, 4 * MIB - 512);
	ok(plan_is(1, 4096, 1, 1, 0, 2), "segment 0 at its tail joins 1's job");
	ok(plan_is(0, 4 * MIB, 1, 1, 0, 2), "0's tail: span 1 only, and 1 joins");
	l->segments[0].job = busy;
	ok(plan_is(1, 4096, 1, 1, 1, 1), "a busy one does not join");
	l->segments[0].job = NULL;
	stand(0, 4 * MIB - 4096);
	ok(plan_is(1, 4096, 1, 1, 1, 1), "one that lost its carry (restart) does not join");
	stand(0, 4 * MIB);
	ok(plan_is(1, 4096, 1, 1, 1, 1), "a complete one does not join");

	stand(0, 4 * MIB - 512);
	stand(1, 4096);
	ok(plan_is(0, 4 * MIB, 1, 1, 0, 2), "one that stands in the middle of the span joins");
	stand(1, 5 * MIB / 2 + 4096);
	ok(plan_is(0, 4 * MIB, 1, 1, 0, 1), "a complete one does not");
	ok(plan_is(0, 1, 1, 1, 0, 1), "nothing but the tail is left: it is fetched");
	stand(1, 5 * MIB / 2 + 100);
	ok(plan_is(1, 5 * MIB / 2 + 4096, 0, 0, 1, 1), "padding only: no span at all");
	ok(plan_is(2, 2 * MIB, 2, 1, 2, 1), "the last segment");
	ok(layer_has(l, 0, 4096) && !layer_has(l, 4 * MIB - 8192, 8192),
	   "present is what lies below the lengths");
	stand(0, 4 * MIB);
	ok(layer_has(l, 4 * MIB - 4096, 8192), "across segments");

	l->map->spans[1].out_start--;
	struct layer *bad = NULL;
	struct err err = ERR_INIT;
	struct layer_map *m = l->map;

	l->map = calloc(1, sizeof(*m));
	layer_free(l);
	is_int(layer_new(m, -1, NULL, &bad, &err), -EBADMSG, "spans with a gap are refused");
	return tap_done();
}
