/* SPDX-License-Identifier: GPL-2.0-or-later */
/* append.c - see append.h. */
#include "daemon/fill/append.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/kernel/transport.h"
#include "daemon/log.h"

int append_init(struct append *a, struct layer *l, const struct fill_plan *plan)
{
	*a = (struct append){ .layer = l, .ntargets = plan->nsegments };
	a->staging = aligned_alloc(MAP_BLOCK_BYTES, APPEND_STAGING_BYTES);
	if (!a->staging)
		return -ENOMEM;
	for (uint32_t i = 0; i < a->ntargets; i++) {
		struct append_target *t = &a->target[i];
		struct segment *s = &l->segments[plan->first_segment + i];

		t->segment = plan->first_segment + i;
		t->len = s->len;
		t->pos = s->len + s->carry_len;
		t->carry_len = s->carry_len;
		t->complete_told = s->complete_told;
		if (s->carry_len)
			memcpy(t->carry, s->carry, s->carry_len);
		plan_next_tar(l->map, t->segment, t->pos, &t->extent);
	}
	return 0;
}

void append_done(struct append *a)
{
	free(a->staging);
	a->staging = NULL;
}

static uint64_t target_size(const struct append *a, const struct append_target *t)
{
	return a->layer->map->segments[t->segment].size;
}

/* What is not written is not there. */
static void drop_staged(struct append *a, struct append_target *t)
{
	const struct layer_map *m = a->layer->map;

	a->staged = 0;
	a->staging_for = NULL;
	t->carry_len = 0;
	t->pos = t->len;
	plan_next_tar(m, t->segment, t->pos, &t->extent);
}

static int write_blocks(struct append *a, struct append_target *t, uint32_t len, struct err *err)
{
	struct transport *tr = a->layer->transport;
	int r;

	if (len == 0)
		return 0;
	r = tr->ops->segment_write(tr, a->layer, t->segment, t->len, a->staging, len, err);
	if (r < 0) {
		drop_staged(a, t);
		return r;
	}
	t->len += len;
	a->written_bytes += len;
	a->staged -= len;
	memmove(a->staging, a->staging + len, a->staged);
	return 0;
}

static void tell_complete(struct append *a, struct append_target *t)
{
	struct transport *tr = a->layer->transport;
	struct err err = ERR_INIT;

	if (t->complete_told || t->len < target_size(a, t))
		return;
	/* Not telling costs speed only: the kernel goes on asking, and is answered. */
	if (tr->ops->segment_complete(tr, a->layer, t->segment, &err) < 0)
		log_warning("layer %.12s segment %u: cannot be marked complete: %s",
			    a->layer->blob_id, t->segment, err.text);
	else
		t->complete_told = true;
}

int append_flush(struct append *a, struct err *err)
{
	struct append_target *t = a->staging_for;
	int r;

	if (!t)
		return 0;
	r = write_blocks(a, t, a->staged - a->staged % MAP_BLOCK_BYTES, err);
	if (r < 0)
		return r;
	memcpy(t->carry, a->staging, a->staged);
	t->carry_len = (uint16_t)a->staged;
	a->staged = 0;
	a->staging_for = NULL;
	tell_complete(a, t);
	return 0;
}

static int stage_for(struct append *a, struct append_target *t, struct err *err)
{
	int r;

	if (a->staging_for == t)
		return 0;
	r = append_flush(a, err);
	if (r < 0)
		return r;
	memcpy(a->staging, t->carry, t->carry_len);
	a->staged = t->carry_len;
	a->staging_for = t;
	return 0;
}

/* data NULL: zeros. */
static int put(struct append *a, struct append_target *t, const uint8_t *data, uint64_t len,
	       struct err *err)
{
	int r = stage_for(a, t, err);

	while (r == 0 && len) {
		uint64_t n = APPEND_STAGING_BYTES - a->staged;

		if (n > len)
			n = len;
		if (data) {
			memcpy(a->staging + a->staged, data, n);
			data += n;
		} else {
			memset(a->staging + a->staged, 0, n);
		}
		a->staged += (uint32_t)n;
		t->pos += n;
		len -= n;
		if (a->staged == APPEND_STAGING_BYTES)
			r = write_blocks(a, t, a->staged, err);
	}
	return r;
}

/* If t stands at or behind the end of its extent's data: zeros up to the next file. */
static int pad(struct append *a, struct append_target *t, struct err *err)
{
	const struct layer_map *m = a->layer->map;
	const struct map_segment *s = &m->segments[t->segment];
	uint64_t blob = s->blob_off + t->pos, stop = s->blob_off + s->size;

	if (t->extent < m->nextents && m->extents[t->extent].blob_off < stop)
		stop = m->extents[t->extent].blob_off;
	if (blob >= stop)
		return 0;
	return put(a, t, NULL, stop - blob, err);
}

int append_pad(struct append *a, struct err *err)
{
	int r = 0;

	for (uint32_t i = 0; i < a->ntargets && r == 0; i++)
		r = pad(a, &a->target[i], err);
	return r < 0 ? r : append_flush(a, err);
}

/* Give t what it needs of tar [off, off+len). */
static int feed_target(struct append *a, struct append_target *t, uint64_t off,
		       const uint8_t *data, uint64_t len, struct err *err)
{
	const struct layer_map *m = a->layer->map;
	const struct map_segment *s = &m->segments[t->segment];

	while (t->pos < s->size && t->extent < m->nextents) {
		const struct map_extent *e = &m->extents[t->extent];
		uint64_t in = s->blob_off + t->pos - e->blob_off;
		uint64_t need = e->tar_off + in, n = e->len - in;
		int r;

		if (need >= off + len)
			return 0;
		if (need < off)
			return err_set(err, ERR_BUG, EIO,
				       "layer %.12s segment %u: tar byte %llu was passed over",
				       a->layer->blob_id, t->segment, (unsigned long long)need);
		if (n > off + len - need)
			n = off + len - need;
		if (n > s->size - t->pos)
			n = s->size - t->pos;
		r = put(a, t, data + (need - off), n, err);
		if (r < 0)
			return r;
		if (in + n == e->len) {
			t->extent++;
			r = pad(a, t, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int append_feed(struct append *a, uint64_t tar_off, const uint8_t *data, uint64_t len,
		struct err *err)
{
	int r = 0;

	for (uint32_t i = 0; i < a->ntargets && r == 0; i++)
		r = feed_target(a, &a->target[i], tar_off, data, len, err);
	return r;
}
