/* SPDX-License-Identifier: GPL-2.0-or-later */
/* map_file_test.c - layer maps as files: round trip, and everything that must fail. */
#include "image/map.h"

#include "image_make.h"

#define HEAD 88u

static void reseal(uint8_t *data, size_t len)
{
	struct digest d;

	digest_of(data, len - DIGEST_BYTES, &d);
	memcpy(data + len - DIGEST_BYTES, d.sha256, DIGEST_BYTES);
}

static int decode(const uint8_t *data, size_t len, struct err *err)
{
	struct layer_map *m = NULL;
	uint8_t *exact = malloc(len ? len : 1);	/* so that ASan sees every byte too far */
	int r;

	memcpy(exact, data, len);
	r = layer_map_decode(exact, len, &m, err);
	layer_map_free(m);
	free(exact);
	return r;
}

static void test_round_trip(const struct mk_layer *l, const struct buf *b)
{
	struct layer_map *m = NULL;
	struct buf again = BUF_INIT(0);
	struct err err = ERR_INIT;

	is_int(layer_map_decode(b->data, b->len, &m, &err), 0, "decodes: %s", err.text);
	is_int(layer_map_encode(m, &again, &err), 0, "encodes again");
	ok(again.len == b->len && memcmp(again.data, b->data, b->len) == 0, "to the same bytes");
	is_int(m->nextents, (long long)l->map->nextents, "all extents");
	ok(digest_is_equal(&m->ztoc_digest, &l->digest), "names its zTOC");
	is_int(m->spans[1].window_off, (long long)l->map->spans[1].window_off, "windows");
	buf_done(&again);
	layer_map_free(m);
}

static void test_short(const struct buf *b)
{
	bool all = true;

	for (size_t len = 0; len < b->len; len++)
		all &= decode(b->data, len, NULL) < 0;
	ok(all, "every shorter file is refused");
}

static void test_damage(struct buf *b)
{
	bool all = true;

	for (size_t i = 0; i < b->len; i++) {
		b->data[i] ^= 0x10;
		all &= decode(b->data, b->len, NULL) < 0;
		b->data[i] ^= 0x10;
	}
	ok(all, "every damaged byte is noticed");
}

/*
 * With a right checksum: what is accepted must be a map that says the same again. Some
 * bytes are free (digests, compressed offsets within bounds); layout is not.
 */
static void test_forged(struct buf *b, size_t layout_start)
{
	bool consistent = true, layout_fixed = true;

	for (size_t i = 8; i < b->len - DIGEST_BYTES; i++) {
		for (int bit = 0; bit < 8; bit++) {
			struct layer_map *m = NULL;
			struct buf again = BUF_INIT(0);

			b->data[i] ^= (uint8_t)(1 << bit);
			reseal(b->data, b->len);
			if (layer_map_decode(b->data, b->len, &m, NULL) == 0) {
				consistent &= layer_map_encode(m, &again, NULL) == 0 &&
					      again.len == b->len &&
					      memcmp(again.data, b->data, b->len) == 0;
				/* Of an extent, tar_off and len may move in their gaps. */
				if (i >= layout_start && (i - layout_start) % 24 < 8)
					layout_fixed = false;
			}
			buf_done(&again);
			layer_map_free(m);
			b->data[i] ^= (uint8_t)(1 << bit);
		}
	}
	reseal(b->data, b->len);
	ok(consistent, "a forged map that is accepted is consistent in itself");
	ok(layout_fixed, "no forged layout is accepted");
}

static void forge32(struct buf *b, size_t off, uint32_t v, const char *what, enum err_kind kind)
{
	struct err err = ERR_INIT;
	uint8_t saved[4];

	memcpy(saved, b->data + off, 4);
	for (int i = 0; i < 4; i++)
		b->data[off + (size_t)i] = (uint8_t)(v >> (8 * i));
	reseal(b->data, b->len);
	ok(decode(b->data, b->len, &err) < 0 && err.kind == kind, "refused: %s (%s)", what, err.text);
	memcpy(b->data + off, saved, 4);
	reseal(b->data, b->len);
}

static void test_fields(struct buf *b, uint32_t nspans, uint32_t nsegments)
{
	size_t segments = HEAD + nspans * 80ul, extents = segments + nsegments * 24ul;

	forge32(b, 0, 0, "magic", ERR_CORRUPT);
	forge32(b, 8, MAP_LAYOUT_VERSION + 1, "another layout version", ERR_UNSUPPORTED);
	forge32(b, 12, 3, "compression", ERR_CORRUPT);
	forge32(b, 56, 1, "tar too short for its files", ERR_CORRUPT);
	forge32(b, 64, 4096, "blob size", ERR_CORRUPT);
	forge32(b, 72, 0, "no spans", ERR_CORRUPT);
	forge32(b, 72, 0xffffffff, "four billion spans", ERR_CORRUPT);
	forge32(b, 76, nsegments + 1, "one more segment than there are", ERR_CORRUPT);
	forge32(b, 84, 0xffffffff, "2^63 extents", ERR_CORRUPT);
	forge32(b, HEAD + 80, 0, "a span that starts before its predecessor", ERR_CORRUPT);
	forge32(b, HEAD + 16, 1, "a tar that does not start at 0", ERR_CORRUPT);
	forge32(b, HEAD + 24, 0x7fffffff, "spans that overlap in the tar", ERR_CORRUPT);
	forge32(b, HEAD + 40, 8, "eight bits", ERR_CORRUPT);
	forge32(b, HEAD + 44, 1, "reserved bytes", ERR_CORRUPT);
	forge32(b, HEAD + 80 + 36, 0xffffffff, "a window past the end of everything", ERR_CORRUPT);
	forge32(b, segments, 4096, "segment start", ERR_CORRUPT);
	forge32(b, segments + 8, 4096, "segment size", ERR_CORRUPT);
	forge32(b, segments + 16, 1, "segment's first span", ERR_CORRUPT);
	forge32(b, segments + 20, 0xffffffff, "segment's spans", ERR_CORRUPT);
	forge32(b, extents, 4096, "extent in the blob", ERR_CORRUPT);
	forge32(b, extents + 8, 0xfffff000, "extent past the tar", ERR_CORRUPT);
	forge32(b, extents + 16, 0, "empty extent", ERR_CORRUPT);
	forge32(b, extents + 16, 20000, "extent over its successor", ERR_CORRUPT);
}

int main(void)
{
	const struct mk_entry e[] = {
		{ .name = "a", .size = 5000 }, { .name = "b", .size = 3 << 20 },
		{ .name = "c", .size = 6 << 20 }, { .name = "d", .size = 1 }, { 0 },
	};
	struct buf b = BUF_INIT(0);
	struct mk_layer l;
	struct err err = ERR_INIT;

	mk_layer(&l, e, 1 << 20);
	is_int(layer_map_encode(l.map, &b, &err), 0, "encodes");
	test_round_trip(&l, &b);
	test_short(&b);
	test_damage(&b);
	test_forged(&b, HEAD + l.map->nspans * 80ul + l.map->nsegments * 24ul);
	test_fields(&b, l.map->nspans, l.map->nsegments);
	buf_done(&b);
	mk_done(&l);
	return tap_done();
}
