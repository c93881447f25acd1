/* SPDX-License-Identifier: GPL-2.0-or-later */
/* soci_convert.c - see soci_convert.h. Any thread. */
#include "oci/soci_convert.h"

#include <stdlib.h>
#include <string.h>

#include "oci/gotypes.h"
#include "oci/manifest.h"
#include "oci/soci_write.h"

#define ANNOTATION_IMAGE "com.amazon.soci.image-manifest-digest"
#define ANNOTATION_ATTESTED "vnd.docker.reference.digest"

void soci_converted_done(struct soci_converted *c)
{
	json_decref(c->annotations);
	json_decref(c->platform);
	json_decref(c->index_platform);
}

static int failed(struct err *err, int r, const char *what)
{
	return r == -EINVAL ? err_set(err, ERR_CORRUPT, EINVAL, "%s: a value is of another type "
				      "than OCI gives it", what) :
			      err_sys(err, -r, "%s", what);
}

static json_t *digest_json(const struct digest *d)
{
	char text[DIGEST_TEXT_SIZE];

	digest_format(d, text);
	return json_string(text);
}

/* --- image manifest ------------------------------------------------------------------ */

static int add_annotation(json_t *doc, const struct digest *index)
{
	json_t *a = json_object_get(doc, "annotations");

	if (a && !json_is_null(a) && !json_is_object(a))
		return -EINVAL;
	if (!json_is_object(a)) {
		a = json_object();
		if (!a || json_object_set_new(doc, "annotations", a) < 0)
			return -ENOMEM;
	}
	return json_object_set_new(a, ANNOTATION_SOCI_INDEX, digest_json(index)) < 0 ? -ENOMEM : 0;
}

int soci_convert_manifest(const void *data, size_t len, const struct digest *index,
			  struct buf *out, json_t **ret_annotations, struct err *err)
{
	cleanup_json json_t *doc = NULL;
	json_t *config, *layers;
	int r = jdoc_parse(data, len, "image manifest", &doc, err);

	if (r < 0)
		return r;
	config = json_object_get(doc, "config");
	layers = json_object_get(doc, "layers");
	if (!json_is_object(config) || !json_is_array(layers))
		return err_set(err, ERR_CORRUPT, EINVAL, "image manifest: no config or layers");
	for (size_t i = 0; i < json_array_size(layers); i++)
		if (!json_is_object(json_array_get(layers, i)))
			return err_set(err, ERR_CORRUPT, EINVAL,
				       "image manifest: layers[%zu] is no object", i);
	if (json_object_set_new(doc, "mediaType", json_string(MEDIA_OCI_MANIFEST)) < 0 ||
	    json_object_set_new(config, "mediaType", json_string(MEDIA_OCI_CONFIG)) < 0)
		r = -ENOMEM;
	if (r == 0 && index)
		r = add_annotation(doc, index);
	if (r == 0)
		r = gotypes_manifest(out, doc);
	if (r < 0)
		return failed(err, r, "image manifest");
	*ret_annotations = json_incref(json_object_get(doc, "annotations"));
	return 0;
}

/* --- platforms ----------------------------------------------------------------------- */

json_t *soci_platform_json(const struct oci_platform *p)
{
	return p->variant[0] ? json_pack("{s:s, s:s, s:s}", "architecture", p->arch, "os", p->os,
					 "variant", p->variant) :
			       json_pack("{s:s, s:s}", "architecture", p->arch, "os", p->os);
}

/* In normal form. */
static int read_platform(const json_t *o, struct oci_platform *ret)
{
	if (jdoc_copy(o, "os", ret->os, sizeof(ret->os)) < 0 ||
	    jdoc_copy(o, "architecture", ret->arch, sizeof(ret->arch)) < 0 ||
	    jdoc_copy(o, "variant", ret->variant, sizeof(ret->variant)) < 0)
		return -EINVAL;
	oci_platform_normalize(ret);
	return 0;
}

static const char *os_version(const json_t *platform)
{
	const char *version = jdoc_str(platform, "os.version");

	return version ? version : "";
}

bool soci_platform_is_for(const json_t *platform, const struct oci_platform *p)
{
	struct oci_platform x, y = *p;

	oci_platform_normalize(&y);
	return read_platform(platform, &x) == 0 && !strcmp(x.os, y.os) &&
	       !strcmp(x.arch, y.arch) && !strcmp(x.variant, y.variant);
}

bool soci_platform_is_same(const json_t *a, const json_t *b)
{
	struct oci_platform x;

	return read_platform(a, &x) == 0 && soci_platform_is_for(b, &x) &&
	       !strcmp(os_version(a), os_version(b));
}

static int feature_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, each once. */
static int add_features(json_t *platform, const json_t *features)
{
	size_t n = json_array_size(features);
	cleanup_free const char **v = calloc(n ? n : 1, sizeof(*v));
	json_t *sorted = json_array();
	int r = v && sorted ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++) {
		v[i] = json_string_value(json_array_get(features, i));
		if (!v[i])
			r = -EINVAL;
	}
	if (r == 0)
		qsort(v, n, sizeof(*v), feature_compare);
	for (size_t i = 0; r == 0 && i < n; i++)
		if ((i == 0 || strcmp(v[i - 1], v[i]) != 0) &&
		    json_array_append_new(sorted, json_string(v[i])) < 0)
			r = -ENOMEM;
	if (r < 0) {
		json_decref(sorted);
		return r;
	}
	return json_object_set_new(platform, "os.features", sorted) < 0 ? -ENOMEM : 0;
}

int soci_platform_of_config(const void *data, size_t len, json_t **ret, struct err *err)
{
	cleanup_json json_t *doc = NULL, *o = NULL;
	struct oci_platform p;
	int r = jdoc_parse(data, len, "image config", &doc, err);

	if (r < 0)
		return r;
	r = read_platform(doc, &p);
	if (r == 0) {
		o = soci_platform_json(&p);
		r = o ? add_features(o, json_object_get(doc, "os.features")) : -ENOMEM;
	}
	if (r == 0 && json_object_set_new(o, "os.version", json_string(os_version(doc))) < 0)
		r = -ENOMEM;
	if (r < 0)
		return failed(err, r, "image config");
	*ret = TAKE_PTR(o);
	return 0;
}

/* --- plan ---------------------------------------------------------------------------- */

struct plan {
	const struct soci_converted *images;
	uint32_t n;
	bool *placed;			/* the SOCI index of each */
};

/* The first image made of the manifest digest, or n. */
static uint32_t image_of(const struct soci_converted *images, uint32_t n,
			 const struct digest *digest)
{
	uint32_t i = 0;

	while (i < n && !digest_is_equal(&images[i].source, digest))
		i++;
	return i;
}

/* A place for a SOCI index: of the image source if not NULL; best one for platform. */
static uint32_t index_for(const struct plan *p, const struct digest *source,
			  const json_t *platform)
{
	uint32_t any = p->n;

	for (uint32_t i = 0; i < p->n; i++) {
		const struct soci_converted *c = &p->images[i];

		if (!c->has_index || p->placed[i] ||
		    (source && !digest_is_equal(&c->source, source)))
			continue;
		if (json_is_object(platform) && soci_platform_is_same(c->index_platform, platform))
			return i;
		if (any == p->n)
			any = i;
	}
	return source ? any : p->n;
}

static struct soci_place index_place(struct plan *p, const struct digest *source,
				     const json_t *o)
{
	uint32_t k = index_for(p, source, json_object_get(o, "platform"));

	if (k < p->n) {
		p->placed[k] = true;
		return (struct soci_place){ .fate = SOCI_INDEX, .number = k };
	}
	return (struct soci_place){ .fate = source && image_of(p->images, p->n, source) < p->n ?
						    SOCI_DROPPED :
						    SOCI_KEPT };
}

/* A SOCI index says whose it is; one that does not is that of its platform, as upstream has
 * it. */
static int entry_place(struct plan *p, const json_t *o, struct soci_place *ret)
{
	const char *of = jdoc_annotation(o, ANNOTATION_IMAGE), *type = jdoc_str(o, "artifactType");
	struct oci_desc desc;
	struct digest image;
	uint32_t k;

	if (jdoc_desc(o, &desc) < 0)
		return -EINVAL;
	if (of && digest_parse(of, strlen(of), &image) == 0) {
		*ret = index_place(p, &image, o);
	} else if (type && !strcmp(type, SOCI_INDEX_V2_TYPE)) {
		*ret = index_place(p, NULL, o);
	} else {
		k = image_of(p->images, p->n, &desc.digest);
		*ret = (struct soci_place){ .fate = k < p->n ? SOCI_IMAGE : SOCI_KEPT, .number = k };
	}
	return 0;
}

int soci_convert_plan(const json_t *source, const struct soci_converted *images, uint32_t n,
		      struct soci_place **ret, struct err *err)
{
	const json_t *list = json_object_get(source, "manifests");
	size_t size = json_array_size(list);
	cleanup_free struct soci_place *places = calloc(size ? size : 1, sizeof(*places));
	cleanup_free bool *placed = calloc(n ? n : 1, sizeof(*placed));
	struct plan p = { .images = images, .n = n, .placed = placed };

	if (!places || !placed)
		return err_sys(err, ENOMEM, "image index");
	for (size_t i = 0; i < size; i++)
		if (entry_place(&p, json_array_get(list, i), &places[i]) < 0)
			return err_set(err, ERR_CORRUPT, EINVAL,
				       "a malformed entry in the image index");
	*ret = TAKE_PTR(places);
	return 0;
}

/* --- image index --------------------------------------------------------------------- */

static int set_desc(json_t *o, const struct oci_desc *d)
{
	if (json_object_set_new(o, "mediaType", json_string(MEDIA_OCI_MANIFEST)) < 0 ||
	    json_object_set_new(o, "digest", digest_json(&d->digest)) < 0 ||
	    json_object_set_new(o, "size", json_integer((json_int_t)d->size)) < 0)
		return -ENOMEM;
	return 0;
}

/* entry: what the source has there, or NULL. It keeps its URLs and platform, not the old
 * bytes that may stand in "data". */
static json_t *image_entry(const struct soci_converted *c, const json_t *entry)
{
	json_t *o = entry ? json_copy((json_t *)entry) : json_object();
	int r = o ? set_desc(o, &c->image) : -ENOMEM;

	json_object_del(o, "data");
	json_object_del(o, "annotations");
	if (r == 0 && c->annotations && json_object_set(o, "annotations", c->annotations) < 0)
		r = -ENOMEM;
	if (r == 0 && c->platform && !json_is_object(json_object_get(o, "platform")) &&
	    json_object_set(o, "platform", c->platform) < 0)
		r = -ENOMEM;
	if (r == 0)
		return o;
	json_decref(o);
	return NULL;
}

/* Of an image that is indexed twice the first names it alone, as upstream has it. */
static json_t *index_entry(const struct soci_converted *images, uint32_t k)
{
	const struct soci_converted *c = &images[k];
	json_t *o = json_pack("{s:O, s:s}", "platform", c->index_platform, "artifactType",
			      SOCI_INDEX_V2_TYPE);
	int r = o ? set_desc(o, &c->index) : -ENOMEM;

	if (r == 0 && image_of(images, k, &c->source) == k &&
	    json_object_set_new(o, "annotations",
				json_pack("{s:o}", ANNOTATION_IMAGE, digest_json(&c->image.digest))) < 0)
		r = -ENOMEM;
	if (r == 0)
		return o;
	json_decref(o);
	return NULL;
}

/* An attestation names the image that it is about by digest. */
static json_t *kept_entry(const struct soci_converted *images, uint32_t n, json_t *entry)
{
	const char *of = jdoc_annotation(entry, ANNOTATION_ATTESTED);
	struct digest image;
	json_t *o;
	uint32_t k = n;

	if (of && digest_parse(of, strlen(of), &image) == 0)
		k = image_of(images, n, &image);
	if (k == n)
		return json_incref(entry);
	o = json_deep_copy(entry);
	if (o && json_object_set_new(json_object_get(o, "annotations"), ANNOTATION_ATTESTED,
				     digest_json(&images[k].image.digest)) == 0)
		return o;
	json_decref(o);
	return NULL;
}

static int add_places(json_t *list, const json_t *old, const struct soci_place *places,
		      const struct soci_converted *images, uint32_t n)
{
	json_t *entry;
	size_t i;

	json_array_foreach(old, i, entry) {
		uint32_t k = places[i].number;
		json_t *o = NULL;

		switch (places[i].fate) {
		case SOCI_KEPT:
			o = kept_entry(images, n, entry);
			break;
		case SOCI_IMAGE:
			o = image_entry(&images[k], entry);
			break;
		case SOCI_INDEX:
			o = index_entry(images, k);
			break;
		case SOCI_DROPPED:
			continue;
		}
		if (json_array_append_new(list, o) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Has it a place? Of an image it is the first that counts. */
static bool is_placed(const struct soci_place *places, size_t nplaces, enum soci_fate fate,
		      uint32_t number)
{
	for (size_t i = 0; i < nplaces; i++)
		if (places[i].fate == fate && places[i].number == number)
			return true;
	return false;
}

static int add_rest(json_t *list, size_t nplaces, const struct soci_place *places,
		    const struct soci_converted *images, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (image_of(images, i, &images[i].source) == i &&
		    !is_placed(places, nplaces, SOCI_IMAGE, i) &&
		    json_array_append_new(list, image_entry(&images[i], NULL)) < 0)
			return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		if (images[i].has_index && !is_placed(places, nplaces, SOCI_INDEX, i) &&
		    json_array_append_new(list, index_entry(images, i)) < 0)
			return -ENOMEM;
	return 0;
}

int soci_convert_index(const json_t *source, const struct soci_place *places,
		       const struct soci_converted *images, uint32_t n, struct buf *out,
		       struct err *err)
{
	const json_t *old = json_object_get(source, "manifests");
	cleanup_json json_t *doc = json_copy((json_t *)source), *list = json_array();
	int r = doc && list ? add_places(list, old, places, images, n) : -ENOMEM;

	if (r == 0)
		r = add_rest(list, json_array_size(old), places, images, n);
	if (r == 0 && (json_object_set(doc, "manifests", list) < 0 ||
		       json_object_set_new(doc, "mediaType", json_string(MEDIA_OCI_INDEX)) < 0))
		r = -ENOMEM;
	if (r == 0)
		r = gotypes_index(out, doc);
	return r < 0 ? failed(err, r, "image index") : 0;
}
