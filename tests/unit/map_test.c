/* SPDX-License-Identifier: GPL-2.0-or-later */
/* map_test.c - the layout rules of image/map.h, checked chunk by chunk the slow way. */
#include "image/map.h"

#include "image_make.h"

#define MIB (1ull << 20)

static uint64_t rng_state = 88172645463325252ull;

static uint64_t rng(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state;
}

/* First span of the run (of whole spans, at least 4 MiB) that holds span i. */
static uint32_t slow_run_of(const struct layer_map *m, uint32_t i)
{
	uint32_t first = 0;
	uint64_t got = 0;

	for (uint32_t k = 0; k < i; k++) {
		got += m->spans[k].out_end - m->spans[k].out_start;
		if (got >= MAP_SEGMENT_MIN_BYTES) {
			first = k + 1;
			got = 0;
		}
	}
	return first;
}

static uint32_t slow_span_of(const struct layer_map *m, uint64_t tar)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < m->nspans; i++)
		if (m->spans[i].out_start <= tar)
			found = i;
	return found;
}

/* Every chunk lies in a segment whose run has the span of the chunk's first tar byte. */
static bool chunks_are_right(const struct layer_map *m)
{
	for (uint64_t x = 0; x < m->nextents; x++) {
		const struct map_extent *e = &m->extents[x];

		for (uint64_t at = 0; at < e->len; at += MAP_CHUNK_BYTES) {
			uint64_t off = e->blob_off + at, left = e->len - at;
			uint64_t len = left < MAP_CHUNK_BYTES ? left : MAP_CHUNK_BYTES;
			const struct map_segment *s =
				&m->segments[layer_map_segment_find(m, off)];

			if (off < s->blob_off || off + len > s->blob_off + s->size)
				return false;
			if (s->first_span != slow_run_of(m, slow_span_of(m, e->tar_off + at)))
				return false;
		}
	}
	return true;
}

static bool tiles(const struct layer_map *m)
{
	uint64_t blob = 0, seg = 0;

	for (uint64_t x = 0; x < m->nextents; x++) {
		if (m->extents[x].blob_off != blob || m->extents[x].len == 0)
			return false;
		blob += io_round_up(m->extents[x].len, 4096);
	}
	for (uint32_t i = 0; i < m->nsegments; i++) {
		const struct map_segment *s = &m->segments[i];

		if (s->blob_off != seg || s->size == 0 || s->size % 4096 || s->nspans == 0 ||
		    s->first_span + s->nspans > m->nspans)
			return false;
		seg += s->size;
	}
	return blob == m->blob_size && seg == m->blob_size;
}

/* spans_for() against a walk over every byte's extent (in steps). */
static bool spans_for_is_right(const struct layer_map *m, uint64_t off, uint64_t len)
{
	uint32_t first = UINT32_MAX, last = 0, got_first, got_last;
	int r = layer_map_spans_for(m, off, len, &got_first, &got_last);

	for (uint64_t x = 0; x < m->nextents; x++) {
		const struct map_extent *e = &m->extents[x];
		uint64_t lo = e->blob_off > off ? e->blob_off : off;
		uint64_t hi = e->blob_off + e->len < off + len ? e->blob_off + e->len : off + len;

		if (lo >= hi)
			continue;
		if (first == UINT32_MAX)
			first = slow_span_of(m, e->tar_off + lo - e->blob_off);
		last = slow_span_of(m, e->tar_off + hi - 1 - e->blob_off);
	}
	if (first == UINT32_MAX)
		return r == -ENOENT;
	return r == 0 && got_first == first && got_last == last;
}

static void test_random_layers(void)
{
	bool all_tile = true, all_chunks = true, all_spans = true, all_found = true;

	for (int round = 0; round < 60; round++) {
		struct mk_entry e[40] = { 0 };
		uint64_t span = (uint64_t[]){ 65536, MIB, 4 * MIB, 7 * MIB + 13 }[round % 4];
		uint32_t n = 1 + rng() % 38;
		struct mk_layer l;

		for (uint32_t i = 0; i < n; i++) {
			e[i].name = "f";
			e[i].size = rng() % 5 ? rng() % 300000 : rng() % (12 * MIB);
		}
		mk_layer(&l, e, span);
		all_tile &= tiles(l.map);
		all_chunks &= chunks_are_right(l.map);
		for (int k = 0; k < 50 && l.map->blob_size; k++) {
			uint64_t off = rng() % l.map->blob_size;

			all_spans &= spans_for_is_right(l.map, off, 1 + rng() % (2 * MIB));
			all_spans &= spans_for_is_right(l.map, off / 4096 * 4096, 4096);
		}
		for (uint64_t x = 0; x < l.map->nextents; x++) {
			uint64_t off = 0;

			all_found &= layer_map_file_offset(l.map, l.map->extents[x].tar_off,
							   &off) == 0 &&
				     off == l.map->extents[x].blob_off;
			all_found &= layer_map_file_offset(l.map, l.map->extents[x].tar_off + 1,
							   &off) == -ENOENT;
		}
		mk_done(&l);
	}
	ok(all_tile, "extents and segments tile the blob");
	ok(all_chunks, "each chunk lies whole in the segment of its first byte's run");
	ok(all_spans, "spans of a range are those of its bytes, no more");
	ok(all_found, "files are found by their tar offset");
}

static void test_known_layout(void)
{
	const struct mk_entry e[] = {
		{ .name = "a", .size = 100 },
		{ .name = "dir", .type = ZTOC_DIR },
		{ .name = "empty", .size = 0 },
		{ .name = "b", .size = 10 * MIB },
		{ .name = "c", .size = 5000 },
		{ 0 },
	};
	struct mk_layer l;

	mk_layer(&l, e, 4 * MIB);
	is_int(l.map->nextents, 3, "only files with data have extents");
	is_int(l.map->extents[1].blob_off, 4096, "the next file starts on the next block");
	is_int(l.map->extents[2].blob_off, 4096 + 10 * MIB, "and the third after it");
	is_int(l.map->blob_size, 4096 + 10 * MIB + 8192, "padded to whole blocks");
	is_int(l.map->nsegments, 3, "one segment per span of 4 MiB");
	/* b starts at tar 2560: chunks at +0..+4 MiB begin below 4 MiB, that is four. */
	is_int(l.map->segments[0].size, 4096 + 4 * MIB, "four chunks start in the first span");
	is_int(l.map->segments[1].size, 4 * MIB, "four in the second");
	is_int(layer_map_segment_find(l.map, 4096 + 4 * MIB - 1), 0, "last byte of segment 0");
	is_int(layer_map_segment_find(l.map, 4096 + 4 * MIB), 1, "first byte of segment 1");
	is_int(layer_map_extent_find(l.map, 4095), 0, "padding belongs to its file");
	is_int(layer_map_extent_find(l.map, l.map->blob_size), 3, "nothing past the end");
	mk_done(&l);
}

static void test_one_span_of_many_segments(void)
{
	const struct mk_entry e[] = { { .name = "a", .size = 100 * MIB }, { 0 } };
	const struct mk_entry none[] = { { .name = "d", .type = ZTOC_DIR }, { 0 } };
	struct mk_layer l;

	mk_layer(&l, e, 400 * MIB);
	is_int(l.map->nsegments, 1, "a huge span is one segment");
	mk_done(&l);
	mk_layer(&l, none, MIB);
	is_int(l.map->nsegments, 0, "no data, no segment");
	is_int(l.map->blob_size, 0, "no data, no blob");
	mk_done(&l);
}

static void refused(const char *what, const struct mk_entry *e, enum err_kind kind)
{
	struct mk_layer l;
	struct err err = ERR_INIT;
	int r;

	mk_ztoc(&l, e, 4 * MIB);
	r = layer_map_build(l.ztoc, &l.digest, &l.map, &err);
	ok(r < 0 && err.kind == kind, "refused: %s (%s)", what, err.text);
	mk_done(&l);
}

static void test_refusals(void)
{
	const struct mk_entry same[] = {
		{ .name = "a", .size = 5000 }, { .name = "b", .size = 5000, .offset = 512 }, { 0 }
	};
	const struct mk_entry inside[] = {
		{ .name = "a", .size = 50000 }, { .name = "b", .size = 10, .offset = 1024 }, { 0 }
	};
	const struct mk_entry swapped[] = {
		{ .name = "a", .size = 512, .offset = 1536 },
		{ .name = "b", .size = 512, .offset = 512 }, { 0 }
	};
	struct mk_layer l;

	refused("two files with the same bytes", same, ERR_CORRUPT);
	refused("a file inside another", inside, ERR_CORRUPT);
	mk_layer(&l, swapped, 4 * MIB);
	is_int(l.map->extents[0].tar_off, 512, "entries out of tar order are sorted");
	mk_done(&l);
}

static void test_too_large(void)
{
	const struct mk_entry huge[] = { { .name = "a", .size = (1ull << 44) }, { 0 } };
	struct mk_layer l;
	struct err err = ERR_INIT;
	int r;

	mk_ztoc(&l, huge, 1ull << 42);
	r = layer_map_build(l.ztoc, &l.digest, &l.map, &err);
	ok(r < 0 && err.kind == ERR_UNSUPPORTED, "16 TiB are too much: %s", err.text);
	mk_done(&l);
}

static void test_blob_id(void)
{
	struct digest d = { { 0 } };
	char id[DIGEST_HEX_LEN + 1], again[DIGEST_HEX_LEN + 1];

	layer_blob_id(&d, id);
	is_str(id, "7f335c86a751a1791ba6120e62a9db14fd1c452cea875da79191600a4334b0b7",
	       "the blob ID of a zTOC never changes within a layout version");
	d.sha256[31] = 1;
	layer_blob_id(&d, again);
	ok(strcmp(id, again) != 0, "and depends on the zTOC");
}

int main(void)
{
	test_known_layout();
	test_one_span_of_many_segments();
	test_random_layers();
	test_refusals();
	test_too_large();
	test_blob_id();
	return tap_done();
}
