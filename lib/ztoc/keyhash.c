/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keyhash.c - see keyhash.h. */
#include "ztoc/keyhash.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/le.h"

#define PRIME ((UINT64_C(1) << 61) - 1)
#define WORD_BYTES 7u
#define WORD_MASK ((UINT64_C(1) << 8 * WORD_BYTES) - 1)

int keyhash_point(uint64_t *ret)
{
	uint64_t v;

	/* So few bytes come all at once, or not at all. */
	if (getrandom(&v, sizeof(v), 0) < 0)
		return -errno;
	*ret = v % (PRIME - 1) + 1;
	return 0;
}

/* (h + word) * point; h and the result are below 2^61 + 4, congruent to what is meant. */
static uint64_t step(uint64_t h, uint64_t word, uint64_t point)
{
	unsigned __int128 v = (unsigned __int128)(h + word) * point;
	uint64_t sum = ((uint64_t)v & PRIME) + (uint64_t)(v >> 61);

	return (sum & PRIME) + (sum >> 61);
}

/* The length comes first: the last word is filled up with zeros. */
uint64_t keyhash(uint64_t point, const void *data, size_t len)
{
	uint64_t h = step(0, len & WORD_MASK, point), last = 0;
	const uint8_t *p = data;

	for (; len > WORD_BYTES; p += WORD_BYTES, len -= WORD_BYTES)
		h = step(h, le64_get(p) & WORD_MASK, point);
	if (len)
		memcpy(&last, p, len);
	h = step(h, le64toh(last), point);
	return h >= PRIME ? h - PRIME : h;
}
