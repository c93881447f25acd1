/* SPDX-License-Identifier: GPL-2.0-or-later */
/* layer.c - see layer.h. */
#include "daemon/fill/layer.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"

#define CHECK_PIECE_BYTES (256u << 10)

/*
 * What reading several spans in one go relies on: they follow each other without gaps, in
 * the tar exactly, in the layer sharing at most the one byte at a bit boundary.
 */
static int spans_check(const struct layer_map *m, struct err *err)
{
	for (uint32_t i = 0; i < m->nspans; i++) {
		const struct map_span *s = &m->spans[i], *next = s + 1;
		bool bad = s->comp_end < s->comp_start || s->comp_end > m->comp_size ||
			   s->out_end < s->out_start;

		if (!bad && i + 1 < m->nspans)
			bad = next->out_start != s->out_end ||
			      (next->comp_start != s->comp_end &&
			       (next->comp_start + 1 != s->comp_end ||
				s->comp_start == s->comp_end));
		if (bad)
			return err_set(err, ERR_CORRUPT, EBADMSG,
				       "layer map: span %u does not fit the next", i);
	}
	return 0;
}

static int segments_check(const struct layer_map *m, struct err *err)
{
	uint64_t off = 0;

	for (uint32_t i = 0; i < m->nsegments; i++) {
		const struct map_segment *s = &m->segments[i];

		if (s->blob_off != off || s->size == 0 || s->size % MAP_BLOCK_BYTES ||
		    s->nspans == 0 || s->first_span >= m->nspans)
			return err_set(err, ERR_CORRUPT, EBADMSG,
				       "layer map: segment %u is out of place", i);
		off += s->size;
	}
	if (off != m->blob_size || (m->nsegments && m->nextents == 0))
		return err_set(err, ERR_CORRUPT, EBADMSG, "layer map: segments and blob differ");
	return 0;
}

int layer_new(struct layer_map *map, int ztoc_fd, struct source *source, struct layer **ret,
	      struct err *err)
{
	struct layer *l = calloc(1, sizeof(*l));
	int r;

	if (!l) {
		layer_map_free(map);
		if (ztoc_fd >= 0)
			close(ztoc_fd);
		if (source)
			source->ops->free(source);
		return err_sys(err, ENOMEM, "layer");
	}
	pthread_mutex_init(&l->ztoc_lock, NULL);
	l->map = map;
	l->ztoc_fd = ztoc_fd;
	l->source = source;
	list_init(&l->link);
	layer_blob_id(&map->ztoc_digest, l->blob_id);
	r = spans_check(map, err);
	if (r == 0)
		r = segments_check(map, err);
	if (r == 0) {
		l->segments = calloc(map->nsegments ? map->nsegments : 1, sizeof(*l->segments));
		if (!l->segments)
			r = err_sys(err, ENOMEM, "layer of %u segments", map->nsegments);
	}
	if (r < 0) {
		layer_free(l);
		return r;
	}
	for (uint32_t i = 0; i < map->nsegments; i++) {
		list_init(&l->segments[i].waiters);
		list_init(&l->segments[i].ready);
		l->segments[i].layer = l;
	}
	*ret = l;
	return 0;
}

void layer_free(struct layer *l)
{
	if (!l)
		return;
	if (l->source)
		l->source->ops->free(l->source);
	if (l->ztoc_fd >= 0)
		close(l->ztoc_fd);
	for (uint32_t i = 0; l->segments && i < l->map->nsegments; i++)
		free(l->segments[i].carry);
	free(l->segments);
	free(l->fill.hints);
	layer_map_free(l->map);
	pthread_mutex_destroy(&l->ztoc_lock);
	free(l);
}

bool layer_has(const struct layer *l, uint64_t off, uint64_t len)
{
	uint64_t end = off + len;

	while (off < end) {
		uint32_t i = layer_map_segment_find(l->map, off);
		const struct map_segment *s = &l->map->segments[i];
		uint64_t stop = s->blob_off + s->size;

		if (stop > end)
			stop = end;
		if (l->segments[i].len < stop - s->blob_off)
			return false;
		off = stop;
	}
	return true;
}

bool layer_is_complete(const struct layer *l)
{
	return l->present_bytes == l->map->blob_size;
}

static int ztoc_check(struct layer *l, struct err *err)
{
	struct digest_ctx ctx;
	struct digest d;
	uint8_t *buf = malloc(CHECK_PIECE_BYTES);
	uint64_t off = 0;
	ssize_t n;

	if (!buf)
		return err_sys(err, ENOMEM, "zTOC of layer %.12s", l->blob_id);
	digest_init(&ctx);
	while ((n = pread(l->ztoc_fd, buf, CHECK_PIECE_BYTES, (off_t)off)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			n = err_sys(err, errno, "cannot read the zTOC of layer %.12s", l->blob_id);
			break;
		}
		digest_update(&ctx, buf, (size_t)n);
		off += (uint64_t)n;
	}
	free(buf);
	if (n < 0)
		return (int)n;
	digest_final(&ctx, &d);
	if (!digest_is_equal(&d, &l->map->ztoc_digest))
		return err_set(err, ERR_CORRUPT, EBADMSG,
			       "the cached zTOC of layer %.12s is damaged: its digest differs; "
			       "remove it from the cache", l->blob_id);
	l->ztoc_checked = true;
	return 0;
}

int layer_window_read(struct layer *l, uint32_t span, uint8_t *ret, struct err *err)
{
	int r = 0;

	pthread_mutex_lock(&l->ztoc_lock);
	if (!l->ztoc_checked)
		r = ztoc_check(l, err);
	pthread_mutex_unlock(&l->ztoc_lock);
	if (r < 0)
		return r;
	r = io_pread_full(l->ztoc_fd, ret, ZTOC_WINDOW_BYTES, l->map->spans[span].window_off);
	return r < 0 ? err_sys(err, -r, "cannot read the window of span %u of layer %.12s", span,
			       l->blob_id)
		     : 0;
}
