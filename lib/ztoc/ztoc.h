/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc.h - a zTOC: the table of contents and the random-access points of one layer.
 *
 * Source: SOCI's ztoc.fbs and zinfo formats, as described in kernel-notes/soci-format.md.
 * A zTOC is a FlatBuffers buffer, hostile until ztoc_open() returned 0: by then every
 * offset, count, string, span and entry has been checked, and the accessors cannot fail.
 * Strings are raw bytes (may hold NUL, may not be UTF-8), borrowed from the input bytes,
 * which must outlive the struct ztoc and must not change.
 *
 * Entries are decoded on access, never copied: a million of them cost no memory.
 *
 *   layer blob   [0 .......... comp_size)      what the registry holds
 *   tar stream   [0 .......... out_size)       what gzip makes of it (padding not counted)
 *   span i       comp [comp_start, comp_end)  ->  tar [out_start, out_end)
 */
#ifndef LZ_ZTOC_ZTOC_H
#define LZ_ZTOC_ZTOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

#define ZTOC_WINDOW_BYTES 32768u
#define ZTOC_NO_ENTRY UINT64_MAX

enum ztoc_type {
	ZTOC_REG,
	ZTOC_HARDLINK,
	ZTOC_SYMLINK,
	ZTOC_DIR,
	ZTOC_CHAR,
	ZTOC_BLOCK,
	ZTOC_FIFO,
};

enum ztoc_compression {
	ZTOC_GZIP = 1,
	ZTOC_UNCOMPRESSED = 2,
};

struct ztoc_str {
	const char *s;		/* not NUL-terminated for our purposes; may hold NUL */
	uint32_t len;
};

struct ztoc_xattr {
	struct ztoc_str key;	/* a PAX record name, e.g. SCHILY.xattr.user.foo */
	struct ztoc_str value;
};

struct ztoc_entry {
	struct ztoc_str name;	/* as in the tar: may start with ./ or /, may contain .. */
	enum ztoc_type type;
	uint64_t offset;	/* of the first data byte in the tar stream */
	uint64_t size;		/* bytes of data; 0 for every type but ZTOC_REG */
	struct ztoc_str linkname;
	uint32_t mode;		/* 07777 */
	uint32_t uid, gid;
	struct ztoc_str uname, gname;
	int64_t mtime_sec;	/* 0 when the zTOC has an empty mod_time (year > 9999) */
	uint32_t mtime_nsec;
	uint32_t devmajor, devminor;
	uint32_t nxattrs;	/* all PAX records, in file order */
};

struct ztoc_span {
	uint64_t comp_start, comp_end;	/* bytes of the layer blob, end exclusive */
	uint64_t out_start, out_end;	/* bytes of the tar stream; out_end >= out_start */
	uint8_t bits;			/* 0..7 bits of the byte at comp_start in use */
	const uint8_t *window;		/* ZTOC_WINDOW_BYTES before out_start, or NULL: none needed */
	struct digest digest;		/* of [comp_start, comp_end) */
};

struct ztoc;

/*
 * Parse and validate data[0..len). The bytes stay the caller's. Errors: CORRUPT (field and
 * reason in the text), SYSTEM (ENOMEM).
 * An empty last span whose start lies past the end of the tar is legal (out_end is then
 * set to out_start); legacy checkpoint blobs ("v1") are understood. Their first span is
 * said to start at 10, the shortest gzip header; under a longer header it does not inflate.
 * The ranges of regular files lie within [0, out_size), except those of sparse ones
 * (ztoc_entry_is_sparse), whose size is not that of their data.
 */
int ztoc_open(const void *data, size_t len, struct ztoc **ret_ztoc, struct err *err);
void ztoc_free(struct ztoc *z);

struct ztoc_str ztoc_version(const struct ztoc *z);
struct ztoc_str ztoc_build_tool(const struct ztoc *z);
enum ztoc_compression ztoc_compression(const struct ztoc *z);
uint64_t ztoc_comp_size(const struct ztoc *z);
uint64_t ztoc_out_size(const struct ztoc *z);
uint64_t ztoc_span_size(const struct ztoc *z);	/* as given to the builder: a minimum */

uint64_t ztoc_entry_count(const struct ztoc *z);
void ztoc_entry_get(const struct ztoc *z, uint64_t i, struct ztoc_entry *ret);
void ztoc_xattr_get(const struct ztoc *z, uint64_t i, uint32_t k, struct ztoc_xattr *ret);
/* Raw mod_time text of entry i, for display and for rewriting. */
struct ztoc_str ztoc_entry_mod_time(const struct ztoc *z, uint64_t i);
/* Raw uncompressed_size field of entry i (also of types whose size is ignored). */
uint64_t ztoc_entry_raw_size(const struct ztoc *z, uint64_t i);

/* Has entry i a GNU.sparse.* record? Then its size and data are not those of the file. */
bool ztoc_entry_is_sparse(const struct ztoc *z, uint64_t i);

uint32_t ztoc_span_count(const struct ztoc *z);
void ztoc_span_get(const struct ztoc *z, uint32_t i, struct ztoc_span *ret);
/* Last span whose out_start <= out_off; 0 where there are no spans. */
uint32_t ztoc_span_find(const struct ztoc *z, uint64_t out_off);
/* Offset of the checkpoints vector in the file, and whether it is the legacy form. */
uint64_t ztoc_checkpoints_offset(const struct ztoc *z, bool *ret_is_legacy);
/* Offset in the zTOC file of span i's window; UINT64_MAX where window is NULL. */
uint64_t ztoc_window_offset(const struct ztoc *z, uint32_t i);

/*
 * Can this layer be served from spans? A zTOC cannot represent PAX sparse files
 * (GNU.sparse.* records): data would be wrong. 0, or -EOPNOTSUPP with kind UNSUPPORTED
 * and the first such entry named.
 */
int ztoc_check_lazy(const struct ztoc *z, struct err *err);

#endif
