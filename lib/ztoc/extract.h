/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * extract.h - bytes of a layer's tar stream out of a local copy of the layer, or of as much
 * of it as the spans in question take.
 *
 * For the command line and for tests: blocking, one thread, memory bounded whatever the
 * layer holds. A span's digest is checked before any byte of it reaches the sink; a span
 * too large to hold is read twice, and its second reading is checked again.
 * Errors: CORRUPT (digest, form or sizes; the span is named), UNSUPPORTED (sparse file),
 * SYSTEM (reading the layer, memory, what the sink said).
 */
#ifndef LZ_ZTOC_EXTRACT_H
#define LZ_ZTOC_EXTRACT_H

#include <stdint.h>

#include "base/err.h"
#include "ztoc/inflate.h"
#include "ztoc/ztoc.h"

struct extract {
	const struct ztoc *ztoc;
	int layer_fd;			/* a file of ztoc_comp_size() bytes, read with pread */
	enum inflate_backend backend;	/* for gzip layers */
	/* part_end not 0: the file holds layer bytes [part_start, part_end) and no others, the
	 * first of them at 0. Reading outside of them is an error. */
	uint64_t part_start, part_end;
};

/* Is the layer's size (that of the part) the one that the zTOC is for? */
int extract_check_layer(const struct extract *x, struct err *err);
/* Tar bytes [off, off+len) in order; the range lies within ztoc_out_size(). */
int extract_range(const struct extract *x, uint64_t off, uint64_t len, inflate_sink sink,
		  void *arg, struct err *err);
/*
 * The layer bytes that extract_entry() reads for entry i, and no more than the zTOC says the
 * layer has; *ret_start == *ret_end: none. Errors as there.
 */
int extract_entry_part(const struct ztoc *z, uint64_t i, uint64_t *ret_start,
		       uint64_t *ret_end, struct err *err);
/* The data of entry i, a regular file. */
int extract_entry(const struct extract *x, uint64_t i, inflate_sink sink, void *arg,
		  struct err *err);
/* All tar bytes of span i; it must inflate to exactly its length. */
int extract_span(const struct extract *x, uint32_t i, inflate_sink sink, void *arg,
		 struct err *err);
/*
 * The last span, and on to the end of the data: what follows ztoc_out_size() (padding, if
 * all is well) is handed on too. The sink ends it early with -ECANCELED, which is not an
 * error.
 */
int extract_rest(const struct extract *x, inflate_sink sink, void *arg, struct err *err);
/* len bytes of the layer at off. */
int extract_read_layer(const struct extract *x, uint8_t *buf, size_t len, uint64_t off,
		       struct err *err);

#endif
