/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keyhash.h - hashes of strings that somebody else has chosen.
 *
 * The string, in words of seven bytes, is a polynomial over the integers modulo 2^61 - 1; its
 * value at a secret random point is the hash. Two strings of n words collide for at most
 * n + 1 of the points, whatever they are, so no input makes a table slow. Any thread.
 */
#ifndef LZ_ZTOC_KEYHASH_H
#define LZ_ZTOC_KEYHASH_H

#include <stddef.h>
#include <stdint.h>

/* A point, never 0; from getrandom(2). 0 or -errno. */
int keyhash_point(uint64_t *ret);
/* Below 2^61 - 1. */
uint64_t keyhash(uint64_t point, const void *data, size_t len);

#endif
