/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gzindex_test.c - checkpoints: their window is what came before, pieces do not matter,
 * members and junk are treated as asked for, limits hold.
 */
#include "tests/unit/tap.h"

#include <errno.h>

#include <zlib.h>

#include "base/buf.h"
#include "ztoc/gzindex.h"
#include "ztoc/ztoc.h"

#define TEXT_BYTES 700000u

struct seen {
	const uint8_t *want;	/* the whole output */
	uint64_t out, points;
	uint64_t in_at[64], out_at[64];
	bool wrong, complete;
};

static int on_out(void *arg, const uint8_t *data, size_t len, struct err *err)
{
	struct seen *s = arg;

	(void)err;
	s->wrong |= s->out + len > 2 * TEXT_BYTES || memcmp(data, s->want + s->out, len) != 0;
	s->out += len;
	return 0;
}

static int on_point(void *arg, const struct gzindex_point *p, struct err *err)
{
	struct seen *s = arg;
	uint64_t n = p->out < ZTOC_WINDOW_BYTES ? p->out : ZTOC_WINDOW_BYTES;

	(void)err;
	s->wrong |= p->bits > 7 ||
		    memcmp(p->window + ZTOC_WINDOW_BYTES - n, s->want + p->out - n, n) != 0;
	for (uint64_t i = 0; i < ZTOC_WINDOW_BYTES - n; i++)
		s->wrong |= p->window[i] != 0;
	if (s->points < 64) {
		s->in_at[s->points] = p->in;
		s->out_at[s->points] = p->out;
	}
	s->points++;
	return 0;
}

static int on_is_complete(void *arg, bool *ret, struct err *err)
{
	struct seen *s = arg;

	(void)err;
	*ret = s->complete;
	return 0;
}

static const struct gzindex_ops ops = { on_out, on_point, on_is_complete };

static int run(const struct gzindex_opts *opts, const struct buf *gz, size_t piece,
	       struct seen *s, struct err *err)
{
	struct gzindex *g;
	int r = gzindex_new(opts, &ops, s, &g, err);

	for (size_t at = 0; r == 0 && at < gz->len; at += piece)
		r = gzindex_feed(g, gz->data + at,
				 gz->len - at < piece ? gz->len - at : piece, err);
	if (r == 0)
		r = gzindex_finish(g, err);
	gzindex_free(g);
	return r;
}

/* Append one gzip member; head may be NULL. */
static void add_member_with(struct buf *b, const uint8_t *data, size_t len, gz_header *head)
{
	z_stream z = { 0 };
	size_t bound;

	if (deflateInit2(&z, 6, Z_DEFLATED, 31, 5, Z_DEFAULT_STRATEGY) != Z_OK)
		bail("deflateInit2");
	if (head)
		deflateSetHeader(&z, head);
	bound = deflateBound(&z, len) + 64;
	if (buf_reserve(b, bound) < 0)
		bail("buf_reserve");
	z.next_in = (Bytef *)data;
	z.avail_in = (uInt)len;
	z.next_out = b->data + b->len;
	z.avail_out = (uInt)bound;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		bail("deflate");
	b->len += z.total_out;
	deflateEnd(&z);
}

static void add_member(struct buf *b, const uint8_t *data, size_t len)
{
	add_member_with(b, data, len, NULL);
}

static void test_points(const uint8_t *text)
{
	static const size_t pieces[] = { 1, 1000, 65536, 1 << 30 };
	struct gzindex_opts opts = { .span_size = 50000, .max_out_bytes = 1 << 30 };
	struct seen first = { 0 };
	struct buf gz = { 0 };

	add_member(&gz, text, TEXT_BYTES);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct seen s = { .want = text };
		bool same;

		is_int(run(&opts, &gz, pieces[i], &s, NULL), 0, "pieces of %zu", pieces[i]);
		ok(!s.wrong && s.out == TEXT_BYTES && s.points > 5 && s.points < 15,
		   "output and windows are right (%llu points)",
		   (unsigned long long)s.points);
		if (i == 0)
			first = s;
		same = memcmp(first.in_at, s.in_at, sizeof(s.in_at)) == 0 &&
		       memcmp(first.out_at, s.out_at, sizeof(s.out_at)) == 0;
		ok(same, "the same points");
	}
	ok(first.in_at[0] == 10 && first.out_at[0] == 0, "the first is after the header");
	buf_done(&gz);
}

static void test_members(const uint8_t *text)
{
	struct gzindex_opts opts = { .span_size = 50000, .max_out_bytes = 1 << 30 };
	struct seen all = { .want = text }, one = { .want = text };
	struct buf gz = { 0 };
	size_t half;

	add_member(&gz, text, 300000);
	half = gz.len;
	add_member(&gz, text + 300000, TEXT_BYTES - 300000);
	is_int(run(&opts, &gz, 777, &all, NULL), 0, "two members");
	ok(!all.wrong && all.out == TEXT_BYTES, "are one stream");
	ok(all.in_at[all.points - 1] > half, "with points in the second");
	opts.first_member_only = true;
	is_int(run(&opts, &gz, 777, &one, NULL), 0, "two members, the first indexed");
	ok(!one.wrong && one.out == TEXT_BYTES && one.in_at[one.points - 1] < half,
	   "all output, no points in the second");
	gz.len -= 4;
	one = (struct seen){ .want = text };
	is_int(run(&opts, &gz, 777, &one, NULL), -EINVAL, "a second member cut short");
	one = (struct seen){ .want = text, .complete = true };
	is_int(run(&opts, &gz, 777, &one, NULL), 0, "does not matter when all is there");
	buf_done(&gz);
}

static void test_empty_members(const uint8_t *text)
{
	struct gzindex_opts opts = { .span_size = 50000, .max_out_bytes = 1 << 30 };
	struct seen s = { .want = text };
	struct buf gz = { 0 };

	add_member(&gz, text, 0);
	add_member(&gz, text, 200000);
	add_member(&gz, text, 0);
	is_int(run(&opts, &gz, 1, &s, NULL), 0, "empty members");
	ok(!s.wrong && s.out == 200000, "add nothing");
	for (uint64_t i = 1; i < s.points && i < 64; i++)
		s.wrong |= s.out_at[i] <= s.out_at[i - 1] || s.in_at[i] <= s.in_at[i - 1];
	ok(!s.wrong, "points never share an output offset");
	buf_done(&gz);
}

static void test_junk(const uint8_t *text)
{
	struct gzindex_opts opts = { .span_size = 50000, .max_out_bytes = 1 << 30,
				     .strict = true };
	struct seen s = { .want = text, .complete = true };
	struct err err = ERR_INIT;
	struct buf gz = { 0 };

	add_member(&gz, text, 1000);
	buf_add(&gz, "junk", 4);
	is_int(run(&opts, &gz, 1, &s, &err), -EINVAL, "junk is refused");
	ok(strstr(err.text, "after the gzip data"), "and named: %s", err.text);
	opts.strict = false;
	s = (struct seen){ .want = text, .complete = true };
	is_int(run(&opts, &gz, 1, &s, NULL), 0, "or ignored, where asked for");
	s = (struct seen){ .want = text, .complete = false };
	is_int(run(&opts, &gz, 1, &s, NULL), -EINVAL, "but not before the archive's end");
	buf_done(&gz);
}

/* Go's gzip reader takes names and comments of 511 bytes, and none that are longer. */
static void test_name(const uint8_t *text, size_t name, size_t comment, bool second, bool taken)
{
	struct gzindex_opts opts = { .span_size = 50000, .max_out_bytes = 1 << 30 };
	static uint8_t strings[2][2000];
	gz_header head = { .hcrc = 1 };
	struct seen s = { .want = text };
	struct gzindex *g;
	struct err err = ERR_INIT;
	struct buf gz = { 0 };

	memset(strings, 'n', sizeof(strings));
	strings[0][name] = strings[1][comment] = 0;
	head.name = name ? strings[0] : NULL;
	head.comment = comment ? strings[1] : NULL;
	if (second)
		add_member(&gz, text, 1000);
	add_member_with(&gz, text + (second ? 1000 : 0), 1000, &head);
	opts.strict = true;
	for (size_t piece = 1; piece < 5000; piece += 611) {
		s = (struct seen){ .want = text };
		ok(run(&opts, &gz, piece, &s, &err) == (taken ? 0 : -EOPNOTSUPP),
		   "%s member: name of %zu, comment of %zu, pieces of %zu",
		   second ? "second" : "first", name, comment, piece);
	}
	s = (struct seen){ .want = text, .complete = true };
	is_int(run(&opts, &gz, 100, &s, &err), taken || second ? 0 : -EOPNOTSUPP,
	       "after the tar's end: what begins there does not matter");
	opts.strict = false;
	s = (struct seen){ .want = text };
	if (gzindex_new(&opts, &ops, &s, &g, &err) < 0 ||
	    gzindex_feed(g, gz.data, gz.len, &err) < 0 || gzindex_finish(g, &err) < 0)
		bail("%s", err.text);
	is_int((int)gzindex_accepted(g), taken ? 0 : ZTOC_ACCEPTED_GZIP_NAME,
	       "not strict: taken, and told if long");
	gzindex_free(g);
	buf_done(&gz);
}

static void test_names(const uint8_t *text)
{
	for (int second = 0; second < 2; second++) {
		test_name(text, 511, 511, second, true);
		test_name(text, 512, 0, second, false);
		test_name(text, 0, 512, second, false);
		test_name(text, 1, 1999, second, false);
		test_name(text, 1999, 1, second, false);
	}
}

static void test_bad(const uint8_t *text)
{
	struct gzindex_opts opts = { .span_size = 50000, .max_out_bytes = 1 << 30 };
	struct seen s = { .want = text, .complete = true };
	struct err err = ERR_INIT;
	struct buf gz = { 0 };

	add_member(&gz, text, TEXT_BYTES);
	opts.max_out_bytes = 300000;
	is_int(run(&opts, &gz, 1000, &s, &err), -EFBIG, "the output's limit holds");
	ok(s.out <= 300000, "and nothing beyond it is handed out");
	opts.max_out_bytes = 1 << 30;
	gz.len -= 1;
	is_int(run(&opts, &gz, 1000, &(struct seen){ .want = text }, &err), -EINVAL,
	       "one byte is missing");
	gz.len += 1;
	gz.data[gz.len - 6] ^= 1;
	is_int(run(&opts, &gz, 1000, &(struct seen){ .want = text }, &err), -EINVAL,
	       "a wrong CRC");
	buf_reset(&gz);
	buf_add(&gz, "no gzip", 7);
	is_int(run(&opts, &gz, 1, &(struct seen){ .want = text }, &err), -EINVAL, "no gzip");
	buf_done(&gz);
}

int main(void)
{
	static uint8_t text[2 * TEXT_BYTES];
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(text); i++) {
		x = x * 1664525u + 1013904223u;
		text[i] = (uint8_t)"etaoin shrdlu\n0123"[(x >> 24) % 18];
	}
	test_points(text);
	test_members(text);
	test_empty_members(text);
	test_junk(text);
	test_names(text);
	test_bad(text);
	return tap_done();
}
