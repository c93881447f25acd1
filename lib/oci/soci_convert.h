/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * soci_convert.h - the documents of a SOCI-enabled image (index v2), as upstream writes them.
 *
 * Manifests are written anew in the form of Go's OCI types: compact, keys in their order,
 * maps sorted, unknown keys dropped. Pure functions; input is digest-checked but hostile.
 */
#ifndef LZ_OCI_SOCI_CONVERT_H
#define LZ_OCI_SOCI_CONVERT_H

#include "base/buf.h"
#include "base/err.h"
#include "oci/ref.h"

/* The image manifest with OCI media types and the annotation that names index. */
int soci_convert_manifest(const void *data, size_t len, const struct digest *index,
			  struct buf *out, struct err *err);

/* One image of the new image index. */
struct soci_converted {
	struct oci_desc image, index;		/* new manifest; its SOCI index */
	const char *os, *arch, *variant;	/* "" variant: none */
};

/*
 * The image index made of source (bytes of an image index, or NULL). images[i] stands where
 * replaced[i] stood, with the platform that source says of it; entries that were not
 * converted stay as they were. Each SOCI index takes the place of the one that the image
 * had, the others go to the end.
 */
int soci_convert_index(const void *source, size_t source_len, const struct digest *replaced,
		       const struct soci_converted *images, uint32_t n, struct buf *out,
		       struct err *err);

#endif
