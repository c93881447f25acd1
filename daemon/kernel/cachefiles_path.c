/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cachefiles_path.c - names of cache objects; see the header. */
#include "daemon/kernel/cachefiles_path.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define GOLDEN_RATIO_32 0x61C88647u	/* include/linux/hash.h */

static uint32_t rotate_left(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

/* fscache_hash() of fs/fscache/main.c over little-endian words. */
static uint32_t fscache_hash(uint32_t salt, const uint8_t *data, size_t words)
{
	uint32_t x = 0, y = salt, word;

	for (size_t i = 0; i < words; i++) {
		word = (uint32_t)data[4 * i] | (uint32_t)data[4 * i + 1] << 8 |
		       (uint32_t)data[4 * i + 2] << 16 | (uint32_t)data[4 * i + 3] << 24;
		x ^= word;
		y ^= x;
		x = rotate_left(x, 7);
		x += y;
		y = rotate_left(y, 20) * 9;
	}
	return (y ^ x * GOLDEN_RATIO_32) * GOLDEN_RATIO_32;
}

static bool key_is_plain(const char *key)
{
	size_t len = strlen(key);

	if (len == 0 || len > CACHEFILES_KEY_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (key[i] < 0x21 || key[i] == 0x7f || key[i] == '/')
			return false;
	return true;
}

/* The kernel hashes a volume as length byte, key, NUL, zero-padded to whole words. */
static uint32_t volume_hash(const char *key)
{
	uint8_t buf[CACHEFILES_KEY_MAX + 8] = { 0 };
	size_t len = strlen(key);

	buf[0] = (uint8_t)len;
	memcpy(buf + 1, key, len);
	return fscache_hash(0, buf, (len + 2 + 3) / 4);
}

static uint32_t cookie_hash(const char *volume_key, const char *key)
{
	uint8_t buf[CACHEFILES_KEY_MAX + 8] = { 0 };
	size_t len = strlen(key);

	memcpy(buf, key, len);
	return fscache_hash(volume_hash(volume_key), buf, (len + 3) / 4);
}

int cachefiles_path_make(const char *volume_key, const char *cookie_key,
			 struct cachefiles_path *ret)
{
	unsigned fan;

	if (!key_is_plain(volume_key) || !key_is_plain(cookie_key))
		return -EINVAL;
	fan = cookie_hash(volume_key, cookie_key) & 0xff;
	snprintf(ret->volume, sizeof(ret->volume), "cache/I%s", volume_key);
	snprintf(ret->fan, sizeof(ret->fan), "cache/I%s/@%02x", volume_key, fan);
	snprintf(ret->object, sizeof(ret->object), "cache/I%s/@%02x/D%s", volume_key, fan,
		 cookie_key);
	return 0;
}
