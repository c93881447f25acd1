/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tar_make.h - tar blocks for tests, into a struct buf. Aborts when memory runs out. */
#ifndef LZ_TESTS_TAR_MAKE_H
#define LZ_TESTS_TAR_MAKE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define TAR_MAKE_BLOCK 512

static void __attribute__((unused)) tar_add(struct buf *b, const void *data, size_t len)
{
	static const uint8_t zero[TAR_MAKE_BLOCK];

	if (buf_add(b, data, len) < 0 || buf_add(b, zero, -len & (TAR_MAKE_BLOCK - 1)) < 0)
		abort();
}

/* Set the checksum of the last block again after changing it. */
static void __attribute__((unused)) tar_sum(struct buf *b)
{
	uint8_t *h = b->data + b->len - TAR_MAKE_BLOCK;
	unsigned int sum = 0;

	memset(h + 148, ' ', 8);
	for (int i = 0; i < TAR_MAKE_BLOCK; i++)
		sum += h[i];
	snprintf((char *)h + 148, 8, "%06o", sum);
	h[155] = ' ';
}

/* A ustar header; returns it, valid until the buffer grows. */
static uint8_t *__attribute__((unused))
tar_header(struct buf *b, const char *name, char type, unsigned long size)
{
	uint8_t h[TAR_MAKE_BLOCK] = { 0 };

	snprintf((char *)h, 100, "%s", name);
	snprintf((char *)h + 100, 8, "%07o", 0644);
	snprintf((char *)h + 108, 8, "%07o", 17);
	snprintf((char *)h + 116, 8, "%07o", 18);
	snprintf((char *)h + 124, 12, "%011lo", size);
	snprintf((char *)h + 136, 12, "%011o", 1000000);
	h[156] = (uint8_t)type;
	memcpy(h + 257, "ustar\0" "00", 8);
	memcpy(h + 265, "user", 4);
	memcpy(h + 297, "group", 5);
	if (buf_add(b, h, sizeof(h)) < 0)
		abort();
	tar_sum(b);
	return b->data + b->len - TAR_MAKE_BLOCK;
}

static void __attribute__((unused))
tar_file(struct buf *b, const char *name, const void *data, size_t len)
{
	tar_header(b, name, '0', len);
	tar_add(b, data, len);
}

static void __attribute__((unused))
tar_special(struct buf *b, char type, const void *data, size_t len)
{
	tar_header(b, "special", type, len);
	tar_add(b, data, len);
}

static void __attribute__((unused)) tar_end(struct buf *b)
{
	static const uint8_t zero[2 * TAR_MAKE_BLOCK];

	if (buf_add(b, zero, sizeof(zero)) < 0)
		abort();
}

#endif
