/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * soci_convert.h - the documents of a SOCI-enabled image (index v2), as upstream writes them.
 *
 *	soci_convert_manifest() per image -> struct soci_converted, one per SOCI index
 *	-> soci_convert_plan(): what becomes of each entry of the source's index of images
 *	-> soci_convert_index()
 *
 * Manifests are written anew in the form of Go's OCI types (gotypes.h). Pure functions;
 * input is digest-checked but hostile. What differs from upstream, and why:
 * kernel-notes/soci-format.md.
 */
#ifndef LZ_OCI_SOCI_CONVERT_H
#define LZ_OCI_SOCI_CONVERT_H

#include "base/buf.h"
#include "oci/json.h"
#include "oci/platform.h"
#include "oci/ref.h"

/*
 * The image manifest with OCI media types and, index not NULL, the annotation that names
 * it. *ret_annotations: a new reference to the manifest's, or NULL.
 */
int soci_convert_manifest(const void *data, size_t len, const struct digest *index,
			  struct buf *out, json_t **ret_annotations, struct err *err);

/* A platform as JSON; NULL: no memory. */
json_t *soci_platform_json(const struct oci_platform *p);
/* That of an image config, in normal form, with os.version and os.features. */
int soci_platform_of_config(const void *data, size_t len, json_t **ret, struct err *err);
/* os, architecture and variant are p's, in normal form. */
bool soci_platform_is_for(const json_t *platform, const struct oci_platform *p);
/* The same of both, and their os.version. */
bool soci_platform_is_same(const json_t *a, const json_t *b);

/* An image manifest of the source that has another one now. One per SOCI index: an image
 * that is indexed for two platforms is there twice. */
struct soci_converted {
	struct digest source;
	struct oci_desc image;		/* the new manifest */
	json_t *annotations;		/* of it, or NULL */
	json_t *platform;		/* of it, where the source says none; or NULL */
	bool has_index;			/* no: it was only brought to OCI types */
	struct oci_desc index;
	json_t *index_platform;		/* of the SOCI index's entry */
};

void soci_converted_done(struct soci_converted *c);

/* What becomes of an entry of the source. */
enum soci_fate {
	SOCI_KEPT,		/* as it is; attestations follow their image */
	SOCI_IMAGE,		/* images[number] stands there */
	SOCI_INDEX,		/* the SOCI index of images[number] stands there */
	SOCI_DROPPED,		/* the SOCI index of what was converted otherwise */
};

struct soci_place {
	enum soci_fate fate;
	uint32_t number;
};

/* source: an index of images. *ret: one place per entry of it, to be freed. */
int soci_convert_plan(const json_t *source, const struct soci_converted *images, uint32_t n,
		      struct soci_place **ret, struct err *err);
/*
 * The new index of images. Images that source does not list go to its end, then SOCI
 * indexes for which it had no place.
 */
int soci_convert_index(const json_t *source, const struct soci_place *places,
		       const struct soci_converted *images, uint32_t n, struct buf *out,
		       struct err *err);

#endif
