/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xattr.h - extended attributes, found among the PAX records of a tar entry.
 *
 * A record "SCHILY.xattr.NAME" is one; every other record is none (GNU tar's SCHILY.acl.*
 * among them). GNU tar writes '=' as %3D and '%' as %25 in NAME. Any thread.
 */
#ifndef LZ_IMAGE_XATTR_H
#define LZ_IMAGE_XATTR_H

#include "base/err.h"
#include "ztoc/ztoc.h"

#define XATTR_NAME_LEN_MAX 255u		/* XATTR_NAME_MAX of linux/limits.h */
#define XATTR_VALUE_LEN_MAX 65535u	/* EROFS: 16 bits (Linux itself: 65536) */

struct image_xattr {
	char name[XATTR_NAME_LEN_MAX + 1];
	struct ztoc_str value;	/* borrowed from the record */
};

/*
 * 1 and *ret: an attribute that a file of this type can have; 0: none, or one that an
 * extraction would skip too: a namespace that the kernel does not store on disk (not user,
 * trusted, security, system.posix_acl_*: setxattr says EOPNOTSUPP and containerd goes on)
 * or user.* on what is no file or directory (setxattr says EPERM). Errors, CORRUPT: a name
 * with NUL, empty or too long, a value too long.
 */
int image_xattr_parse(const struct ztoc_xattr *record, enum ztoc_type type,
		      struct image_xattr *ret, struct err *err);

#endif
