/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verify.h - a whole layer against its zTOC: is everything as the zTOC says?
 *
 * Spans are authentic by their digests, but the table of contents is only a claim about
 * them. Verifying reads the layer once, front to back, and proves:
 *   - the gzip header ends where span 0 begins
 *   - every span has its digest and inflates to exactly its length
 *   - every checkpoint's window is the 32 KiB that precede it
 *   - the tar's own headers give the entries of the zTOC, all fields of them, in order,
 *     and its end is where the zTOC has it
 * so that every regular file it lists can be read, and is the one in the tar. Behind the
 * tar's end the last span may hold anything; only deflate data that breaks off so soon after
 * it that a decoder meets the break before it gives out the end is CORRUPT.
 * Blocking, one thread, bounded memory.
 */
#ifndef LZ_ZTOC_VERIFY_H
#define LZ_ZTOC_VERIFY_H

#include "ztoc/extract.h"

struct verify_totals {
	uint64_t spans, comp_bytes, out_bytes;
	uint64_t entries, files, file_bytes;	/* files: regular ones, sparse ones not counted */
	uint64_t sparse_files;
};

/* Errors: as extract.h; CORRUPT names the span or the entry and the field that differs. */
int verify_layer(const struct extract *x, struct verify_totals *ret, struct err *err);

#endif
