/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inflate_raw.h - what inflate.c asks of a deflate decoder (zlib or ISA-L).
 *
 * Private to lib/ztoc. Raw deflate only; gzip frames and lengths are inflate.c's. A decoder
 * keeps its 32 KiB of history itself, so that the output buffer may be used again.
 */
#ifndef LZ_ZTOC_INFLATE_RAW_H
#define LZ_ZTOC_INFLATE_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INFLATE_RAW_PIECE (1u << 30)	/* most that in_len or out_len may be at a time */

struct inflate_raw_io {
	const uint8_t *in;	/* advanced by what was taken */
	size_t in_len;
	uint8_t *out;		/* advanced by what was written */
	size_t out_len;
	bool ended;		/* set: the last block is over and all its output written */
	uint8_t unread[8];	/* when ended: bytes taken, but not part of the stream; */
	size_t nunread;		/* they come before in[0] */
};

struct inflate_raw_ops {
	void *(*create)(void);
	void (*destroy)(void *raw);
	/*
	 * Begin a stream: its first nbits (0..7) bits, which a byte shared with the block
	 * before ends in, and the 32 KiB before it (NULL: none). May be called again.
	 */
	int (*start)(void *raw, unsigned int nbits, unsigned int bits, const uint8_t *window);
	/* Take input, write output, as far as either goes. -EINVAL: invalid data; -ENOMEM */
	int (*run)(void *raw, struct inflate_raw_io *io);
};

extern const struct inflate_raw_ops inflate_raw_zlib;
#ifdef HAVE_ISAL
extern const struct inflate_raw_ops inflate_raw_isal;
#endif

#endif
