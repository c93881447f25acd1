/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push.h - putting blobs, manifests and SOCI indexes into a registry or a layout.
 *
 * Blocking calls on a sync client. A push goes to the registry itself, never to a mirror.
 * What is sent is hashed first, and what the registry says it stored must be that.
 * Source: OCI distribution-spec 1.1 (pushing blobs, manifests, manifests with subject).
 */
#ifndef LZ_OCI_PUSH_H
#define LZ_OCI_PUSH_H

#include "oci/image.h"

/* Make DIR a layout with nothing in it, unless it is one; parents are created. */
int oci_layout_create(const char *dir, struct err *err);

/* The blob is there, with that size: 1; 0 not; or -errno. */
int oci_blob_exists(struct oci_client *c, const struct oci_ref *ref,
		    const struct oci_desc *desc, struct err *err);

/*
 * desc: digest and size; data: desc->size bytes. Nothing is sent if it is there already.
 * Larger blobs, which come from elsewhere, pass through: transfer.h.
 */
int oci_blob_put(struct oci_client *c, const struct oci_ref *ref,
		 const struct oci_desc *desc, const void *data, struct err *err);

/*
 * Under ref's tag, or by digest if it has none (or has a digest, which must be right). ret
 * (may be NULL) gets media type, digest and size.
 */
int oci_manifest_put(struct oci_client *c, const struct oci_ref *ref,
		     const char *media_type, const void *data, size_t len,
		     struct oci_desc *ret, struct err *err);

/*
 * A manifest with a subject, by digest, so that it is found from its subject: a registry
 * that does not say OCI-Subject gets an entry in the fallback tag; a layout gets an entry
 * in index.json. artifact_type stands in those entries.
 */
int oci_referrer_put(struct oci_client *c, const struct oci_ref *ref,
		     const struct digest *subject, const char *artifact_type,
		     const void *data, size_t len, struct oci_desc *ret, struct err *err);

#define OCI_INDEX_LIST_MAX 64u

struct oci_index_list {
	uint32_t n;
	struct {
		enum oci_index_found found;
		struct oci_desc desc;	/* size UINT64_MAX: not known */
	} v[OCI_INDEX_LIST_MAX];
};

/* The SOCI indexes of img (the first 64), in the order in which they are looked for. */
int oci_index_list(struct oci_client *c, const struct oci_image *img,
		   struct oci_index_list *ret, struct err *err);
/*
 * Remove an index v1 of img: from a layout with the zTOCs that nothing else there names;
 * from a registry the manifest and its entry in the fallback tag, all or nothing.
 * UNSUPPORTED where the registry does not allow it.
 */
int oci_index_delete(struct oci_client *c, const struct oci_image *img,
		     const struct digest *index, struct err *err);

#endif
