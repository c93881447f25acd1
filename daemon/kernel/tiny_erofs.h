/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tiny_erofs.h - a minimal EROFS bootstrap made in memory: one directory of regular files,
 * the data of file i at the start of extra device i+1, in chunks of 1 MiB.
 *
 * It lets the start-up self-test and the kernel tests mount something without mkfs and its
 * sandbox. It is not how images are made: see mkfs/bootstrap.h.
 */
#ifndef LZ_DAEMON_TINY_EROFS_H
#define LZ_DAEMON_TINY_EROFS_H

#include <stdint.h>

#include "base/buf.h"

struct tiny_file {
	const char *name;	/* files sorted by name, no '/', all after ".." */
	uint64_t size;		/* > 0, < 4 GiB */
	uint16_t mode;		/* permission bits */
};

/* Append the image; -EFBIG when the directory does not fit into one block. */
int tiny_erofs_build(const struct tiny_file *files, uint32_t nfiles, struct buf *out);

#endif
