/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tarpax.h - the records of a PAX extended header, and the sparse maps that hide in them.
 *
 * Decides like Go's archive/tar (see tarhdr.h). Records point into the bytes that were
 * parsed, which must outlive them; sorted by key, the last of equal keys counts. One
 * thread at a time.
 *
 * Life cycle: zeroed -> tarpax_parse() for each header -> tarpax_order() when an entry
 * needs the records -> tarpax_reset() -> ... -> tarpax_done(). A header is often replaced by
 * the next one before there is an entry: then it was checked, but not put in order.
 */
#ifndef LZ_ZTOC_TARPAX_H
#define LZ_ZTOC_TARPAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ztoc/ztoc.h"

#define TAR_SPECIAL_MAX_BYTES (1u << 20)	/* of a PAX header, of a GNU long name */

struct tarpax {
	struct ztoc_xattr *records;
	uint32_t nrecords, cap;
	bool is_ordered;

	/* private */
	struct buf sparse_map;		/* "GNU.sparse.map" made of format 0.0's records */
	unsigned int nsparse;		/* of those records */
	struct tarpax_links *links;	/* tarpax_order()'s hash table */
	uint32_t links_cap;
	uint64_t point;			/* see keyhash.h; 0: none yet */
};

void tarpax_done(struct tarpax *p);
/* No records. */
void tarpax_reset(struct tarpax *p);
/* Replaces what p held. 0, -EINVAL: not a valid PAX header, -ENOMEM. */
int tarpax_parse(struct tarpax *p, const void *data, size_t len);
/* Each key once, in order; before all that follows. 0, -ENOMEM, or what getrandom(2) said. */
int tarpax_order(struct tarpax *p);
/* The value of key; empty (len 0) where absent. */
struct ztoc_str tarpax_get(const struct tarpax *p, const char *key);
/* Decimal, with an optional sign. */
int tarpax_int(struct ztoc_str s, int64_t *ret);
/* "seconds[.fraction]"; nsec is 0..999999999 for negative times too. */
int tarpax_time(struct ztoc_str s, int64_t *ret_sec, uint32_t *ret_nsec);

enum tar_sparse { TAR_NOT_SPARSE, TAR_SPARSE_0, TAR_SPARSE_1_0 };
/* Which sparse format the records announce; format 1.0 has its map in front of the data. */
enum tar_sparse tarpax_sparse(const struct tarpax *p);

/* A sparse map under check: pieces in order, none beyond size. */
struct tar_sparse_map {
	int64_t size, prev_end;
};
int tar_sparse_piece(struct tar_sparse_map *m, int64_t offset, int64_t len);
/* Formats 0.0 and 0.1: check the whole map against the file's real size. */
int tarpax_check_sparse_0(const struct tarpax *p, int64_t real_size);

/*
 * Format 1.0: "count\n" and then "offset\n" "length\n" per piece, padded to a block.
 * Feed whole blocks until *ret_done. Nothing of it is kept, so its length has no limit but
 * the file's.
 */
struct tar_sparse_1_0 {
	struct tar_sparse_map map;
	int64_t left;			/* numbers still to come; -1: the count is next */
	int64_t offset;			/* of the piece whose length is next */
	bool is_length_next;
	char token[32];			/* of a number; needless leading zeros are left out */
	uint8_t token_len;
};
void tar_sparse_1_0_init(struct tar_sparse_1_0 *s, int64_t real_size);
int tar_sparse_1_0_block(struct tar_sparse_1_0 *s, const uint8_t *block, bool *ret_done);

#endif
