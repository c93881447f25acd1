/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * map.h - the layout of one layer blob, made from its zTOC alone, and its file form.
 *
 * The *layer blob* is the virtual device that holds the data of all regular files of a
 * layer. It is deterministic: the same zTOC gives the same blob everywhere.
 *
 *   - regular files with data, sorted by tar offset, each starting on a 4 KiB boundary;
 *     the gap up to the next file is zero (that is the only padding)
 *   - so one *extent* per file: blob [blob_off, blob_off+len) = tar [tar_off, tar_off+len)
 *   - a file is cut into *chunks* of MAP_CHUNK_BYTES; chunk j starts at blob_off + j MiB
 *   - a *segment* is a run of whole chunks: those whose first tar byte lies in a run of
 *     consecutive spans (spans are gathered until MAP_SEGMENT_MIN_BYTES of tar). Segments
 *     tile the blob without gaps: segment k+1 starts where k ends. So only the last
 *     chunk of a segment may need bytes of the spans that follow its own.
 *   - a run of spans in which no chunk starts makes no segment.
 *
 *   tar    |h|aaaaaa|h|bbbbbbbbbbbbbbbbbbbbbb|h|cc|          spans  |  0  |  1  |  2  |
 *   blob   |aaaaaa..|bbbbbbbbbbbbbbbbbbbbbbbb|cc......|      segments  |  0      | 1   |
 *
 * The file form ("layer map", *.map) is written by mkfs.lazyerofs in its sandbox and read
 * by the daemon, which checks it as it would check any input: little endian, fixed
 * records, a sha256 of everything before it at the end (map_file.c draws it).
 */
#ifndef LZ_IMAGE_MAP_H
#define LZ_IMAGE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "ztoc/ztoc.h"

/* Any change to the layout rules changes this number, and with it every blob ID. */
#define MAP_LAYOUT_VERSION 1
#define MAP_BLOCK_BYTES 4096u
#define MAP_CHUNK_BYTES (1u << 20)
#define MAP_SEGMENT_MIN_BYTES (4u << 20)
#define MAP_NO_WINDOW UINT64_MAX

struct map_span {
	uint64_t comp_start, comp_end;
	uint64_t out_start, out_end;
	uint64_t window_off;	/* in the zTOC file, ZTOC_WINDOW_BYTES long; or MAP_NO_WINDOW */
	uint8_t bits;
	struct digest digest;
};

struct map_segment {
	uint64_t blob_off, size;	/* multiples of MAP_BLOCK_BYTES, size > 0 */
	uint32_t first_span, nspans;	/* own spans; the last chunk may need later ones */
};

struct map_extent {
	uint64_t blob_off, tar_off, len;	/* len > 0; sorted by both offsets */
};

struct layer_map {
	struct digest ztoc_digest;	/* of the zTOC that this map was made from */
	enum ztoc_compression compression;
	uint64_t comp_size, out_size;
	uint64_t blob_size;		/* sum of segment sizes */
	uint32_t nspans, nsegments;
	uint64_t nextents;
	struct map_span *spans;
	struct map_segment *segments;
	struct map_extent *extents;
};

/*
 * Lay out the blob. Refuses (CORRUPT) file ranges that overlap each other or leave the
 * tar stream: with them a small zTOC could claim any amount of data.
 */
int layer_map_build(const struct ztoc *z, const struct digest *ztoc_digest,
		    struct layer_map **ret, struct err *err);
void layer_map_free(struct layer_map *m);

/* Blob offset of the file whose data starts at tar_off; -ENOENT if no extent starts there. */
int layer_map_file_offset(const struct layer_map *m, uint64_t tar_off, uint64_t *ret_blob_off);
/* Segment that holds blob_off (< blob_size). */
uint32_t layer_map_segment_find(const struct layer_map *m, uint64_t blob_off);
/* First extent whose end (in blob, padding included) lies beyond blob_off; nextents if none. */
uint64_t layer_map_extent_find(const struct layer_map *m, uint64_t blob_off);
/* Same in tar space: first extent with tar_off + len > the given tar offset. */
uint64_t layer_map_extent_find_tar(const struct layer_map *m, uint64_t tar_off);
/* Last span with out_start <= tar_off. */
uint32_t layer_map_span_find(const struct layer_map *m, uint64_t tar_off);
/*
 * The spans that hold the tar bytes behind blob [off, off+len): first and last inclusive.
 * -ENOENT when the range is padding only.
 */
int layer_map_spans_for(const struct layer_map *m, uint64_t off, uint64_t len,
			uint32_t *ret_first, uint32_t *ret_last);

int layer_map_encode(const struct layer_map *m, struct buf *out, struct err *err);
int layer_map_decode(const void *data, size_t len, struct layer_map **ret, struct err *err);

/*
 * Name of a layer blob: 64 hex characters, sha256 over the layout version and the zTOC's
 * digest. Device tag and cookie key under cachefiles, directory name in the cache.
 */
void layer_blob_id(const struct digest *ztoc_digest, char ret[DIGEST_HEX_LEN + 1]);

#endif
