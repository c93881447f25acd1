/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * write.h - the contents of a zTOC, collected in memory, and their serialisation.
 *
 * The bytes are those that `soci` makes of the same contents (kernel-notes/soci-format.md,
 * Building); the reader's counterpart is ztoc.h. Contents are taken as they come: the model
 * checks sizes, not sense.
 *
 * Life cycle: ztoc_model_init() -> fields, ztoc_model_add_*() -> ztoc_model_write() ->
 * ztoc_model_done(). What is collected is bounded by max_bytes (-EFBIG), counted as the
 * bytes of the zTOC it leads to. One thread at a time.
 *
 * Memory: what is collected is smaller than what it becomes in the zTOC, and is given back
 * as it is written: collected and written together are never more than the zTOC and a few
 * MiB. So the length is found first, by writing without storing.
 */
#ifndef LZ_ZTOC_WRITE_H
#define LZ_ZTOC_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "ztoc/chunks.h"
#include "ztoc/ztoc.h"

/* One entry as it goes into the file; the strings are copied. */
struct ztoc_model_entry {
	enum ztoc_type type;
	uint64_t offset;		/* of the first data byte in the tar stream */
	int64_t size;			/* as in the tar header, whatever the type */
	int64_t mode, devmajor, devminor;
	uint32_t uid, gid;
	struct ztoc_str name, linkname, uname, gname;
	struct ztoc_str mod_time;	/* RFC 3339, or empty */
	const struct ztoc_xattr *records;	/* PAX records, sorted by key */
	uint32_t nrecords;
};

struct packed_entry;

struct ztoc_model {
	const char *build_tool;		/* borrowed */
	enum ztoc_compression compression;
	uint64_t comp_size, out_size;
	uint64_t span_size;

	/* private */
	struct chunks entries, points, digests;
	struct packed_entry *last_entry;
	uint64_t nentries, npoints, ndigests;
	uint64_t strings_bytes;		/* of the entries, RECORD_COST included */
	uint64_t max_bytes;
};

void ztoc_model_init(struct ztoc_model *m, uint64_t max_bytes);
void ztoc_model_done(struct ztoc_model *m);

int ztoc_model_add_entry(struct ztoc_model *m, const struct ztoc_model_entry *e,
			 struct err *err);
/* The next checkpoint of a gzip layer; window has ZTOC_WINDOW_BYTES. */
int ztoc_model_add_point(struct ztoc_model *m, uint64_t in, uint64_t out, uint8_t bits,
			 const uint8_t *window, struct err *err);
/* The digest of the next span; as many as checkpoints when the model is written. */
int ztoc_model_add_digest(struct ztoc_model *m, const struct digest *d, struct err *err);

/*
 * Serialise. *ret is yours to free(). Entries and checkpoints are released on the way, so
 * the model can only be ztoc_model_done() afterwards.
 */
int ztoc_model_write(struct ztoc_model *m, uint8_t **ret, size_t *ret_len, struct err *err);

#endif
