/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy.h - blobs and manifests from one registry or layout to another, digest-checked on
 * the way; what is there already is not sent again. Blocking.
 */
#ifndef LZ_INDEX_COPY_H
#define LZ_INDEX_COPY_H

#include "oci/image.h"

struct copy_stats {
	uint32_t images, indexes;	/* image manifests; SOCI indexes of either version */
	uint32_t blobs, present;	/* copied; found at the destination */
	uint64_t bytes;
};

int copy_blob(struct oci_client *c, const struct oci_ref *src, const struct oci_ref *dst,
	      const struct oci_desc *desc, struct copy_stats *stats, struct err *err);
/* Config and layers of img. */
int copy_image_blobs(struct oci_client *c, const struct oci_ref *src,
		     const struct oci_ref *dst, const struct oci_image *img,
		     struct copy_stats *stats, struct err *err);
/*
 * What src names, byte for byte: an image, or an index of images with all that it lists;
 * and the SOCI indexes of the images, of both versions. platform (may be NULL): of an index
 * of images only that one. dst's tag is set last. *ret: what dst names then.
 */
int copy_image(struct oci_client *c, const struct oci_ref *src, const struct oci_ref *dst,
	       const struct oci_platform *platform, struct copy_stats *stats,
	       struct oci_desc *ret, struct err *err);
/* The same by digest, without a tag: one part of an index of images. */
int copy_by_digest(struct oci_client *c, const struct oci_ref *src,
		   const struct oci_ref *dst, const struct digest *digest,
		   struct copy_stats *stats, struct err *err);
/* ref by digest, without its tag. */
void copy_ref_by_digest(const struct oci_ref *ref, const struct digest *digest,
			struct oci_ref *ret);

#endif
