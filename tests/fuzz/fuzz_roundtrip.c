/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_roundtrip.c - what zlib deflates in whatever manner, zlib and ISA-L inflate again:
 * every level, strategy, window, memory level, flush and cut into gzip members.
 *
 * Input: byte 0: level, member cut; 1: strategy, memory level; 2: window, flush kind;
 * 3: bytes between flushes; 4: pieces; 5: repeats; the rest is the data.
 *
 * fuzz-sources: lib/ztoc/inflate.c lib/ztoc/inflate_zlib.c lib/ztoc/inflate_isal.c lib/ztoc/gzip.c lib/base/err.c lib/base/buf.c
 * fuzz-libs: -lz -lisal
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/buf.h"
#include "ztoc/inflate.h"

#define PLAIN_MAX 80000u

struct manner {
	int level, strategy, mem_level, window_bits, flush;
	size_t flush_every;
};

/* The data, again and again with a byte changed each time. */
static uint8_t *expand(const uint8_t *data, size_t len, size_t repeats, size_t *ret_len)
{
	size_t n = len * (repeats + 1) > PLAIN_MAX ? PLAIN_MAX : len * (repeats + 1);
	uint8_t *p = calloc(1, n ? n : 1);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(data[i % len] + (i / len && i % len == i / len % 61));
	*ret_len = n;
	return p;
}

static void deflate_to(struct buf *b, const struct manner *m, const uint8_t *p,
		       size_t len)
{
	z_stream s = { .next_in = (Bytef *)(uintptr_t)p };
	size_t left = len;
	uint8_t out[4096];
	int r;

	if (deflateInit2(&s, m->level, Z_DEFLATED, m->window_bits + 16,
			 m->mem_level, m->strategy) != Z_OK)
		abort();
	do {
		size_t n = left < m->flush_every ? left : m->flush_every;

		s.avail_in = (uInt)n;
		left -= n;
		do {
			s.next_out = out;
			s.avail_out = sizeof(out);
			r = deflate(&s, left ? m->flush : Z_FINISH);
			buf_add(b, out, sizeof(out) - s.avail_out);
		} while (s.avail_out == 0);
	} while (left);
	if (r != Z_STREAM_END)
		abort();
	deflateEnd(&s);
}

struct want {
	const uint8_t *p;
	size_t left;
};

static int want_sink(void *arg, const uint8_t *data, size_t len)
{
	struct want *w = arg;

	if (len > w->left || memcmp(w->p, data, len))
		abort();
	w->p += len;
	w->left -= len;
	return 0;
}

/* Raw deflate begins behind the ten bytes of the first member's header. */
static void check(enum inflate_backend backend, const struct buf *gz, size_t piece,
		  const uint8_t *plain, size_t len)
{
	struct inflate_span span = { .out_len = len, .exact = true };
	struct want want = { plain, len };
	struct err err = ERR_INIT;
	struct inflater *inf;

	if (inflater_new(backend, &span, want_sink, &want, &inf, &err) < 0)
		abort();
	for (size_t at = 10; at < gz->len; at += piece)
		if (inflater_feed(inf, gz->data + at,
				  gz->len - at < piece ? gz->len - at : piece, &err) < 0)
			abort();
	if (inflater_finish(inf, &err) < 0 || want.left)
		abort();
	inflater_free(inf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const int flushes[] = { Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH,
				       Z_BLOCK };
	struct buf gz = BUF_INIT(0);
	struct manner m;
	size_t piece, plain_len, cut;
	uint8_t *plain;

	if (len < 7)
		return 0;
	m.level = data[0] % 10;
	m.strategy = data[1] % 5;
	m.mem_level = 1 + data[1] / 5 % 9;
	m.window_bits = 9 + data[2] % 7;
	m.flush = flushes[data[2] / 7 % 5];
	m.flush_every = 1 + 97u * data[3];
	piece = data[4] ? data[4] : 1u << 20;
	plain = expand(data + 6, len - 6, data[5], &plain_len);
	cut = data[0] / 10 ? plain_len * (data[0] / 10u) / 26 : plain_len;
	deflate_to(&gz, &m, plain, cut);
	if (cut < plain_len)
		deflate_to(&gz, &m, plain + cut, plain_len - cut);
	check(INFLATE_ZLIB, &gz, piece, plain, plain_len);
	if (inflate_has_isal())
		check(INFLATE_ISAL, &gz, piece, plain, plain_len);
	buf_done(&gz);
	free(plain);
	return 0;
}
