/* SPDX-License-Identifier: GPL-2.0-or-later */
/* soci_convert.c - see soci_convert.h. Any thread. */
#include "oci/soci_convert.h"

#include <stdlib.h>
#include <string.h>

#include "oci/gojson.h"
#include "oci/json.h"
#include "oci/manifest.h"
#include "oci/soci_write.h"

#define ANNOTATION_IMAGE "com.amazon.soci.image-manifest-digest"

/* --- JSON as Go's encoder writes it -------------------------------------------------- */

static int key_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int emit(struct buf *out, const json_t *v);

static int emit_key(struct buf *out, const char *key, const json_t *v, bool *first)
{
	int r = *first ? 0 : buf_add(out, ",", 1);

	*first = false;
	if (r == 0)
		r = gojson_string(out, key, strlen(key));
	if (r == 0)
		r = buf_add(out, ":", 1);
	return r < 0 ? r : emit(out, v);
}

/* Go sorts the keys of a map. */
static int emit_map(struct buf *out, const json_t *map)
{
	size_t n = json_object_size(map), i = 0;
	const char **keys = calloc(n ? n : 1, sizeof(*keys));
	const char *key;
	json_t *value;
	bool first = true;
	int r = keys ? buf_add(out, "{", 1) : -ENOMEM;

	if (keys) {
		json_object_foreach((json_t *)map, key, value)
			keys[i++] = key;
		qsort(keys, n, sizeof(*keys), key_compare);
	}
	for (i = 0; r == 0 && i < n; i++)
		r = emit_key(out, keys[i], json_object_get(map, keys[i]), &first);
	free(keys);
	return r < 0 ? r : buf_add(out, "}", 1);
}

static int emit_array(struct buf *out, const json_t *array)
{
	int r = buf_add(out, "[", 1);

	for (size_t i = 0; r == 0 && i < json_array_size(array); i++) {
		if (i)
			r = buf_add(out, ",", 1);
		if (r == 0)
			r = emit(out, json_array_get(array, i));
	}
	return r < 0 ? r : buf_add(out, "]", 1);
}

static int emit(struct buf *out, const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return emit_map(out, v);
	case JSON_ARRAY:
		return emit_array(out, v);
	case JSON_STRING:
		return gojson_string(out, json_string_value(v), json_string_length(v));
	case JSON_INTEGER:
		return buf_addf(out, "%lld", (long long)json_integer_value(v));
	case JSON_TRUE:
		return buf_add_str(out, "true");
	case JSON_FALSE:
		return buf_add_str(out, "false");
	case JSON_REAL:
	case JSON_NULL:
		return buf_add_str(out, "null");
	}
	return -EINVAL;
}

/* --- OCI types: only known keys, in the order of their struct ------------------------- */

static int emit_struct(struct buf *out, const json_t *o, const char *const *keys)
{
	bool first = true;
	int r = buf_add(out, "{", 1);

	for (; r == 0 && *keys; keys++) {
		const json_t *v = json_object_get(o, *keys);

		if (v && !json_is_null(v))
			r = emit_key(out, *keys, v, &first);
	}
	return r < 0 ? r : buf_add(out, "}", 1);
}

static int emit_platform(struct buf *out, const json_t *o)
{
	static const char *const keys[] = { "architecture", "os", "os.version", "os.features",
					    "variant", NULL };

	return emit_struct(out, o, keys);
}

static int emit_desc(struct buf *out, const json_t *o)
{
	static const char *const head[] = { "mediaType", "digest", "size", "urls",
					    "annotations", "data", NULL };
	const json_t *platform = json_object_get(o, "platform"),
		     *type = json_object_get(o, "artifactType");
	bool first = false;
	int r = emit_struct(out, o, head);

	out->len--;	/* the brace comes back at the end */
	if (r == 0 && json_is_object(platform)) {
		r = buf_add_str(out, ",\"platform\":");
		if (r == 0)
			r = emit_platform(out, platform);
	}
	if (r == 0 && json_is_string(type))
		r = emit_key(out, "artifactType", type, &first);
	return r < 0 ? r : buf_add(out, "}", 1);
}

static int emit_descs(struct buf *out, const json_t *array)
{
	int r = buf_add(out, "[", 1);

	for (size_t i = 0; r == 0 && i < json_array_size(array); i++) {
		if (i)
			r = buf_add(out, ",", 1);
		if (r == 0)
			r = emit_desc(out, json_array_get(array, i));
	}
	return r < 0 ? r : buf_add(out, "]", 1);
}

/* --- image manifest ------------------------------------------------------------------ */

static int add_annotation(json_t *doc, const struct digest *index)
{
	char text[DIGEST_TEXT_SIZE];
	json_t *a = json_object_get(doc, "annotations");

	digest_format(index, text);
	if (!json_is_object(a)) {
		a = json_object();
		if (!a || json_object_set_new(doc, "annotations", a) < 0)
			return -ENOMEM;
	}
	return json_object_set_new(a, ANNOTATION_SOCI_INDEX, json_string(text)) < 0 ? -ENOMEM : 0;
}

static int emit_manifest(struct buf *out, const json_t *doc)
{
	const json_t *type = json_object_get(doc, "artifactType"),
		     *subject = json_object_get(doc, "subject");
	bool first = false;
	int r = buf_add_str(out, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\"");

	if (r == 0 && json_is_string(type))
		r = emit_key(out, "artifactType", type, &first);
	if (r == 0)
		r = buf_add_str(out, ",\"config\":");
	if (r == 0)
		r = emit_desc(out, json_object_get(doc, "config"));
	if (r == 0)
		r = buf_add_str(out, ",\"layers\":");
	if (r == 0)
		r = emit_descs(out, json_object_get(doc, "layers"));
	if (r == 0 && json_is_object(subject)) {
		r = buf_add_str(out, ",\"subject\":");
		if (r == 0)
			r = emit_desc(out, subject);
	}
	if (r == 0)
		r = emit_key(out, "annotations", json_object_get(doc, "annotations"), &first);
	return r < 0 ? r : buf_add(out, "}", 1);
}

int soci_convert_manifest(const void *data, size_t len, const struct digest *index,
			  struct buf *out, struct err *err)
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
	r = json_object_set_new(config, "mediaType", json_string(MEDIA_OCI_CONFIG)) < 0 ?
		    -ENOMEM :
		    add_annotation(doc, index);
	if (r == 0)
		r = emit_manifest(out, doc);
	return r < 0 ? err_sys(err, -r, "image manifest") : 0;
}

/* --- image index --------------------------------------------------------------------- */

static int emit_head(struct buf *out, const struct oci_desc *d)
{
	char text[DIGEST_TEXT_SIZE];

	digest_format(&d->digest, text);
	return buf_addf(out, "{\"mediaType\":\"" MEDIA_OCI_MANIFEST
			     "\",\"digest\":\"%s\",\"size\":%llu,\"annotations\":{",
			text, (unsigned long long)d->size);
}

/* platform: what the source said of it, or NULL. */
static int emit_end(struct buf *out, const struct soci_converted *c, const json_t *platform,
		    const char *more)
{
	int r = buf_add_str(out, "},\"platform\":");

	if (r == 0 && json_is_object(platform)) {
		r = emit_platform(out, platform);
		return r < 0 ? r : buf_addf(out, "%s}", more);
	}
	if (r == 0)
		r = buf_add_str(out, "{\"architecture\":");
	if (r == 0)
		r = gojson_string(out, c->arch, strlen(c->arch));
	if (r == 0)
		r = buf_add_str(out, ",\"os\":");
	if (r == 0)
		r = gojson_string(out, c->os, strlen(c->os));
	if (r == 0 && c->variant[0]) {
		r = buf_add_str(out, ",\"variant\":");
		if (r == 0)
			r = gojson_string(out, c->variant, strlen(c->variant));
	}
	return r < 0 ? r : buf_addf(out, "}%s}", more);
}

/* One image, and where it stands in the source. */
struct place {
	const struct soci_converted *c;
	const json_t *platform;
	bool has_image, has_index;	/* written; or the same as one before */
};

static int emit_image(struct buf *out, struct place *p)
{
	char text[DIGEST_TEXT_SIZE];
	int r = emit_head(out, &p->c->image);

	p->has_image = true;
	digest_format(&p->c->index.digest, text);
	if (r == 0)
		r = buf_addf(out, "\"" ANNOTATION_SOCI_INDEX "\":\"%s\"", text);
	return r < 0 ? r : emit_end(out, p->c, p->platform, "");
}

static int emit_index(struct buf *out, struct place *p)
{
	char text[DIGEST_TEXT_SIZE];
	int r = emit_head(out, &p->c->index);

	p->has_index = true;
	digest_format(&p->c->image.digest, text);
	if (r == 0)
		r = buf_addf(out, "\"" ANNOTATION_IMAGE "\":\"%s\"", text);
	return r < 0 ? r : emit_end(out, p->c, p->platform,
				    ",\"artifactType\":\"" SOCI_INDEX_V2_TYPE "\"");
}

static struct place *place_of(struct place *places, const struct digest *replaced, uint32_t n,
			      const struct digest *digest)
{
	for (uint32_t i = 0; i < n; i++)
		if (digest_is_equal(&replaced[i], digest))
			return &places[i];
	return NULL;
}

/* The image that the entry was, if it was converted; or whose SOCI index it was. */
static struct place *entry_place(const json_t *o, struct place *places,
				 const struct digest *replaced, uint32_t n, bool *ret_is_index)
{
	const char *of = jdoc_annotation(o, ANNOTATION_IMAGE);
	struct digest d;

	*ret_is_index = of && digest_parse(of, strlen(of), &d) == 0;
	if (!*ret_is_index && jdoc_digest(o, "digest", &d) < 0)
		return NULL;
	return place_of(places, replaced, n, &d);
}

static void find_platforms(const json_t *list, struct place *places,
			   const struct digest *replaced, uint32_t n)
{
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o) {
		bool is_index;
		struct place *p = entry_place(o, places, replaced, n, &is_index);

		if (p && !is_index && !p->platform)
			p->platform = json_object_get(o, "platform");
	}
}

/* A comma before all but the first. */
static int comma(struct buf *out)
{
	return out->data[out->len - 1] == '[' ? 0 : buf_add(out, ",", 1);
}

static int emit_entries(struct buf *out, const json_t *list, struct place *places,
			const struct digest *replaced, uint32_t n)
{
	const json_t *o;
	size_t i;
	int r = 0;

	json_array_foreach(list, i, o) {
		bool is_index;
		struct place *p = entry_place(o, places, replaced, n, &is_index);
		struct oci_desc desc;

		if (jdoc_desc(o, &desc) < 0 || (p && (is_index ? p->has_index : p->has_image)))
			continue;
		r = comma(out);
		if (r == 0)
			r = !p ? emit_desc(out, o) :
			    is_index ? emit_index(out, p) : emit_image(out, p);
		if (r < 0)
			break;
	}
	return r;
}

/* What the source did not list by itself, then the SOCI indexes that are new. */
static int emit_rest(struct buf *out, struct place *places, uint32_t n)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < n; i++) {
		if (places[i].has_image)
			continue;
		r = comma(out);
		if (r == 0)
			r = emit_image(out, &places[i]);
	}
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		if (places[i].has_index)
			continue;
		r = comma(out);
		if (r == 0)
			r = emit_index(out, &places[i]);
	}
	return r;
}

static int emit_all(struct buf *out, const json_t *list, struct place *places,
		    const struct digest *replaced, uint32_t n)
{
	int r = buf_add_str(out, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX
				 "\",\"manifests\":[");

	find_platforms(list, places, replaced, n);
	if (r == 0)
		r = emit_entries(out, list, places, replaced, n);
	if (r == 0)
		r = emit_rest(out, places, n);
	return r < 0 ? r : buf_add_str(out, "]}");
}

int soci_convert_index(const void *source, size_t source_len, const struct digest *replaced,
		       const struct soci_converted *images, uint32_t n, struct buf *out,
		       struct err *err)
{
	cleanup_json json_t *doc = NULL;
	struct place *places;
	int r = source ? jdoc_parse(source, source_len, "image index", &doc, err) : 0;

	if (r < 0)
		return r;
	places = calloc(n ? n : 1, sizeof(*places));
	for (uint32_t i = 0; places && i < n; i++) {
		places[i].c = &images[i];
		/* Asked for twice. */
		places[i].has_image = places[i].has_index =
			place_of(places, replaced, i, &replaced[i]) != NULL;
	}
	r = places ? emit_all(out, json_object_get(doc, "manifests"), places, replaced, n) :
		     -ENOMEM;
	free(places);
	return r < 0 ? err_sys(err, -r, "image index") : 0;
}
