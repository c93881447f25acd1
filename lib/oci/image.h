/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * image.h - from a reference to what must be fetched: manifest, layers, SOCI index, zTOCs.
 *
 * Blocking calls on a sync client (client.h). Documents are capped (manifests 4 MiB),
 * digest- and size-checked before they are parsed. JSON is jansson's.
 * Source: OCI image-spec and distribution-spec 1.1; docker manifest v2 schema 2; SOCI
 * index v1/v2 as described in kernel-notes/soci-format.md.
 */
#ifndef LZ_OCI_IMAGE_H
#define LZ_OCI_IMAGE_H

#include "base/buf.h"
#include "oci/client.h"
#include "oci/platform.h"

enum oci_layer_kind {
	OCI_LAYER_GZIP,
	OCI_LAYER_TAR,
	OCI_LAYER_ZSTD,
	OCI_LAYER_OTHER,
};

struct oci_layer {
	struct oci_desc desc;
	enum oci_layer_kind kind;
	struct digest diff_id;		/* from the config */
	bool has_ztoc;
	struct oci_desc ztoc;
	bool has_prefetch;		/* SOCI prefetch artifact of this layer */
	struct oci_desc prefetch;
};

enum oci_index_found {
	OCI_INDEX_NONE,
	OCI_INDEX_EXPLICIT,
	OCI_INDEX_ANNOTATION,	/* v2 */
	OCI_INDEX_REFERRERS,	/* v1 */
	OCI_INDEX_FALLBACK_TAG,	/* v1 */
};

struct oci_image {
	struct oci_ref ref;
	struct oci_desc manifest, config;
	struct oci_platform platform;
	uint32_t nlayers;
	struct oci_layer *layers;	/* bottom first */
	bool has_annotation;		/* the manifest names an index v2: */
	struct digest annotated;
	enum oci_index_found index_found;
	struct oci_desc index;		/* valid unless NONE */
};

/*
 * Fetch and check: reference -> (image index -> platform choice ->) manifest -> config.
 * Then find the SOCI index: index_digest if not NULL, else the manifest's v2 annotation,
 * the referrers API, the fallback tag; fill in the zTOC descriptors. An image without an
 * index is no error (index_found NONE); an index that is malformed or does not fit is.
 * An annotation whose index is not in the repository counts as none (tools copy images
 * without their indexes); an explicit digest that is not there is an error.
 */
int oci_image_resolve(struct oci_client *c, const struct oci_ref *ref,
		      const struct oci_platform *platform, const struct digest *index_digest,
		      struct oci_image **ret, struct err *err);
/* The same without looking for an index. */
int oci_image_get(struct oci_client *c, const struct oci_ref *ref,
		  const struct oci_platform *platform, struct oci_image **ret,
		  struct err *err);
void oci_image_free(struct oci_image *img);

/*
 * The manifest that ref names (an index of images too), digest-checked, into b; *ret gets
 * its media type, digest and size. For tools that list and convert.
 */
int oci_manifest_get(struct oci_client *c, const struct oci_ref *ref, struct buf *b,
		     struct oci_desc *ret, struct err *err);

/*
 * What index.json of a layout says of what ref names, as JSON: a new reference; NULL where it
 * says nothing, and for registries.
 */
struct json_t;
int oci_layout_entry(struct oci_client *c, const struct oci_ref *ref, struct json_t **ret,
		     struct err *err);

/* The whole of a blob, size- and digest-checked, into b (cap: b->max_bytes) or to fd. */
int oci_blob_get(struct oci_client *c, const struct oci_ref *ref, const struct oci_desc *desc,
		 struct buf *b, struct err *err);
int oci_blob_get_fd(struct oci_client *c, const struct oci_ref *ref,
		    const struct oci_desc *desc, int fd, struct err *err);

#endif
