/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * build.h - make the zTOC of a layer while its bytes pass by, once.
 *
 * The layer comes in pieces of any size, from a file or a download; nothing is kept of it
 * but its table of contents and its checkpoints. The bytes of the zTOC are those that
 * `soci create` writes for this layer (kernel-notes/soci-format.md, Building), for either of
 * its two families:
 *
 *	             build tool           members of a gzip file   after the last member
 *	SOCI_0_1     AWS SOCI CLI v0.1    the first is indexed     anything
 *	SOCI_0_2     AWS SOCI CLI v0.2    all are indexed          nothing
 *
 * (The first is soci before 0.10, the second 0.14 and later; those between have the second
 * name and the first's ways, which makes no difference for layers of one member.)
 *
 * Deliberate differences: no second checkpoint at output offset 0 (see gzindex.h); an empty
 * file, or a member in zlib format, is no layer. What `soci` refuses is refused (old GNU
 * sparse files, anything that is no tar), but for what can be served all the same: see
 * accepted.h, and the option `strict`.
 *
 *   feed() ── inflate, find checkpoints ──ring──> sha256 of layer, spans, tar; tar scan
 *             caller's thread                     thread of the builder's own
 *
 * For hostile layers: memory is at most that of the zTOC and 64 MiB, and so bounded by
 * max_ztoc_bytes; time by max_tar_bytes. The caller's own checks (the layer's digest against the
 * manifest's, diff_id against the config's) are made easy by what finish() returns, and
 * are the caller's: a zTOC of a layer that fails them must be thrown away. PAX sparse files
 * are taken as soci takes them, with sizes that do not fit their data: see
 * ztoc_check_lazy().
 */
#ifndef LZ_ZTOC_BUILD_H
#define LZ_ZTOC_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "ztoc/accepted.h"
#include "ztoc/ztoc.h"

#define ZTOC_BUILD_SPAN_BYTES (4u << 20)		/* soci's default */
#define ZTOC_BUILD_MAX_ZTOC_BYTES (512ull << 20)
#define ZTOC_BUILD_MAX_TAR_BYTES (1ull << 40)

enum ztoc_build_compat { ZTOC_BUILD_SOCI_0_2, ZTOC_BUILD_SOCI_0_1 };

struct ztoc_build_opts {
	enum ztoc_compression compression;
	enum ztoc_build_compat compat;
	uint64_t span_size;		/* 0: ZTOC_BUILD_SPAN_BYTES */
	uint64_t max_ztoc_bytes;	/* 0: ZTOC_BUILD_MAX_ZTOC_BYTES; at most 2 GiB */
	uint64_t max_tar_bytes;		/* 0: ZTOC_BUILD_MAX_TAR_BYTES */
	bool strict;			/* refuse all that soci refuses */
	bool single_thread;
	/*
	 * Seconds east of UTC at a time, for the text of modification times; NULL: UTC.
	 * Called from the builder's thread.
	 */
	int32_t (*utc_offset)(void *arg, int64_t unix_sec);
	void *utc_offset_arg;
};

struct ztoc_built {
	uint8_t *bytes;			/* the zTOC; free() it */
	size_t len;
	struct digest ztoc, layer, diff_id;
	uint64_t layer_bytes;
	uint64_t tar_bytes;		/* of the whole stream, padding included */
	uint64_t entries;
	uint32_t spans;
	unsigned int accepted;		/* ZTOC_ACCEPTED_*: seen, and soci would not have it */
};

struct ztoc_builder;

int ztoc_builder_new(const struct ztoc_build_opts *opts, struct ztoc_builder **ret,
		     struct err *err);
/* Also ends the builder's thread; at any time. */
void ztoc_builder_free(struct ztoc_builder *b);
/*
 * Errors: CORRUPT (no gzip, no tar), UNSUPPORTED (a zTOC cannot hold it, a limit), SYSTEM.
 * An error may be reported by a later call than the one that fed the bytes. After an
 * error only ztoc_builder_free().
 */
int ztoc_builder_feed(struct ztoc_builder *b, const void *data, size_t len,
		      struct err *err);
/* The layer is complete. Once; *ret is written only on success. */
int ztoc_builder_finish(struct ztoc_builder *b, struct ztoc_built *ret, struct err *err);

#endif
