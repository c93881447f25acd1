/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inflate.h - from the compressed bytes of one span to its bytes of the tar stream.
 *
 * Streaming, bounded memory whatever the span's size. zlib is the reference; ISA-L is used
 * where configure found it and gives the same bytes (tests prove it). Uncompressed layers
 * pass through. Gzip member boundaries inside a span are crossed (trailer, next header);
 * output that ends early, or does not end, is CORRUPT, never zero-filled.
 *
 * The caller has verified the span's digest before, or discards the output if it fails
 * after: this file checks form, not truth. One inflater belongs to one thread at a time.
 */
#ifndef LZ_ZTOC_INFLATE_H
#define LZ_ZTOC_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum inflate_backend {
	INFLATE_BEST,		/* ISA-L where built in, else zlib */
	INFLATE_ZLIB,
	INFLATE_ISAL,		/* -EOPNOTSUPP where not built in */
	INFLATE_NONE,		/* uncompressed layer */
};

struct inflate_span {
	uint8_t bits;		/* as in struct ztoc_span */
	const uint8_t *window;	/* 32 KiB, or NULL */
	uint64_t out_len;	/* bytes to produce */
	bool exact;		/* output beyond out_len is CORRUPT, not ignored. For every
				 * span but the last, where the tar's padding may follow */
};

/* Output in order; non-zero (-errno) stops the inflater and is returned by feed. */
typedef int (*inflate_sink)(void *arg, const uint8_t *data, size_t len);

struct inflater;

int inflater_new(enum inflate_backend backend, const struct inflate_span *span,
		 inflate_sink sink, void *arg, struct inflater **ret, struct err *err);
void inflater_free(struct inflater *inf);
/* Feed compressed bytes in any pieces; input after the span's output is ignored (or not:
 * see exact). After an error the inflater is good for inflater_free() only. */
int inflater_feed(struct inflater *inf, const uint8_t *data, size_t len, struct err *err);
/* All input was fed: 0 only if exactly out_len bytes went to the sink. */
int inflater_finish(struct inflater *inf, struct err *err);

bool inflate_has_isal(void);

#endif
