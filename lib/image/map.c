/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * map.c - layout of a layer blob (rules: map.h) and lookups in it.
 *
 * Promises: the layout is a function of the spans and of the files' tar ranges alone;
 * map_file.c uses the same map_layout() to prove a decoded map. Nothing here loops over
 * chunks: a hostile size costs nothing. One thread builds; lookups from any thread.
 */
#include "image/map.h"

#include <assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "image/map_private.h"

#define BLOB_ID_PREFIX "lazyerofs layer blob, layout "

void layer_map_free(struct layer_map *m)
{
	if (!m)
		return;
	free(m->spans);
	free(m->segments);
	free(m->extents);
	free(m);
}

int map_alloc(uint64_t nspans, uint64_t nextents, struct layer_map **ret, struct err *err)
{
	cleanup_layer_map struct layer_map *m = calloc(1, sizeof(*m));

	if (!m || nspans > UINT32_MAX || nextents > SIZE_MAX / sizeof(struct map_extent))
		return err_sys(err, ENOMEM, "layer map");
	m->nspans = (uint32_t)nspans;
	m->nextents = nextents;
	m->spans = calloc(nspans ? nspans : 1, sizeof(*m->spans));
	m->segments = calloc(nspans ? nspans : 1, sizeof(*m->segments));
	m->extents = calloc(nextents ? nextents : 1, sizeof(*m->extents));
	if (!m->spans || !m->segments || !m->extents)
		return err_sys(err, ENOMEM, "layer map");
	*ret = TAKE_PTR(m);
	return 0;
}

/* Runs of spans: first span of the run that starts at or after span i, and its tar end. */
static uint32_t run_end(const struct layer_map *m, uint32_t first)
{
	uint32_t i = first;

	while (i < m->nspans &&
	       m->spans[i].out_end - m->spans[first].out_start < MAP_SEGMENT_MIN_BYTES)
		i++;
	return i < m->nspans ? i + 1 : m->nspans;
}

/* Tar offset at which the spans after `end` begin; beyond everything for the last run. */
static uint64_t run_limit(const struct layer_map *m, uint32_t end)
{
	return end < m->nspans ? m->spans[end].out_start : UINT64_MAX;
}

/* Blob offset of the first chunk of extent e that starts at or beyond tar offset `limit`. */
static uint64_t chunk_boundary(const struct map_extent *e, uint64_t limit)
{
	uint64_t end = e->blob_off + io_round_up(e->len, MAP_BLOCK_BYTES);
	uint64_t chunks;

	if (limit <= e->tar_off)
		return e->blob_off;
	if (limit - e->tar_off >= e->len)
		return end;
	chunks = (limit - e->tar_off + MAP_CHUNK_BYTES - 1) / MAP_CHUNK_BYTES;
	if (chunks * MAP_CHUNK_BYTES >= e->len)
		return end;
	return e->blob_off + chunks * MAP_CHUNK_BYTES;
}

static void lay_segments(struct layer_map *m)
{
	uint64_t off = 0, x = 0;

	m->nsegments = 0;
	for (uint32_t first = 0; first < m->nspans;) {
		uint32_t end = run_end(m, first);
		uint64_t limit = run_limit(m, end), next = off;

		while (x < m->nextents) {
			const struct map_extent *e = &m->extents[x];
			uint64_t stop = chunk_boundary(e, limit);

			if (stop > next)
				next = stop;
			if (stop < e->blob_off + io_round_up(e->len, MAP_BLOCK_BYTES))
				break;
			x++;
		}
		if (next > off) {
			m->segments[m->nsegments++] = (struct map_segment){
				.blob_off = off, .size = next - off,
				.first_span = first, .nspans = end - first,
			};
			off = next;
		}
		first = end;
	}
	assert(off == m->blob_size && x == m->nextents);
}

int map_layout(struct layer_map *m, struct err *err)
{
	uint64_t tar = 0, blob = 0;

	for (uint64_t i = 0; i < m->nextents; i++) {
		struct map_extent *e = &m->extents[i];

		if (e->len == 0 || e->tar_off > m->out_size || e->len > m->out_size - e->tar_off)
			return err_set(err, ERR_CORRUPT, EUCLEAN,
				       "file data at tar offset %llu, length %llu: outside the tar "
				       "stream of %llu bytes",
				       (unsigned long long)e->tar_off, (unsigned long long)e->len,
				       (unsigned long long)m->out_size);
		if (e->tar_off < tar)
			return err_set(err, ERR_CORRUPT, EUCLEAN,
				       "file data at tar offset %llu overlaps the file before it",
				       (unsigned long long)e->tar_off);
		tar = e->tar_off + e->len;
		e->blob_off = blob;
		blob += io_round_up(e->len, MAP_BLOCK_BYTES);
		if (blob > MAP_BLOB_MAX_BYTES)
			return err_set(err, ERR_UNSUPPORTED, EFBIG,
				       "more than 16 TiB of file data in one layer");
	}
	if (m->nextents && (!m->nspans || m->spans[0].out_start != 0))
		return err_set(err, ERR_CORRUPT, EUCLEAN, "file data without spans");
	m->blob_size = blob;
	lay_segments(m);
	return 0;
}

static int extent_cmp(const void *a, const void *b)
{
	const struct map_extent *x = a, *y = b;

	return x->tar_off < y->tar_off ? -1 : x->tar_off > y->tar_off;
}

static void collect_extents(const struct ztoc *z, struct layer_map *m)
{
	uint64_t n = ztoc_entry_count(z), x = 0;
	bool sorted = true;

	for (uint64_t i = 0; i < n; i++) {
		struct ztoc_entry e;

		ztoc_entry_get(z, i, &e);
		if (e.type != ZTOC_REG || e.size == 0)
			continue;
		if (x && e.offset < m->extents[x - 1].tar_off)
			sorted = false;
		m->extents[x++] = (struct map_extent){ .tar_off = e.offset, .len = e.size };
	}
	m->nextents = x;
	if (!sorted)
		qsort(m->extents, x, sizeof(*m->extents), extent_cmp);
}

static void collect_spans(const struct ztoc *z, struct layer_map *m)
{
	for (uint32_t i = 0; i < m->nspans; i++) {
		struct ztoc_span s;

		ztoc_span_get(z, i, &s);
		m->spans[i] = (struct map_span){
			.comp_start = s.comp_start, .comp_end = s.comp_end,
			.out_start = s.out_start, .out_end = s.out_end,
			.window_off = s.window ? ztoc_window_offset(z, i) : MAP_NO_WINDOW,
			.bits = s.bits, .digest = s.digest,
		};
	}
}

static uint64_t count_files_with_data(const struct ztoc *z)
{
	uint64_t n = ztoc_entry_count(z), count = 0;

	for (uint64_t i = 0; i < n; i++) {
		struct ztoc_entry e;

		ztoc_entry_get(z, i, &e);
		count += e.type == ZTOC_REG && e.size > 0;
	}
	return count;
}

int layer_map_build(const struct ztoc *z, const struct digest *ztoc_digest,
		    struct layer_map **ret, struct err *err)
{
	cleanup_layer_map struct layer_map *m = NULL;
	int r = map_alloc(ztoc_span_count(z), count_files_with_data(z), &m, err);

	if (r < 0)
		return r;
	m->ztoc_digest = *ztoc_digest;
	m->compression = ztoc_compression(z);
	m->comp_size = ztoc_comp_size(z);
	m->out_size = ztoc_out_size(z);
	collect_spans(z, m);
	collect_extents(z, m);
	r = map_layout(m, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(m);
	return 0;
}

int layer_map_file_offset(const struct layer_map *m, uint64_t tar_off, uint64_t *ret_blob_off)
{
	uint64_t x = layer_map_extent_find_tar(m, tar_off);

	if (x == m->nextents || m->extents[x].tar_off != tar_off)
		return -ENOENT;
	*ret_blob_off = m->extents[x].blob_off;
	return 0;
}

uint32_t layer_map_segment_find(const struct layer_map *m, uint64_t blob_off)
{
	uint32_t lo = 0, hi = m->nsegments;

	assert(blob_off < m->blob_size);
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (m->segments[mid].blob_off <= blob_off)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

uint64_t layer_map_extent_find(const struct layer_map *m, uint64_t blob_off)
{
	uint64_t lo = 0, hi = m->nextents;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		const struct map_extent *e = &m->extents[mid];

		if (e->blob_off + io_round_up(e->len, MAP_BLOCK_BYTES) > blob_off)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

uint64_t layer_map_extent_find_tar(const struct layer_map *m, uint64_t tar_off)
{
	uint64_t lo = 0, hi = m->nextents;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (m->extents[mid].tar_off + m->extents[mid].len > tar_off)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

uint32_t layer_map_span_find(const struct layer_map *m, uint64_t tar_off)
{
	uint32_t lo = 0, hi = m->nspans;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (m->spans[mid].out_start <= tar_off)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

int layer_map_spans_for(const struct layer_map *m, uint64_t off, uint64_t len,
			uint32_t *ret_first, uint32_t *ret_last)
{
	uint64_t end = len > UINT64_MAX - off ? UINT64_MAX : off + len;
	uint64_t first = layer_map_extent_find(m, off), last, from, to;
	const struct map_extent *e;

	/* Skip an extent of which only padding is asked for. */
	if (first < m->nextents && m->extents[first].blob_off + m->extents[first].len <= off)
		first++;
	if (len == 0 || first == m->nextents || m->extents[first].blob_off >= end)
		return -ENOENT;
	last = layer_map_extent_find(m, end - 1);
	if (last == m->nextents || m->extents[last].blob_off >= end)
		last--;
	e = &m->extents[first];
	from = e->tar_off + (off > e->blob_off ? off - e->blob_off : 0);
	e = &m->extents[last];
	to = e->tar_off + (end - e->blob_off < e->len ? end - e->blob_off : e->len);
	*ret_first = layer_map_span_find(m, from);
	*ret_last = layer_map_span_find(m, to - 1);
	return 0;
}

void layer_blob_id(const struct digest *ztoc_digest, char ret[DIGEST_HEX_LEN + 1])
{
	struct digest_ctx ctx;
	struct digest d;
	char head[64];
	int n = snprintf(head, sizeof(head), BLOB_ID_PREFIX "%u\n", MAP_LAYOUT_VERSION);

	digest_init(&ctx);
	digest_update(&ctx, head, (size_t)n);
	digest_update(&ctx, ztoc_digest->sha256, sizeof(ztoc_digest->sha256));
	digest_final(&ctx, &d);
	digest_format_hex(&d, ret);
}
