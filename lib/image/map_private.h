/* SPDX-License-Identifier: GPL-2.0-or-later */
/* map_private.h - what map.c shares with map_file.c. */
#ifndef LZ_IMAGE_MAP_PRIVATE_H
#define LZ_IMAGE_MAP_PRIVATE_H

#include "base/cleanup.h"
#include "image/map.h"

/* EROFS addresses a device with 32-bit numbers of 4 KiB blocks. */
#define MAP_BLOB_MAX_BYTES ((uint64_t)UINT32_MAX * MAP_BLOCK_BYTES)

/* Zeroed arrays: nspans spans, room for as many segments, nextents extents. */
int map_alloc(uint64_t nspans, uint64_t nextents, struct layer_map **ret, struct err *err);

/*
 * From spans (tiling the tar), out_size and the extents' tar_off and len: check the extents,
 * set their blob_off, the segments and blob_size. Extents must be sorted, or it says CORRUPT.
 */
int map_layout(struct layer_map *m, struct err *err);

DEFINE_CLEANUP(struct layer_map *, layer_map_free, layer_map_freep)
#define cleanup_layer_map cleanup_(layer_map_freep)

#endif
