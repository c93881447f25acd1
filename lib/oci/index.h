/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * index.h - SOCI index manifests, v1 and v2, and the lists in which they are found.
 *
 * Pure, any thread. An index fits an image if, where it names a subject, that is the
 * image's manifest, and if at least one of its entries is for one of the image's layers.
 * Entries for other layers are left aside; prefetch artifacts are noted; two different
 * zTOCs for one layer are a contradiction and refused.
 * Source: kernel-notes/soci-format.md, sections 2 and 3.
 */
#ifndef LZ_OCI_INDEX_H
#define LZ_OCI_INDEX_H

#include "oci/image.h"
#include "oci/json.h"

#define MEDIA_SOCI_V1 "application/vnd.amazon.soci.index.v1+json"
#define MEDIA_SOCI_V2 "application/vnd.amazon.soci.index.v2+json"
#define MEDIA_SOCI_ZTOC "application/octet-stream"
#define MEDIA_SOCI_PREFETCH "application/vnd.amazon.soci.prefetch.v1+json"
#define ANNOTATION_SOCI_LAYER "com.amazon.soci.image-layer-digest"
#define ANNOTATION_SOCI_LAYER_TYPE "com.amazon.soci.image-layer-mediaType"
#define ANNOTATION_SOCI_SPAN_SIZE "com.amazon.soci.span-size"
#define INDEX_MAX_CANDIDATES 8u

/* Fill in the zTOCs of img's layers; on failure none is set. */
int index_parse(const void *data, size_t len, const char *what, struct oci_image *img,
		struct err *err);

/* Is an entry of such a list a SOCI v1 index? */
bool index_is_candidate(const json_t *entry, struct oci_desc *ret);
/*
 * SOCI v1 indexes in a referrers answer or a fallback tag: at most INDEX_MAX_CANDIDATES,
 * in order; the number of them.
 */
int index_candidates(const json_t *list, struct oci_desc ret[INDEX_MAX_CANDIDATES]);

#endif
