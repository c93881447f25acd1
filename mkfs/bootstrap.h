/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bootstrap.h - the EROFS image with metadata only, written through liberofs.
 *
 * The one place that knows liberofs, which checks no input, keeps global state and prints:
 * everything is validated here before it is handed on, and only the short-lived, sandboxed
 * mkfs process calls it. Facts and traps: kernel-notes/erofs-bootstrap.md.
 *
 * Layout: 4 KiB blocks, chunk-based inodes (1 MiB chunks, never a hole chunk), extended
 * inodes with ns mtimes, data in extra devices:
 *   BOOTSTRAP_CACHEFILES  one device per layer with data, tag = blob ID
 *   BOOTSTRAP_FANOTIFY    one device per segment, in layer order, then segment order
 * Device table within the first 8 MiB; at most 65,535 devices. Output is bit-identical for
 * identical input: the UUID comes from the zTOC digests, the build time is 0.
 */
#ifndef LZ_MKFS_BOOTSTRAP_H
#define LZ_MKFS_BOOTSTRAP_H

#include <stdint.h>

#include "base/err.h"
#include "image/map.h"
#include "image/tree.h"

enum bootstrap_kind {
	BOOTSTRAP_FANOTIFY,
	BOOTSTRAP_CACHEFILES,
};

struct bootstrap_info {
	uint64_t inodes, bytes;
	uint32_t devices;
};

/* Write to out_fd (a regular file, empty). maps[0..nlayers), bottom first. */
int bootstrap_write(const struct tree *t, const struct layer_map *const *maps,
		    uint32_t nlayers, enum bootstrap_kind kind, int out_fd,
		    struct bootstrap_info *ret_info, struct err *err);

#endif
