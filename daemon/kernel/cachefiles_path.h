/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cachefiles_path.h - where the kernel keeps a cache object below its `dir`.
 *
 *	cache/I<volume key>/@<hh>/D<cookie key>
 *
 * volume key = "erofs,<domain_id>" (EROFS, fs/erofs/fscache.c), cookie key = fsid or device
 * tag, hh = low byte of the cookie's hash (fs/fscache/cookie.c and volume.c, 6.1 to 7.1;
 * private to the kernel, so the self-test proves it on each start). Pure; any thread.
 */
#ifndef LZ_DAEMON_CACHEFILES_PATH_H
#define LZ_DAEMON_CACHEFILES_PATH_H

#define CACHEFILES_KEY_MAX 252		/* longer ones are a BUG_ON in the kernel */
#define CACHEFILES_PATH_SIZE 640

struct cachefiles_path {
	char volume[CACHEFILES_KEY_MAX + 16];		/* cache/I<volume key> */
	char fan[CACHEFILES_KEY_MAX + 24];		/* cache/I<volume key>/@<hh> */
	char object[CACHEFILES_PATH_SIZE];		/* the whole, relative to dir */
};

/*
 * Both keys must be 1..252 plain characters: 0x21..0x7e without '/', which the kernel
 * would encode; -EINVAL otherwise.
 */
int cachefiles_path_make(const char *volume_key, const char *cookie_key,
			 struct cachefiles_path *ret);

#endif
