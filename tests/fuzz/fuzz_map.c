/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_map.c - a layer map of any bytes is refused cleanly, or says one consistent thing.
 *
 * The checksum at the end is made right first: it finds damage, it stops no forger.
 *
 * fuzz-sources: lib/image/map.c lib/image/map_file.c lib/ztoc/ztoc.c lib/ztoc/entries.c lib/ztoc/checkpoints.c lib/ztoc/fb.c lib/ztoc/mtime.c lib/base/buf.c lib/base/err.c lib/base/digest.c
 * fuzz-libs: -lnettle
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "image/map.h"

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void walk_segments(const struct layer_map *m)
{
	uint64_t off = 0;

	for (uint32_t i = 0; i < m->nsegments; i++) {
		const struct map_segment *s = &m->segments[i];
		uint32_t first, last;

		must(s->blob_off == off && s->size > 0);
		off += s->size;
		must(layer_map_segment_find(m, s->blob_off) == i);
		must(layer_map_segment_find(m, off - 1) == i);
		must(layer_map_spans_for(m, s->blob_off, s->size, &first, &last) == 0);
		must(first >= s->first_span && first < s->first_span + s->nspans);
		must(last >= first && last < m->nspans);
	}
	must(off == m->blob_size);
}

static void walk_extents(const struct layer_map *m)
{
	for (uint64_t x = 0; x < m->nextents; x++) {
		const struct map_extent *e = &m->extents[x];
		uint64_t off;

		must(e->len > 0 && e->tar_off + e->len <= m->out_size);
		must(layer_map_file_offset(m, e->tar_off, &off) == 0 && off == e->blob_off);
		must(layer_map_extent_find(m, e->blob_off) == x);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	struct layer_map *m = NULL;
	struct buf again = BUF_INIT(0);
	uint8_t *copy = malloc(len ? len : 1);
	struct digest d;
	int r;

	must(copy != NULL);
	memcpy(copy, data, len);
	if (len >= DIGEST_BYTES) {
		digest_of(copy, len - DIGEST_BYTES, &d);
		memcpy(copy + len - DIGEST_BYTES, d.sha256, DIGEST_BYTES);
	}
	r = layer_map_decode(copy, len, &m, &err);
	if (r == 0) {
		walk_segments(m);
		walk_extents(m);
		must(layer_map_encode(m, &again, &err) == 0);
		must(again.len == len && memcmp(again.data, copy, len) == 0);
	} else {
		must(!m && r == -err.num && err.text[0]);
	}
	buf_done(&again);
	layer_map_free(m);
	free(copy);
	return 0;
}
