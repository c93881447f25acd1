/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * format.h - constants of the zTOC file: FlatBuffers slots, enums, checkpoint records.
 *
 * Private to lib/ztoc; shared by the reader (ztoc.c, checkpoints.c) and the writer.
 * Source: SOCI's ztoc.fbs and zinfo encodings, see kernel-notes/soci-format.md 1.2-1.6.
 * A slot is the field's number in declaration order; slot 0 is the first word after the
 * vtable's two sizes.
 */
#ifndef LZ_ZTOC_FORMAT_H
#define LZ_ZTOC_FORMAT_H

#include <stdint.h>

#include "ztoc/ztoc.h"

#define ZTOC_FORMAT_VERSION "0.9"

/* root table Ztoc */
enum {
	ZF_ZTOC_VERSION,		/* string */
	ZF_ZTOC_BUILD_TOOL,		/* string */
	ZF_ZTOC_COMP_SIZE,		/* i64 */
	ZF_ZTOC_OUT_SIZE,		/* i64 */
	ZF_ZTOC_TOC,			/* table TOC */
	ZF_ZTOC_COMPRESSION_INFO,	/* table CompressionInfo */
	ZF_ZTOC_SLOTS
};

/* table TOC */
enum {
	ZF_TOC_METADATA,		/* vector of table FileMetadata */
	ZF_TOC_SLOTS
};

/* table FileMetadata */
enum {
	ZF_FILE_NAME,			/* string */
	ZF_FILE_TYPE,			/* string, see ZF_TYPE_NAMES */
	ZF_FILE_OFFSET,			/* i64 */
	ZF_FILE_SIZE,			/* i64 */
	ZF_FILE_LINKNAME,		/* string */
	ZF_FILE_MODE,			/* i64 */
	ZF_FILE_UID,			/* u32 */
	ZF_FILE_GID,			/* u32 */
	ZF_FILE_UNAME,			/* string */
	ZF_FILE_GNAME,			/* string */
	ZF_FILE_MOD_TIME,		/* string, RFC 3339 or empty */
	ZF_FILE_DEVMAJOR,		/* i64 */
	ZF_FILE_DEVMINOR,		/* i64 */
	ZF_FILE_XATTRS,			/* vector of table Xattr */
	ZF_FILE_SLOTS
};

/* table Xattr */
enum {
	ZF_XATTR_KEY,			/* string */
	ZF_XATTR_VALUE,			/* string */
	ZF_XATTR_SLOTS
};

/* table CompressionInfo */
enum {
	ZF_COMP_ALGORITHM,		/* i8, enum ztoc_compression, default ZTOC_GZIP */
	ZF_COMP_MAX_SPAN_ID,		/* i32 */
	ZF_COMP_SPAN_DIGESTS,		/* vector of string */
	ZF_COMP_CHECKPOINTS,		/* vector of u8, see below */
	ZF_COMP_SLOTS
};

/* The nested buffer in the checkpoints of an uncompressed layer. */
enum {
	ZF_PLAIN_VERSION,		/* i32, ZF_PLAIN_VERSION_VALUE */
	ZF_PLAIN_SPAN_SIZE,		/* i64 */
	ZF_PLAIN_SIZE,			/* i64, of the layer blob */
	ZF_PLAIN_SLOTS
};
#define ZF_PLAIN_VERSION_VALUE 2

/*
 * Checkpoints of a gzip layer, little endian, packed:
 *
 *	0	i32 have	number of spans
 *	4	i64 span_size
 *	12	records		`have` of them; one less in the legacy form, where
 *				checkpoint 0 is implied (in 10, out 0, no bits, no window)
 * A record:
 *	0	i64 in		layer offset of the first byte not fully consumed
 *	8	i64 out		tar offset
 *	16	u8  bits	0..7 bits of byte in-1 that still belong here
 *	17	u8[32768]	the tar bytes before `out`, zeros in front if fewer
 */
#define ZF_CKPT_HEAD_BYTES 12u
#define ZF_CKPT_BYTES (17u + ZTOC_WINDOW_BYTES)
#define ZF_CKPT_OFF_OUT 8u
#define ZF_CKPT_OFF_BITS 16u
#define ZF_CKPT_OFF_WINDOW 17u
#define ZF_LEGACY_FIRST_IN 10u

/* Text of slot ZF_FILE_TYPE, indexed by enum ztoc_type. */
#define ZF_TYPE_NAMES \
	{ "reg", "hardlink", "symlink", "dir", "char", "block", "fifo" }
#define ZF_TYPE_COUNT 7

#endif
