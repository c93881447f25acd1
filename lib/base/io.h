/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * io.h - whole reads and writes, small files, clocks. Blocking; any thread.
 * All return 0 (or what is said) or -errno; EINTR is retried inside.
 */
#ifndef LZ_BASE_IO_H
#define LZ_BASE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* All len bytes or an error: -EIO with *at end of file* before len (a short file). */
int io_read_full(int fd, void *data, size_t len);
int io_pread_full(int fd, void *data, size_t len, uint64_t off);
int io_write_full(int fd, const void *data, size_t len);
int io_pwrite_full(int fd, const void *data, size_t len, uint64_t off);

/* Append the whole of path (dirfd-relative) to b; b->max_bytes is the cap. */
int io_read_file(int dirfd, const char *path, struct buf *b);
/* Write to path.tmp, fsync, rename over path, fsync the directory. */
int io_write_file_atomic(int dirfd, const char *path, const void *data, size_t len,
			 mode_t mode);
/* mkdir -p; existing directories are fine. */
int io_mkdir_p(const char *path, mode_t mode);

uint64_t io_now_ms(void);		/* CLOCK_MONOTONIC, milliseconds */
uint64_t io_now_us(void);

#define IO_BLOCK_BYTES 4096u
static inline uint64_t io_round_up(uint64_t v, uint64_t unit)
{
	return (v + unit - 1) / unit * unit;
}

#endif
