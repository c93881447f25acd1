/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_inflate.c - compressed bytes of any kind, with zlib and with ISA-L: no crash, never
 * more output than asked for, and where both succeed, the same bytes.
 *
 * Input: byte 0: low 3 bits = bits, bit 3 = window, bit 4 = exact; byte 1: size of the
 * pieces; bytes 2..4: out_len; the rest is the span.
 *
 * fuzz-sources: lib/ztoc/inflate.c lib/ztoc/inflate_zlib.c lib/ztoc/inflate_isal.c lib/ztoc/gzip.c lib/base/err.c lib/base/digest.c
 * fuzz-libs: -lz -lisal -lnettle
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "ztoc/inflate.h"
#include "ztoc/ztoc.h"

struct sum {
	struct digest_ctx hash;
	uint64_t len, max;
};

static int sum_sink(void *arg, const uint8_t *data, size_t len)
{
	struct sum *s = arg;

	s->len += len;
	if (s->len > s->max || len == 0)
		abort();
	digest_update(&s->hash, data, len);
	return 0;
}

static int run(enum inflate_backend backend, const struct inflate_span *span, size_t piece,
	       const uint8_t *data, size_t len, struct digest *ret)
{
	struct sum sum = { .max = span->out_len };
	struct err err = ERR_INIT;
	struct inflater *inf;
	int r = inflater_new(backend, span, sum_sink, &sum, &inf, &err);

	if (r < 0)
		abort();
	digest_init(&sum.hash);
	for (size_t at = 0; r == 0 && at < len; at += piece)
		r = inflater_feed(inf, data + at, len - at < piece ? len - at : piece, &err);
	if (r == 0)
		r = inflater_finish(inf, &err);
	if (r == 0 && sum.len != span->out_len)
		abort();
	inflater_free(inf);
	digest_final(&sum.hash, ret);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t window[ZTOC_WINDOW_BYTES];
	struct inflate_span span = { 0 };
	struct digest a, b;
	size_t piece;

	if (len < 5)
		return 0;
	for (size_t i = 0; i < sizeof(window); i++)
		window[i] = (uint8_t)(i * 7 + i / 256);
	span.bits = data[0] & 7;
	span.window = data[0] & 8 ? window : NULL;
	span.exact = data[0] & 16;
	span.out_len = (uint64_t)data[2] | (uint64_t)data[3] << 8 | (uint64_t)data[4] << 16;
	piece = data[1] ? data[1] : 1u << 20;
	data += 5;
	len -= 5;
	if (run(INFLATE_ZLIB, &span, piece, data, len, &a) == 0 && inflate_has_isal() &&
	    run(INFLATE_ISAL, &span, piece, data, len, &b) == 0 && !digest_is_equal(&a, &b))
		abort();
	run(INFLATE_NONE, &span, piece, data, len, &b);
	return 0;
}
