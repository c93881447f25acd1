/* SPDX-License-Identifier: GPL-2.0-or-later */
/* inflate_zlib.c - raw deflate with zlib, the reference; see inflate_raw.h. */
#include "ztoc/inflate_raw.h"

#include <errno.h>
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

#include "ztoc/ztoc.h"

#define RAW_DEFLATE (-15)

static void *create(void)
{
	z_stream *s = calloc(1, sizeof(*s));

	if (s && inflateInit2(s, RAW_DEFLATE) != Z_OK) {
		free(s);
		return NULL;
	}
	return s;
}

static void destroy(void *raw)
{
	if (!raw)
		return;
	inflateEnd(raw);
	free(raw);
}

static int start(void *raw, unsigned int nbits, unsigned int bits, const uint8_t *window)
{
	z_stream *s = raw;

	if (inflateReset2(s, RAW_DEFLATE) != Z_OK)
		return -EINVAL;
	if (nbits && inflatePrime(s, (int)nbits, (int)bits) != Z_OK)
		return -EINVAL;
	if (window && inflateSetDictionary(s, window, ZTOC_WINDOW_BYTES) != Z_OK)
		return -EINVAL;
	return 0;
}

static int run(void *raw, struct inflate_raw_io *io)
{
	z_stream *s = raw;
	int r;

	s->next_in = io->in;
	s->avail_in = (uInt)io->in_len;
	s->next_out = io->out;
	s->avail_out = (uInt)io->out_len;
	r = inflate(s, Z_NO_FLUSH);
	io->in = s->next_in;
	io->in_len = s->avail_in;
	io->out = s->next_out;
	io->out_len = s->avail_out;
	io->nunread = 0;
	io->ended = r == Z_STREAM_END;
	switch (r) {
	case Z_OK:
	case Z_STREAM_END:
	case Z_BUF_ERROR:	/* no progress: input or room is missing */
		return 0;
	case Z_MEM_ERROR:
		return -ENOMEM;
	default:
		return -EINVAL;
	}
}

const struct inflate_raw_ops inflate_raw_zlib = { create, destroy, start, run };
