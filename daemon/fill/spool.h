/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spool.h - the compressed bytes of one span, kept until its digest holds.
 *
 * In memory when they are few (and the budget has room), else in a file without a name in
 * the spool directory, so that a span of any size is handled in bounded memory. Written
 * once, from front to back, then read once. Worker thread.
 */
#ifndef LZ_DAEMON_FILL_SPOOL_H
#define LZ_DAEMON_FILL_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "daemon/fill/budget.h"

struct spool {
	struct budget *budget;
	uint64_t size, written, read_pos;
	uint8_t *memory;		/* size bytes, or NULL */
	int fd;				/* or -1 */
};

/* For exactly size bytes; in memory if size <= memory_bytes and the budget allows it. */
int spool_init(struct spool *s, struct budget *b, uint64_t size, uint64_t memory_bytes,
	       int dirfd, struct err *err);
/* Idempotent, also on a zeroed struct with fd -1. */
void spool_done(struct spool *s);
int spool_write(struct spool *s, const uint8_t *data, uint64_t len, struct err *err);
/* Next bytes, at most max, into buf or pointing into memory; 0 at the end. */
int spool_read(struct spool *s, uint8_t *buf, size_t max, const uint8_t **ret_data,
	       size_t *ret_len, struct err *err);

#endif
