/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inflate_test.c - lib/ztoc/inflate: every way to cut a stream gives the same bytes, with
 * zlib and with ISA-L; what is too short, too long or damaged is an error.
 *
 * The test compresses with zlib, finds the block boundaries as a zTOC builder would, and
 * inflates from each of them.
 */
#include "tests/unit/tap.h"

#include <errno.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "ztoc/inflate.h"
#include "ztoc/ztoc.h"

#define PLAIN_BYTES 700000u
#define MAX_POINTS 2000

struct point {
	uint64_t in, out;
	uint8_t bits;
	uint8_t window[ZTOC_WINDOW_BYTES];
};

struct stream {
	struct buf gz;
	const uint8_t *plain;
	uint64_t plain_len;
	struct point *points;
	size_t npoints;
};

/* Text-like bytes with runs, so that matches, literals and long distances all occur. */
static uint8_t *make_plain(size_t len)
{
	uint8_t *p = malloc(len);
	uint32_t x = 12345;

	for (size_t i = 0; i < len; i++) {
		x = x * 1103515245u + 12345u;
		if (i > 40000 && (x >> 16) % 5 == 0) {
			size_t n = (x >> 8) % 300, from = i - 1 - (x >> 4) % 33000;

			for (; n-- && i < len; i++)
				p[i] = p[from++];
			i--;
		} else {
			p[i] = (x >> 16) % 7 ? (uint8_t)('a' + (x >> 20) % 9) : (uint8_t)(x >> 24);
		}
	}
	return p;
}

/* One gzip member appended to gz. */
static void add_member(struct buf *gz, const uint8_t *p, size_t len, int level, int strategy,
		       const char *name)
{
	uint8_t *out = malloc(len + len / 8 + 1000);
	z_stream s = { .next_in = (Bytef *)(uintptr_t)p };
	gz_header h = { .name = (Bytef *)(uintptr_t)name, .os = 3 };

	deflateInit2(&s, level, Z_DEFLATED, 31, 4, strategy);
	deflateSetHeader(&s, &h);
	s.next_out = out;
	s.avail_out = (uInt)(len + len / 8 + 1000);
	s.avail_in = (uInt)len;
	if (deflate(&s, Z_FINISH) != Z_STREAM_END)
		bail("deflate");
	buf_add(gz, out, s.total_out);
	deflateEnd(&s);
	free(out);
}

static void add_point(struct stream *st, const z_stream *s, uint64_t in, uint64_t out)
{
	struct point *p = &st->points[st->npoints];
	size_t n = out < ZTOC_WINDOW_BYTES ? (size_t)out : ZTOC_WINDOW_BYTES;

	if (st->npoints == MAX_POINTS)
		bail("too many points");
	*p = (struct point){ in, out, (uint8_t)(s->data_type & 7), { 0 } };
	memcpy(p->window + ZTOC_WINDOW_BYTES - n, st->plain + out - n, n);
	st->npoints++;
}

/* All block boundaries, as soci-format.md 1.9 finds them, also across members. */
static void find_points(struct stream *st)
{
	uint8_t *out = malloc(st->plain_len + 1);
	uint64_t in_base = 0, out_base = 0;
	z_stream s = { .next_in = st->gz.data, .avail_in = (uInt)st->gz.len };
	int r;

	st->npoints = 0;
	inflateInit2(&s, 47);
	s.next_out = out;
	s.avail_out = (uInt)st->plain_len + 1;
	do {
		r = inflate(&s, Z_BLOCK);
		if (r != Z_OK && r != Z_STREAM_END)
			bail("reference inflate: %d", r);
		uint64_t total = out_base + s.total_out;
		bool first = st->npoints == 0;

		if ((s.data_type & 128) && !(s.data_type & 64) &&
		    (first || total > st->points[st->npoints - 1].out))
			add_point(st, &s, in_base + s.total_in, total);
		if (r == Z_STREAM_END && s.avail_in) {
			in_base += s.total_in;
			out_base += s.total_out;
			inflateReset2(&s, 47);
			r = Z_OK;
		}
	} while (r != Z_STREAM_END);
	if (out_base + s.total_out != st->plain_len || memcmp(out, st->plain, st->plain_len))
		bail("the test's own stream is wrong");
	inflateEnd(&s);
	free(out);
}

struct sink {
	const uint8_t *want;
	uint64_t len, pos;
	int fail_at;		/* call number to fail at; 0: never */
};

static int check_sink(void *arg, const uint8_t *data, size_t len)
{
	struct sink *k = arg;

	if (k->fail_at && --k->fail_at == 0)
		return -ENOSPC;
	if (len > k->len - k->pos || memcmp(k->want + k->pos, data, len) != 0)
		return -EILSEQ;
	k->pos += len;
	return 0;
}

/* Inflate the span from point a to point b (npoints: the end), in pieces. */
static int run(const struct stream *st, size_t a, size_t b, enum inflate_backend backend,
	       size_t piece, struct err *err)
{
	const struct point *p = &st->points[a];
	bool last = b == st->npoints;
	uint64_t end = last ? st->gz.len : st->points[b].in;
	uint64_t out_end = last ? st->plain_len : st->points[b].out;
	uint64_t at = p->in - (p->bits ? 1 : 0);
	struct inflate_span span = { p->bits, p->out ? p->window : NULL, out_end - p->out, !last };
	struct sink k = { st->plain + p->out, out_end - p->out, 0, 0 };
	struct inflater *inf;
	int r = inflater_new(backend, &span, check_sink, &k, &inf, err);

	if (r < 0)
		return r;
	for (; r == 0 && at < end; at += piece)
		r = inflater_feed(inf, st->gz.data + at, end - at < piece ? end - at : piece, err);
	if (r == 0)
		r = inflater_finish(inf, err);
	inflater_free(inf);
	return r == 0 && k.pos != k.len ? -EBADMSG : r;
}

static bool all_spans(const struct stream *st, enum inflate_backend backend, size_t piece)
{
	struct err err = ERR_INIT;

	for (size_t i = 0; i < st->npoints; i++) {
		if (run(st, i, i + 1, backend, piece, &err) == 0)
			continue;
		printf("# point %zu of %zu: %s\n", i, st->npoints, err.text);
		return false;
	}
	return run(st, 0, st->npoints, backend, piece, &err) == 0;
}

static void check_stream(struct stream *st, const char *what)
{
	static const size_t pieces[] = { 1, 3, 7, 64, 511, 4096, 65537, 1u << 30 };
	unsigned int bits = 0;

	find_points(st);
	for (size_t i = 0; i < st->npoints; i++)
		bits |= 1u << st->points[i].bits;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		ok(all_spans(st, INFLATE_ZLIB, pieces[i]),
		   "%s: zlib, pieces of %zu (%zu points, bits %#x)", what, pieces[i],
		   st->npoints, bits);
		if (inflate_has_isal())
			ok(all_spans(st, INFLATE_ISAL, pieces[i]), "%s: ISA-L, pieces of %zu",
			   what, pieces[i]);
	}
}

static void test_levels(struct stream *st)
{
	static const struct {
		int level, strategy;
		const char *what;
	} kinds[] = {
		{ 1, Z_DEFAULT_STRATEGY, "level 1" }, { 6, Z_DEFAULT_STRATEGY, "level 6" },
		{ 9, Z_DEFAULT_STRATEGY, "level 9" }, { 0, Z_DEFAULT_STRATEGY, "stored" },
		{ 6, Z_FIXED, "fixed codes" },        { 6, Z_HUFFMAN_ONLY, "huffman only" },
		{ 6, Z_RLE, "run lengths" },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		buf_reset(&st->gz);
		add_member(&st->gz, st->plain, st->plain_len, kinds[i].level, kinds[i].strategy,
			   NULL);
		check_stream(st, kinds[i].what);
	}
}

static void test_members(struct stream *st)
{
	static const uint32_t cuts[] = { 0, 100000, 100001, 100001, 400000, 400000 };
	size_t n = sizeof(cuts) / sizeof(cuts[0]);

	buf_reset(&st->gz);
	for (size_t i = 0; i < n; i++) {
		size_t end = i + 1 < n ? cuts[i + 1] : st->plain_len;

		add_member(&st->gz, st->plain + cuts[i], end - cuts[i], i == 3 ? 0 : 6,
			   Z_DEFAULT_STRATEGY, i % 2 ? "some-name.tar" : NULL);
	}
	add_member(&st->gz, st->plain, 0, 6, Z_DEFAULT_STRATEGY, NULL);
	check_stream(st, "members, empty ones too");
}

/* From the first point over all of gz, with claims that may be wrong. */
static int claim(const struct stream *st, enum inflate_backend backend, uint64_t gz_len,
		 uint64_t out_len, bool exact, uint64_t *ret_got, struct err *err)
{
	struct inflate_span span = { 0, NULL, out_len, exact };
	struct sink k = { st->plain, st->plain_len, 0, 0 };
	struct inflater *inf;
	int r = inflater_new(backend, &span, check_sink, &k, &inf, err);

	if (r < 0)
		return r;
	r = inflater_feed(inf, st->gz.data + st->points[0].in, gz_len - st->points[0].in, err);
	if (r == 0)
		r = inflater_finish(inf, err);
	inflater_free(inf);
	*ret_got = k.pos;
	return r;
}

static void test_wrong(struct stream *st, enum inflate_backend backend, const char *name)
{
	struct err err = ERR_INIT;
	uint64_t got;
	int r;

	buf_reset(&st->gz);
	add_member(&st->gz, st->plain, st->plain_len, 6, Z_DEFAULT_STRATEGY, NULL);
	find_points(st);
	r = claim(st, backend, st->gz.len, st->plain_len, true, &got, &err);
	ok(r == 0 && got == st->plain_len, "%s: the right claim holds", name);
	r = claim(st, backend, st->gz.len, st->plain_len + 1, false, &got, &err);
	ok(r < 0 && err.kind == ERR_CORRUPT, "%s: a byte too many is missing: %s", name, err.text);
	r = claim(st, backend, st->gz.len, st->plain_len - 1, true, &got, &err);
	ok(r < 0 && err.kind == ERR_CORRUPT && got <= st->plain_len - 1,
	   "%s: exact: a byte more is an error: %s", name, err.text);
	r = claim(st, backend, st->gz.len, st->plain_len - 1, false, &got, &err);
	ok(r == 0 && got == st->plain_len - 1, "%s: not exact: the rest is ignored", name);
	r = claim(st, backend, st->gz.len, 0, false, &got, &err);
	ok(r == 0 && got == 0, "%s: an empty span", name);
	r = claim(st, backend, st->gz.len - 5000, st->plain_len, false, &got, &err);
	ok(r < 0 && err.kind == ERR_CORRUPT && got < st->plain_len, "%s: input cut off: %s", name,
	   err.text);
	buf_add(&st->gz, "trailing junk", 13);
	r = claim(st, backend, st->gz.len, st->plain_len, false, &got, &err);
	ok(r == 0 && got == st->plain_len, "%s: junk after the last byte is not looked at", name);
	r = claim(st, backend, st->gz.len, st->plain_len + 1, false, &got, &err);
	ok(r < 0 && err.kind == ERR_CORRUPT, "%s: but is no gzip member: %s", name, err.text);
}

/* No flipped byte may give wrong bytes of the right number unnoticed by the sink. */
static void test_damage(struct stream *st, enum inflate_backend backend, const char *name)
{
	struct err err = ERR_INIT;
	int caught = 0, harmless = 0;

	for (size_t i = 50; i < st->gz.len - 50; i += 997) {
		uint64_t got;

		st->gz.data[i] ^= 0x10;
		if (claim(st, backend, st->gz.len, st->plain_len, false, &got, &err) < 0)
			caught++;
		else
			harmless += got == st->plain_len;
		st->gz.data[i] ^= 0x10;
	}
	ok(caught > 50 && harmless == 0, "%s: %d damaged streams, none passed", name, caught);
}

static void test_sink(struct stream *st, enum inflate_backend backend, const char *name)
{
	struct inflate_span span = { 0, NULL, st->plain_len, false };
	struct sink k = { st->plain, st->plain_len, 0, 2 };
	const struct point *p = &st->points[0];
	struct err err = ERR_INIT;
	struct inflater *inf;

	if (inflater_new(backend, &span, check_sink, &k, &inf, &err) < 0)
		bail("%s", err.text);
	is_int(inflater_feed(inf, st->gz.data + p->in, st->gz.len - p->in, &err), -ENOSPC,
	       "%s: the sink's error comes back", name);
	is_int(inflater_feed(inf, st->gz.data, 1, &err), -ENOSPC, "%s: and stays", name);
	is_int(inflater_finish(inf, &err), -ENOSPC, "%s: to the end", name);
	inflater_free(inf);
}

static void test_plain_layer(void)
{
	const uint8_t data[] = "uncompressed";
	struct inflate_span span = { 0, NULL, 5, false };
	struct sink k = { data, 5, 0, 0 };
	struct err err = ERR_INIT;
	struct inflater *inf;

	if (inflater_new(INFLATE_NONE, &span, check_sink, &k, &inf, &err) < 0)
		bail("%s", err.text);
	is_int(inflater_feed(inf, data, 3, &err), 0, "plain: bytes pass");
	ok(inflater_finish(inf, &err) < 0 && err.kind == ERR_CORRUPT, "plain: too few: %s", err.text);
	is_int(inflater_feed(inf, data + 3, 9, &err), 0, "plain: padding is ignored");
	ok(inflater_finish(inf, &err) == 0 && k.pos == 5, "plain: complete");
	inflater_free(inf);
	span.exact = true;
	k.pos = 0;
	if (inflater_new(INFLATE_NONE, &span, check_sink, &k, &inf, &err) < 0)
		bail("%s", err.text);
	ok(inflater_feed(inf, data, 6, &err) < 0, "plain, exact: a byte more is an error");
	inflater_free(inf);
	span.bits = 8;
	is_int(inflater_new(INFLATE_ZLIB, &span, check_sink, &k, &inf, &err), -EINVAL,
	       "8 bits are refused");
}

/* Needs the byte before its window: a distance too far back is an error, not zeros. */
static void test_no_window(struct stream *st, enum inflate_backend backend, const char *name)
{
	struct point saved = st->points[1];
	struct err err = ERR_INIT;
	struct inflate_span span = { saved.bits, NULL, st->plain_len - saved.out, false };
	struct sink k = { st->plain + saved.out, st->plain_len - saved.out, 0, 0 };
	uint64_t at = saved.in - (saved.bits ? 1 : 0);
	struct inflater *inf;

	if (inflater_new(backend, &span, check_sink, &k, &inf, &err) < 0)
		bail("%s", err.text);
	ok(inflater_feed(inf, st->gz.data + at, st->gz.len - at, &err) < 0 &&
	   err.kind == ERR_CORRUPT, "%s: a window that is missing: %s", name, err.text);
	inflater_free(inf);
}

int main(void)
{
	uint8_t *plain = make_plain(PLAIN_BYTES);
	struct stream st = { .plain = plain, .plain_len = PLAIN_BYTES };

	st.points = calloc(MAX_POINTS, sizeof(*st.points));
	test_levels(&st);
	test_members(&st);
	for (int i = 0; i < 1 + inflate_has_isal(); i++) {
		enum inflate_backend backend = i ? INFLATE_ISAL : INFLATE_ZLIB;
		const char *name = i ? "ISA-L" : "zlib";

		test_wrong(&st, backend, name);
		test_damage(&st, backend, name);
		test_sink(&st, backend, name);
		test_no_window(&st, backend, name);
	}
	test_plain_layer();
	free(st.points);
	buf_done(&st.gz);
	free(plain);
	return tap_done();
}
