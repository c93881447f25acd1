/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tarscan.h - the entries of a tar stream, from pieces of any size, in bounded memory.
 *
 * For hostile input. Decides like Go's archive/tar reader, since the zTOCs of `soci`
 * follow it: ustar, PAX, GNU long names, base-256, v7, star; where an entry's data begins,
 * where the archive ends. File data is skipped, not looked at.
 *
 *   BLOCK --header--> [SPECIAL: PAX header, GNU long name] --> PAD --> BLOCK
 *         --header--> entry() --> SKIP: file data --> PAD --> BLOCK
 *         --header of a PAX 1.0 sparse file--> MAP --> entry() --> SKIP ...
 *         --zeros--> BLOCK --zeros--> END (the rest of the stream is not looked at)
 *
 * The stream may also end where a block would begin, or inside padding.
 * One thread at a time.
 */
#ifndef LZ_ZTOC_TARSCAN_H
#define LZ_ZTOC_TARSCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ztoc/accepted.h"
#include "ztoc/ztoc.h"

struct tarscan_entry {
	enum ztoc_type type;
	uint64_t offset;	/* of the first data byte (after a sparse map) */
	int64_t size;		/* as given; of a sparse file the expanded size */
	int64_t mode, uid, gid, devmajor, devminor;
	int64_t mtime_sec;
	uint32_t mtime_nsec;
	struct ztoc_str name, linkname, uname, gname;
	const struct ztoc_xattr *records;	/* PAX records, sorted by key */
	uint32_t nrecords;
};

/* Strings are valid during the call. A negative value stops the scan and is returned. */
typedef int (*tarscan_cb)(void *arg, const struct tarscan_entry *e, struct err *err);

struct tarscan_opts {
	uint64_t max_entries;		/* 0: no limit */
	bool strict;			/* refuse what accepted.h lists */
};

struct tarscan;

int tarscan_new(const struct tarscan_opts *opts, tarscan_cb cb, void *arg,
		struct tarscan **ret, struct err *err);
void tarscan_free(struct tarscan *t);
/*
 * Errors: CORRUPT (no tar), UNSUPPORTED (an entry that a zTOC cannot hold, a limit),
 * SYSTEM (ENOMEM), and those of the callback. After an error only tarscan_free().
 */
int tarscan_feed(struct tarscan *t, const uint8_t *data, size_t len, struct err *err);
/* Was the end-of-archive mark seen? */
bool tarscan_is_done(const struct tarscan *t);
/* Was any header block a valid one? Else these bytes may not be a tar at all. */
bool tarscan_has_header(const struct tarscan *t);
/* ZTOC_ACCEPTED_*, so far. */
unsigned int tarscan_accepted(const struct tarscan *t);
/*
 * The stream is at its end. *ret_size: the archive's length without what follows the
 * end-of-archive mark.
 */
int tarscan_finish(struct tarscan *t, uint64_t *ret_size, struct err *err);

#endif
