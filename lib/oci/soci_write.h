/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * soci_write.h - the documents of a SOCI index, byte for byte as upstream writes them.
 *
 * Compact JSON, keys in upstream's order (kernel-notes/soci-format.md). Pure functions:
 * model in, bytes out; no network, no files.
 */
#ifndef LZ_OCI_SOCI_WRITE_H
#define LZ_OCI_SOCI_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "oci/ref.h"

enum soci_compat {
	SOCI_COMPAT_0_1,	/* "AWS SOCI CLI v0.1": no span-size annotation */
	SOCI_COMPAT_0_2,	/* "AWS SOCI CLI v0.2" */
};

enum soci_index_version {
	SOCI_INDEX_V1,		/* has a subject */
	SOCI_INDEX_V2,		/* has none; the image manifest names the index */
};

#define SOCI_INDEX_V1_TYPE "application/vnd.amazon.soci.index.v1+json"
#define SOCI_INDEX_V2_TYPE "application/vnd.amazon.soci.index.v2+json"
#define SOCI_PREFETCH_TYPE "application/vnd.amazon.soci.prefetch.v1+json"
#define SOCI_LAYER_TYPE "application/octet-stream"
#define SOCI_EMPTY_CONFIG "{}"

/* One entry of the index's layers[]: a zTOC, or a prefetch list (is_prefetch). */
struct soci_index_layer {
	struct oci_desc desc;		/* digest and size of the zTOC or list */
	struct digest layer_digest;	/* of the image layer it belongs to */
	const char *layer_media_type;	/* zTOC only */
	uint64_t span_size;		/* zTOC only; written with compat 0.2 */
	bool disable_xattrs;		/* zTOC only: no entry has extended attributes */
	bool is_prefetch;
};

struct soci_index_model {
	enum soci_index_version version;
	enum soci_compat compat;
	const struct soci_index_layer *layers;	/* zTOCs in layer order, then lists */
	uint32_t nlayers;
	struct oci_desc subject;	/* v1: the platform image manifest */
};

struct soci_span_range {
	uint32_t start, end;		/* span IDs, both inclusive */
};

const char *soci_build_tool(enum soci_compat compat);
/* Append the index manifest; 0, -ENOMEM or -EFBIG. */
int soci_index_write(const struct soci_index_model *m, struct buf *out);
/*
 * Append a prefetch list. Ranges are sorted and merged where they touch or overlap;
 * n == 0 is -EINVAL: readers reject an empty list.
 */
int soci_prefetch_write(struct soci_span_range *ranges, uint32_t n, struct buf *out);

#endif
