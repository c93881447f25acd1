/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tarhdr.h - one 512-byte tar header block: v7, ustar, PAX, star and GNU.
 *
 * Decides like Go's archive/tar, because the zTOCs of `soci` follow it: which checksums
 * and numbers are accepted, base-256, how prefix and name join. Pure functions of the
 * block; any thread.
 */
#ifndef LZ_ZTOC_TARHDR_H
#define LZ_ZTOC_TARHDR_H

#include <stdbool.h>
#include <stdint.h>

#include "ztoc/ztoc.h"

#define TAR_BLOCK_BYTES 512u
#define TAR_NAME_MAX 256	/* prefix 155, '/', name 100 */

enum tar_format { TAR_V7, TAR_USTAR, TAR_STAR, TAR_GNU };

struct tarhdr {
	enum tar_format format;
	char type;			/* the raw type flag; NUL is an old regular file */
	int64_t size, mode, uid, gid, mtime, devmajor, devminor;
	char name_buf[TAR_NAME_MAX];
	struct ztoc_str name;		/* points into name_buf */
	struct ztoc_str linkname, uname, gname;	/* point into the block */
};

bool tarhdr_is_zero(const uint8_t block[TAR_BLOCK_BYTES]);
/* 0 and *ret, or -EINVAL with *ret_why: "checksum", "number". ret must not be moved. */
int tarhdr_parse(const uint8_t block[TAR_BLOCK_BYTES], struct tarhdr *ret,
		 const char **ret_why);
/* Links, devices, directories, FIFOs: no data follows, whatever the size field says. */
bool tarhdr_type_is_bare(char type);

#endif
