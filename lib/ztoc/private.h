/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * private.h - what the files of the zTOC reader share.
 *
 * ztoc.c opens and holds the scalars, entries.c reads the TOC, checkpoints.c the spans.
 * Nothing is kept per entry or per span: everything is read again from the bytes when it
 * is asked for, by the same function that the validation ran, so that a validated zTOC
 * cannot fail later. One exception would be a caller who changes the bytes under us; that
 * ends in an assertion, not in a wrong answer.
 */
#ifndef LZ_ZTOC_PRIVATE_H
#define LZ_ZTOC_PRIVATE_H

#include "ztoc/fb.h"
#include "ztoc/ztoc.h"

struct ztoc {
	struct ztoc_str version, build_tool;
	enum ztoc_compression compression;
	uint64_t comp_size, out_size, span_size;
	struct fb_vector entries;	/* of FileMetadata */
	struct fb_vector digests;	/* of strings, one per span */
	uint32_t nspans;
	const uint8_t *ckpt;		/* gzip: first record; NULL for uncompressed layers */
	uint64_t ckpt_off;		/* of the checkpoints vector in the file */
	bool is_legacy;			/* gzip: record 0 is implied, ckpt is record 1 */
	uint64_t first_sparse;		/* entry with a GNU.sparse.* record, or ZTOC_NO_ENTRY */
};

/* CORRUPT, with the text in front. */
#define ztoc_corrupt(err, ...) err_set((err), ERR_CORRUPT, EINVAL, __VA_ARGS__)

/* entries.c: check every entry; finds first_sparse. */
int ztoc_entries_check(struct ztoc *z, struct err *err);

/* checkpoints.c: fill the span fields from the CompressionInfo table and check them. */
int ztoc_spans_open(struct ztoc *z, const struct fb_table *info, struct err *err);

/* Bytes for an error text: at most 120 of them, odd ones as \xNN. Returns buf. */
const char *ztoc_str_printable(struct ztoc_str s, char buf[512]);

#endif
