/* SPDX-License-Identifier: GPL-2.0-or-later */
/* index.c - see index.h. */
#include "oci/index.h"

#include <stdlib.h>
#include <string.h>

#include "oci/manifest.h"

static int corrupt(struct err *err, const char *what, const char *why)
{
	return err_set(err, ERR_CORRUPT, EINVAL, "SOCI index %s: %s", what, why);
}

static int check_head(const json_t *doc, const char *what, const struct oci_image *img,
		      struct err *err)
{
	const char *type = jdoc_str(json_object_get(doc, "config"), "mediaType");
	const json_t *subject = json_object_get(doc, "subject");
	const char *own = jdoc_str(doc, "mediaType");
	struct digest d;
	uint64_t version;

	if (jdoc_u64(doc, "schemaVersion", &version) < 0 || version != 2 ||
	    (own && strcmp(own, MEDIA_OCI_MANIFEST)))
		return corrupt(err, what, "not an OCI manifest");
	if (!type || (strcmp(type, MEDIA_SOCI_V1) && strcmp(type, MEDIA_SOCI_V2)))
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP, "SOCI index %s: its config is "
			       "of another type, this is no SOCI index that we know", what);
	if (!strcmp(type, MEDIA_SOCI_V1) && !subject)
		return corrupt(err, what, "v1, but without a subject");
	if (!subject)
		return 0;
	if (jdoc_digest(subject, "digest", &d) < 0)
		return corrupt(err, what, "the subject is malformed");
	if (!digest_is_equal(&d, &img->manifest.digest))
		return corrupt(err, what, "made for another image (its subject)");
	return 0;
}

/* An entry for layer l of the image. */
static int take_entry(const json_t *entry, const struct oci_desc *desc, const char *what,
		      struct oci_layer *l, struct err *err)
{
	const char *type = jdoc_annotation(entry, ANNOTATION_SOCI_LAYER_TYPE);

	if (!strcmp(desc->media_type, MEDIA_SOCI_PREFETCH)) {
		l->has_prefetch = true;
		l->prefetch = *desc;
		return 0;
	}
	if (type && manifest_layer_kind(type) != l->kind)
		return corrupt(err, what, "an entry takes a layer for another compression than "
			       "the image does");
	if (l->has_ztoc && !digest_is_equal(&l->ztoc.digest, &desc->digest))
		return corrupt(err, what, "two different zTOCs for one layer");
	if (desc->size == 0)
		return corrupt(err, what, "an empty zTOC");
	l->has_ztoc = true;
	l->ztoc = *desc;
	return 0;
}

static int take_layers(const json_t *list, const char *what, struct oci_image *img,
		       struct err *err)
{
	bool fits = false;
	const json_t *e;
	size_t i;
	int r;

	json_array_foreach(list, i, e) {
		const char *layer = jdoc_annotation(e, ANNOTATION_SOCI_LAYER);
		struct oci_desc desc;
		struct digest d;

		if (jdoc_desc(e, &desc) < 0)
			return corrupt(err, what, "the descriptor of an entry is malformed");
		/* What later versions may add is not ours to refuse. */
		if (strcmp(desc.media_type, MEDIA_SOCI_ZTOC) &&
		    strcmp(desc.media_type, MEDIA_SOCI_PREFETCH))
			continue;
		if (!layer || digest_parse(layer, strlen(layer), &d) < 0)
			return corrupt(err, what, "an entry without a valid "
				       ANNOTATION_SOCI_LAYER);
		for (uint32_t j = 0; j < img->nlayers; j++) {
			if (!digest_is_equal(&d, &img->layers[j].desc.digest))
				continue;
			r = take_entry(e, &desc, what, &img->layers[j], err);
			if (r < 0)
				return r;
			fits |= img->layers[j].has_ztoc;
		}
	}
	if (!fits)
		return corrupt(err, what, "not one of its zTOCs is for a layer of this image");
	return 0;
}

int index_parse(const void *data, size_t len, const char *what, struct oci_image *img,
		struct err *err)
{
	cleanup_json json_t *doc = NULL;
	const json_t *list;
	int r;

	r = jdoc_parse(data, len, what, &doc, err);
	if (r < 0)
		return r;
	r = check_head(doc, what, img, err);
	if (r < 0)
		return r;
	list = json_object_get(doc, "layers");
	if (!json_is_array(list) || json_array_size(list) > 2 * MANIFEST_MAX_LAYERS)
		return corrupt(err, what, "layers is not an array, or too long a one");
	r = take_layers(list, what, img, err);
	if (r < 0)
		for (uint32_t j = 0; j < img->nlayers; j++)
			img->layers[j].has_ztoc = img->layers[j].has_prefetch = false;
	return r;
}

bool index_is_candidate(const json_t *entry, struct oci_desc *ret)
{
	const char *type = jdoc_str(entry, "artifactType");

	return type && !strcmp(type, MEDIA_SOCI_V1) && jdoc_desc(entry, ret) == 0;
}

int index_candidates(const json_t *list, struct oci_desc ret[INDEX_MAX_CANDIDATES])
{
	const json_t *entries = json_object_get(list, "manifests"), *e;
	int n = 0;
	size_t i;

	json_array_foreach(entries, i, e) {
		if (n == (int)INDEX_MAX_CANDIDATES)
			break;
		n += index_is_candidate(e, &ret[n]);
	}
	return n;
}
