/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy.h - blobs and manifests from one registry or layout to another, digest-checked on
 * the way; what is there already is not sent again. Blocking.
 */
#ifndef LZ_INDEX_COPY_H
#define LZ_INDEX_COPY_H

#include "oci/image.h"

struct copy_stats {
	uint32_t blobs, present;	/* copied; found at the destination */
	uint64_t bytes;
};

int copy_blob(struct oci_client *c, const struct oci_ref *src, const struct oci_ref *dst,
	      const struct oci_desc *desc, struct copy_stats *stats, struct err *err);
/* Config and layers of img. */
int copy_image_blobs(struct oci_client *c, const struct oci_ref *src,
		     const struct oci_ref *dst, const struct oci_image *img,
		     struct copy_stats *stats, struct err *err);
/* The manifest named by digest, its bytes unchanged. */
int copy_manifest(struct oci_client *c, const struct oci_ref *src, const struct oci_ref *dst,
		  const struct digest *digest, struct err *err);
/* img's SOCI index (found by oci_image_resolve): zTOCs, lists, config, manifest. */
int copy_soci_index(struct oci_client *c, const struct oci_ref *src,
		    const struct oci_ref *dst, const struct oci_image *img,
		    struct copy_stats *stats, struct err *err);

#endif
