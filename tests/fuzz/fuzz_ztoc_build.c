/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_ztoc_build.c - any bytes as a layer: no crash, limits kept, and the same zTOC (or
 * the same refusal) however the bytes are cut into pieces.
 *
 * Input: byte 0: bit 0 plain tar, bit 1 soci 0.1, bit 2 lenient, bit 3 put right checksums
 * into the blocks of a plain tar, bit 4 small limits; byte 1: size of the pieces; byte 2:
 * log2 of the span size; the rest is the layer.
 *
 * fuzz-sources: lib/ztoc/build.c lib/ztoc/buildpipe.c lib/ztoc/chunks.c lib/ztoc/fbw.c lib/ztoc/gzindex.c lib/ztoc/keyhash.c lib/ztoc/tarhdr.c lib/ztoc/tarpax.c lib/ztoc/tarscan.c lib/ztoc/timefmt.c lib/ztoc/write.c lib/base/buf.c lib/base/err.c lib/base/digest.c
 * fuzz-libs: -lz -lnettle -lpthread
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ztoc/build.h"

#define BLOCK 512
#define MAX_TAR (1u << 24)
#define MAX_ZTOC (1u << 23)
#define SMALL_LIMIT 70000u

static int build(const struct ztoc_build_opts *opts, size_t piece, const uint8_t *data,
		 size_t len, struct ztoc_built *ret)
{
	struct ztoc_builder *b = NULL;
	struct err err = ERR_INIT;
	int r = ztoc_builder_new(opts, &b, &err);

	if (r < 0)
		abort();
	for (size_t at = 0; r == 0 && at < len; at += piece)
		r = ztoc_builder_feed(b, data + at, len - at < piece ? len - at : piece, &err);
	if (r == 0)
		r = ztoc_builder_finish(b, ret, &err);
	ztoc_builder_free(b);
	if (r < 0 && (err.num != -r || err.kind == ERR_NONE || !err.text[0] ||
		      err.kind == ERR_BUG))
		abort();
	return r;
}

/* A fuzzer does not find checksums by itself. */
static void repair(uint8_t *data, size_t len)
{
	for (size_t at = 0; at + BLOCK <= len; at += BLOCK) {
		unsigned int sum = 0;

		memset(data + at + 148, ' ', 8);
		for (unsigned int i = 0; i < BLOCK; i++)
			sum += data[at + i];
		if (sum == 8 * ' ')
			memset(data + at + 148, 0, 8);
		else
			snprintf((char *)data + at + 148, 7, "%06o", sum);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ztoc_build_opts opts = { .single_thread = true, .max_tar_bytes = MAX_TAR,
					.max_ztoc_bytes = MAX_ZTOC };
	struct ztoc_built a = { 0 }, b = { 0 };
	size_t piece;
	uint8_t *copy;
	int ra, rb;

	if (len < 3)
		return 0;
	opts.compression = data[0] & 1 ? ZTOC_UNCOMPRESSED : ZTOC_GZIP;
	opts.compat = data[0] & 2 ? ZTOC_BUILD_SOCI_0_1 : ZTOC_BUILD_SOCI_0_2;
	opts.strict = !(data[0] & 4);
	if (data[0] & 16)
		opts.max_tar_bytes = opts.max_ztoc_bytes = SMALL_LIMIT;
	opts.span_size = 1ull << (data[2] % 24);
	piece = data[1] ? data[1] : 100000;
	copy = malloc(len);
	if (!copy)
		return 0;
	memcpy(copy, data, len);
	if (data[0] & 8)
		repair(copy + 3, len - 3);
	ra = build(&opts, len, copy + 3, len - 3, &a);
	rb = build(&opts, piece, copy + 3, len - 3, &b);
	if ((ra < 0) != (rb < 0) || a.len != b.len ||
	    (a.len && memcmp(a.bytes, b.bytes, a.len) != 0) || a.len > opts.max_ztoc_bytes)
		abort();
	free(a.bytes);
	free(b.bytes);
	free(copy);
	return 0;
}
