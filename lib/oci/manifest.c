/* SPDX-License-Identifier: GPL-2.0-or-later */
/* manifest.c - see manifest.h. */
#include "oci/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/soci_write.h"

static bool is_index_type(const char *t)
{
	return !strcmp(t, MEDIA_OCI_INDEX) || !strcmp(t, MEDIA_DOCKER_LIST);
}

static bool is_image_type(const char *t)
{
	return !strcmp(t, MEDIA_OCI_MANIFEST) || !strcmp(t, MEDIA_DOCKER_MANIFEST);
}

bool manifest_is_type(const char *media_type)
{
	return !*media_type || is_index_type(media_type) || is_image_type(media_type);
}

static int corrupt(struct err *err, const char *what, const char *why)
{
	return err_set(err, ERR_CORRUPT, EINVAL, "%s: %s", what, why);
}

int manifest_kind_of(const json_t *doc, const char *media_type, const char *what,
		     enum manifest_kind *ret, struct err *err)
{
	bool has_list = json_object_get(doc, "manifests");
	bool has_layers = json_object_get(doc, "layers") || json_object_get(doc, "config");
	char own[128];
	uint64_t version = 0;

	if (jdoc_copy(doc, "mediaType", own, sizeof(own)) < 0)
		return corrupt(err, what, "mediaType is malformed");
	if (jdoc_u64(doc, "schemaVersion", &version) < 0 || version != 2)
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP, "%s: not of schema version 2 "
			       "(very old images must be pushed again with a current tool)", what);
	if (has_list && has_layers)
		return corrupt(err, what, "both an image and an index of images");
	if (*own && (is_index_type(media_type) || is_image_type(media_type)) &&
	    strcmp(own, media_type))
		return corrupt(err, what, "the mediaType is not the one announced");
	if (!*own)
		snprintf(own, sizeof(own), "%s", media_type);
	if (has_list && !is_image_type(own))
		*ret = MANIFEST_INDEX;
	else if (has_layers && !is_index_type(own))
		*ret = MANIFEST_IMAGE;
	else
		return corrupt(err, what, "neither an image manifest nor an image index");
	return 0;
}

/* --- platforms ----------------------------------------------------------------------- */

/*
 * How well an entry suits: 0 not at all. A machine runs lower variants than its own; what
 * says no variant is made for many machines.
 */
static unsigned score(const struct oci_platform *want, const struct oci_platform *have,
		      enum manifest_fit fit)
{
	struct oci_platform w = *want, h = *have;

	oci_platform_normalize(&w);
	oci_platform_normalize(&h);
	if (strcmp(w.os, h.os) || strcmp(w.arch, h.arch))
		return 0;
	if (!strcmp(w.variant, h.variant))
		return 100;
	if (fit == MANIFEST_EXACT)
		return 0;
	/* arm without variant means v7, but many an old v6 image does not say so. */
	if (!*h.variant || (!*have->variant && !strcmp(have->arch, "arm")))
		return 50;
	if (!*w.variant)
		return 10;
	if (w.variant[0] == 'v' && h.variant[0] == 'v' && !w.variant[2] && !h.variant[2] &&
	    h.variant[1] < w.variant[1])
		return 60u + (unsigned)(h.variant[1] & 15);
	return 0;
}

int manifest_entry_platform(const json_t *entry, struct oci_platform *ret)
{
	const json_t *p = json_object_get(entry, "platform");

	if (jdoc_copy(p, "os", ret->os, sizeof(ret->os)) < 0 ||
	    jdoc_copy(p, "architecture", ret->arch, sizeof(ret->arch)) < 0 ||
	    jdoc_copy(p, "variant", ret->variant, sizeof(ret->variant)) < 0)
		return -EINVAL;
	return 0;
}

static bool has_feature(const json_t *platform, const char *feature)
{
	const json_t *e;
	size_t i;

	json_array_foreach(json_object_get(platform, "os.features"), i, e)
		if (json_is_string(e) && !strcmp(json_string_value(e), feature))
			return true;
	return false;
}

/* Has the entry no os.features but those of want? All Windows has win32k. */
static bool wants_no_more(const json_t *entry, const json_t *want)
{
	const json_t *p = json_object_get(entry, "platform"), *e;
	const char *os = jdoc_str(p, "os");
	size_t i;

	json_array_foreach(json_object_get(p, "os.features"), i, e) {
		const char *feature = json_string_value(e);

		if (feature && !(os && !strcmp(os, "windows") && !strcmp(feature, "win32k")) &&
		    !has_feature(json_object_get(want, "platform"), feature))
			return false;
	}
	return true;
}

/* "10.0.17763" of "10.0.17763.1234" */
static size_t build_len(const char *version)
{
	size_t n = 0;

	for (unsigned dots = 0; version[n] && (version[n] != '.' || ++dots < 3); n++)
		;
	return n;
}

static bool is_same_build(const json_t *a, const json_t *b)
{
	const char *x = jdoc_str(json_object_get(a, "platform"), "os.version");
	const char *y = jdoc_str(json_object_get(b, "platform"), "os.version");
	size_t n;

	if (!x || !y || !*x || !*y)
		return true;
	n = build_len(x);
	return n == build_len(y) && !strncmp(x, y, n);
}

bool manifest_is_same_platform(const json_t *want, const json_t *have)
{
	struct oci_platform w = { 0 }, h = { 0 };

	if (manifest_entry_platform(want, &w) < 0 || manifest_entry_platform(have, &h) < 0 ||
	    !oci_platform_is_equal(&w, &h) || !wants_no_more(have, want))
		return false;
	return strcmp(w.os, "windows") || is_same_build(want, have);
}

static bool is_unknown(const json_t *platform, const char *key)
{
	const char *v = jdoc_str(platform, key);

	return v && !strcmp(v, "unknown");
}

bool manifest_is_image_entry(const json_t *entry)
{
	const char *type = jdoc_str(entry, "mediaType"), *artifact = jdoc_str(entry, "artifactType");
	const json_t *platform = json_object_get(entry, "platform");

	if (!type || (!is_image_type(type) && !is_index_type(type)) ||
	    jdoc_annotation(entry, "vnd.docker.reference.type") ||
	    jdoc_annotation(entry, "com.amazon.soci.image-manifest-digest") ||
	    is_unknown(platform, "os") || is_unknown(platform, "architecture"))
		return false;
	return !artifact || !*artifact ||
	       (is_image_type(type) && json_is_object(platform) &&
		strcmp(artifact, SOCI_INDEX_V1_TYPE) && strcmp(artifact, SOCI_INDEX_V2_TYPE));
}

static void note_platform(const struct oci_platform *p, char *list, size_t size)
{
	size_t n = strlen(list);

	if (n + OCI_PLATFORM_TEXT_SIZE >= size)
		return;
	if (n)
		n += (size_t)sprintf(list + n, ", ");
	oci_platform_format(p, list + n);
}

/* Those with artifactType or os.features only where there is no other. */
static unsigned score_entry(const json_t *e, const struct oci_platform *have,
			    const struct oci_platform *want, enum manifest_fit fit)
{
	bool plain = wants_no_more(e, NULL);
	unsigned s = !plain && fit == MANIFEST_EXACT ? 0 : score(want, have, fit);

	return s ? 4 * s + 2 * plain + !jdoc_str(e, "artifactType") : 0;
}

static int no_image(const char *what, const struct oci_platform *platform, const char *there,
		    struct err *err)
{
	char text[OCI_PLATFORM_TEXT_SIZE];

	oci_platform_format(platform, text);
	return err_set(err, ERR_UNSUPPORTED, ENOENT, "%s: no image for %s (there is: %s)", what,
		       text, *there ? there : "nothing");
}

int manifest_choose(const json_t *index, const struct oci_platform *platform,
		    enum manifest_fit fit, const char *what, const json_t **ret_entry,
		    struct oci_desc *ret, struct err *err)
{
	const json_t *list = json_object_get(index, "manifests"), *e, *best = NULL;
	const json_t *unmarked = NULL;
	unsigned best_score = 0, nunmarked = 0;
	char there[384] = "";
	size_t i;

	if (!json_is_array(list))
		return corrupt(err, what, "manifests is not an array");
	json_array_foreach(list, i, e) {
		struct oci_platform p = { 0 };
		unsigned s;

		if (!manifest_is_image_entry(e))
			continue;
		if (manifest_entry_platform(e, &p) < 0)
			return corrupt(err, what, "a platform is malformed");
		if (!*p.os && !*p.arch) {
			unmarked = e;
			nunmarked++;
			continue;
		}
		note_platform(&p, there, sizeof(there));
		s = score_entry(e, &p, platform, fit);
		if (s > best_score) {
			best_score = s;
			best = e;
		}
	}
	/* A layout or a converted image with a single entry need not say its platform. */
	if (!best && nunmarked == 1 && !*there)
		best = unmarked;
	if (!best)
		return no_image(what, platform, there, err);
	if (jdoc_desc(best, ret) < 0)
		return corrupt(err, what, "the descriptor of the image is malformed");
	if (ret_entry)
		*ret_entry = best;
	return 0;
}

/* --- image manifests ----------------------------------------------------------------- */

static bool ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

enum oci_layer_kind manifest_layer_kind(const char *t)
{
	if (strncmp(t, "application/vnd.oci.image.layer.", 32) &&
	    strncmp(t, "application/vnd.docker.image.rootfs.", 36))
		return OCI_LAYER_OTHER;
	if (ends_in(t, ".tar+gzip") || ends_in(t, ".tar.gzip") || ends_in(t, ".tar.gz"))
		return OCI_LAYER_GZIP;
	if (ends_in(t, ".tar+zstd") || ends_in(t, ".tar.zstd"))
		return OCI_LAYER_ZSTD;
	if (ends_in(t, ".tar"))
		return OCI_LAYER_TAR;
	return OCI_LAYER_OTHER;
}

int manifest_parse_image(const json_t *doc, const char *what, struct oci_image *img,
			 bool *ret_has_soci, struct digest *ret_soci, struct err *err)
{
	const json_t *layers = json_object_get(doc, "layers"), *e;
	const char *soci = jdoc_annotation(doc, ANNOTATION_SOCI_INDEX);
	size_t n = json_array_size(layers), i;

	if (jdoc_desc(json_object_get(doc, "config"), &img->config) < 0)
		return corrupt(err, what, "the config descriptor is missing or malformed");
	if (strcmp(img->config.media_type, MEDIA_OCI_CONFIG) &&
	    strcmp(img->config.media_type, MEDIA_DOCKER_CONFIG))
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP, "%s: not a container image, "
			       "its config is %s", what, img->config.media_type);
	if (!json_is_array(layers) || n > MANIFEST_MAX_LAYERS)
		return corrupt(err, what, "layers is not an array, or too long a one");
	img->layers = calloc(n ? n : 1, sizeof(*img->layers));
	if (!img->layers)
		return err_sys(err, ENOMEM, "%s", what);
	img->nlayers = (uint32_t)n;
	json_array_foreach(layers, i, e) {
		if (jdoc_desc(e, &img->layers[i].desc) < 0)
			return corrupt(err, what, "the descriptor of a layer is malformed");
		img->layers[i].kind = manifest_layer_kind(img->layers[i].desc.media_type);
	}
	*ret_has_soci = soci != NULL;
	if (soci && digest_parse(soci, strlen(soci), ret_soci) < 0)
		return corrupt(err, what, "the annotation " ANNOTATION_SOCI_INDEX
			       " is not a digest");
	return 0;
}

int manifest_parse_config(const void *data, size_t len, const char *what,
			  struct oci_image *img, struct err *err)
{
	cleanup_json json_t *doc = NULL;
	struct oci_platform *p = &img->platform;
	const json_t *ids, *e;
	size_t i;
	int r;

	r = jdoc_parse(data, len, what, &doc, err);
	if (r < 0)
		return r;
	if (jdoc_copy(doc, "os", p->os, sizeof(p->os)) < 0 ||
	    jdoc_copy(doc, "architecture", p->arch, sizeof(p->arch)) < 0 ||
	    jdoc_copy(doc, "variant", p->variant, sizeof(p->variant)) < 0)
		return corrupt(err, what, "os, architecture or variant is malformed");
	ids = json_object_get(json_object_get(doc, "rootfs"), "diff_ids");
	if (json_array_size(ids) != img->nlayers)
		return corrupt(err, what, "rootfs.diff_ids does not have one entry per layer");
	json_array_foreach(ids, i, e)
		if (!json_is_string(e) ||
		    digest_parse(json_string_value(e), json_string_length(e),
				 &img->layers[i].diff_id) < 0)
			return corrupt(err, what, "a diff_id is not a digest");
	return 0;
}
