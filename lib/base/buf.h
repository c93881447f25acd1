/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * buf.h - a growing byte buffer with a ceiling.
 *
 * Invariant: data[len] is NUL whenever data is not NULL, so a buffer of text is a C string.
 * Life cycle: BUF_INIT(max) or zeroed (no ceiling) -> add -> buf_done() / buf_take().
 * Growth beyond max_bytes is -EFBIG, so that input decides no allocation of ours.
 */
#ifndef LZ_BASE_BUF_H
#define LZ_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;
	size_t len, cap;
	size_t max_bytes;	/* 0: no ceiling */
};

#define BUF_INIT(max) { .max_bytes = (max) }
#define cleanup_buf __attribute__((cleanup(buf_done)))

void buf_done(struct buf *b);
/* Make room for n more bytes; 0, -ENOMEM or -EFBIG. */
int buf_reserve(struct buf *b, size_t n);
int buf_add(struct buf *b, const void *data, size_t n);
int buf_add_str(struct buf *b, const char *s);
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_reset(struct buf *b);		/* len = 0, memory kept */
/* The bytes are yours to free(); the buffer is empty again. */
uint8_t *buf_take(struct buf *b, size_t *ret_len);

#endif
