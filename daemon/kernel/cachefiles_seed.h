/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cachefiles_seed.h - backing files made before the kernel asks for them.
 *
 * An object that cachefiles creates itself is an unlinked temporary file until it is
 * withdrawn: a power cut while mounted loses it. A file that is already there, under the
 * right name, size and attribute, is adopted instead. That is the kernel's private format
 * (fs/cachefiles/xattr.c, unchanged 6.1 to 7.1); the self-test proves it on each start.
 *
 * Worker threads. dirfd is the cache directory (`dir` of the kernel's configuration).
 */
#ifndef LZ_DAEMON_CACHEFILES_SEED_H
#define LZ_DAEMON_CACHEFILES_SEED_H

#include <stdint.h>

#include "base/err.h"
#include "daemon/kernel/cachefiles_path.h"

/* Open an existing object for O_DIRECT reading and writing; -ENOENT when there is none,
 * -ESTALE when it is not one that the kernel would adopt with this size. */
int cachefiles_seed_open(int dirfd, const struct cachefiles_path *path, uint64_t size,
			 int *ret_fd, struct err *err);
/* A new, empty (all hole) object; replaces whatever has its name. Durable on return. */
int cachefiles_seed_create(int dirfd, const struct cachefiles_path *path, uint64_t size,
			   int *ret_fd, struct err *err);
/* An object that is a whole copy of fd's size bytes; durable on return. Kept when it is
 * there already with these very bytes. */
int cachefiles_seed_copy(int dirfd, const struct cachefiles_path *path, int fd,
			 uint64_t size, struct err *err);

#endif
