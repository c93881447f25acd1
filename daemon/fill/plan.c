/* SPDX-License-Identifier: GPL-2.0-or-later */
/* plan.c - see plan.h. */
#include "daemon/fill/plan.h"

#include "base/io.h"

uint64_t plan_next_tar(const struct layer_map *m, uint32_t segment, uint64_t pos,
		       uint64_t *ret_extent)
{
	const struct map_segment *s = &m->segments[segment];
	uint64_t blob = s->blob_off + pos, end = s->blob_off + s->size;
	uint64_t x = layer_map_extent_find(m, blob);
	const struct map_extent *e;

	if (x < m->nextents && m->extents[x].blob_off + m->extents[x].len <= blob)
		x++;	/* in its padding */
	*ret_extent = x;
	if (x == m->nextents)
		return PLAN_NO_TAR;
	e = &m->extents[x];
	if (e->blob_off >= end)
		return PLAN_NO_TAR;
	return e->tar_off + (blob > e->blob_off ? blob - e->blob_off : 0);
}

/* Tar offset of the last data byte before `end` (from the segment's start, > 0). */
static uint64_t last_tar(const struct layer_map *m, uint32_t segment, uint64_t end)
{
	uint64_t blob = m->segments[segment].blob_off + end - 1;
	const struct map_extent *e = &m->extents[layer_map_extent_find(m, blob)];
	uint64_t at = blob - e->blob_off;

	return e->tar_off + (at < e->len ? at : e->len - 1);
}

static uint64_t segment_next_tar(const struct layer *l, uint32_t i)
{
	uint64_t x;

	return plan_next_tar(l->map, i, l->segments[i].len + l->segments[i].carry_len, &x);
}

bool plan_needs_next(const struct layer *l, uint32_t segment, uint64_t want_end)
{
	const struct layer_map *m = l->map;

	if (segment + 1 >= m->nsegments || want_end <= l->segments[segment].len)
		return false;
	return last_tar(m, segment, want_end) >=
	       m->spans[m->segments[segment + 1].first_span].out_start;
}

/* May a job that fetches [from, to) of the tar append to segment i on the side? */
static bool joins(const struct layer *l, uint32_t i, uint64_t from, uint64_t to)
{
	const struct segment *s = &l->segments[i];
	uint64_t next;

	if (s->job || s->len == l->map->segments[i].size)
		return false;
	next = segment_next_tar(l, i);
	return next != PLAN_NO_TAR && next >= from && next < to;
}

static uint32_t last_span(const struct layer_map *m, uint32_t segment, uint64_t want_end)
{
	const struct map_segment *s = &m->segments[segment];
	uint32_t wanted = layer_map_span_find(m, last_tar(m, segment, want_end));
	uint32_t whole = layer_map_span_find(m, last_tar(m, segment, s->size));

	if (segment + 1 < m->nsegments && whole >= s[1].first_span)
		whole = s[1].first_span - 1;
	return wanted > whole ? wanted : whole;
}

/* The span at which the idle segment before waits for its tail, or `first`. */
static uint32_t tail_before(const struct layer *l, uint32_t segment, uint32_t first)
{
	const struct segment *s = &l->segments[segment];
	uint64_t next;
	uint32_t span;

	if (segment == 0 || s->len || s->carry_len || s[-1].job ||
	    s[-1].len == l->map->segments[segment - 1].size)
		return first;
	next = segment_next_tar(l, segment - 1);
	if (next == PLAN_NO_TAR)
		return first;
	span = layer_map_span_find(l->map, next);
	return span >= l->map->segments[segment].first_span && span < first ? span : first;
}

void plan_make(const struct layer *l, uint32_t segment, uint64_t want_end, bool background,
	       struct fill_plan *ret)
{
	const struct layer_map *m = l->map;
	uint64_t next = segment_next_tar(l, segment), from, to;
	uint32_t last;

	/* A block is whole or absent: its last byte may lie in a later span. */
	want_end = io_round_up(want_end, MAP_BLOCK_BYTES);
	*ret = (struct fill_plan){ .segment = segment, .first_segment = segment, .nsegments = 1 };
	if (next == PLAN_NO_TAR)
		return;
	ret->first_span = layer_map_span_find(m, next);
	last = last_span(m, segment, want_end);
	/* All that is left is a tail in the next segment's spans, and nobody wants it now:
	 * fetch it all the same, as that is what the caller asked to fill. */
	if (last < ret->first_span)
		last = layer_map_span_find(m, last_tar(m, segment, m->segments[segment].size));
	if (background)
		ret->first_span = tail_before(l, segment, ret->first_span);
	ret->nspans = last - ret->first_span + 1;
	ret->comp_off = m->spans[ret->first_span].comp_start;
	ret->comp_len = m->spans[last].comp_end - ret->comp_off;

	from = m->spans[ret->first_span].out_start;
	to = m->spans[last].out_end;
	if (segment > 0 && joins(l, segment - 1, from, to)) {
		ret->first_segment--;
		ret->nsegments++;
	}
	if (segment + 1 < m->nsegments && joins(l, segment + 1, from, to))
		ret->nsegments++;
}
