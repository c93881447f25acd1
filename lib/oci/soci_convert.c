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

static int emit_end(struct buf *out, const struct soci_converted *c, const char *more)
{
	int r = buf_add_str(out, "},\"platform\":{\"architecture\":");

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

static int emit_image(struct buf *out, const struct soci_converted *c)
{
	char text[DIGEST_TEXT_SIZE];
	int r = emit_head(out, &c->image);

	digest_format(&c->index.digest, text);
	if (r == 0)
		r = buf_addf(out, "\"" ANNOTATION_SOCI_INDEX "\":\"%s\"", text);
	return r < 0 ? r : emit_end(out, c, "");
}

static int emit_index(struct buf *out, const struct soci_converted *c)
{
	char text[DIGEST_TEXT_SIZE];
	int r = emit_head(out, &c->index);

	digest_format(&c->image.digest, text);
	if (r == 0)
		r = buf_addf(out, "\"" ANNOTATION_IMAGE "\":\"%s\"", text);
	return r < 0 ? r : emit_end(out, c, ",\"artifactType\":\"" SOCI_INDEX_V2_TYPE "\"");
}

static bool is_replaced(const json_t *o, const struct digest *replaced, uint32_t n)
{
	const char *of = jdoc_annotation(o, ANNOTATION_IMAGE);
	struct digest image;
	struct oci_desc d;

	if (jdoc_desc(o, &d) < 0)
		return true;
	/* The SOCI index of an image goes with it. */
	if (!of || digest_parse(of, strlen(of), &image) < 0)
		image = d.digest;
	for (uint32_t i = 0; i < n; i++)
		if (digest_is_equal(&replaced[i], &d.digest) ||
		    digest_is_equal(&replaced[i], &image))
			return true;
	return false;
}

static int emit_others(struct buf *out, const void *source, size_t len,
		       const struct digest *replaced, uint32_t n, struct err *err)
{
	cleanup_json json_t *doc = NULL;
	const json_t *list;
	int r = jdoc_parse(source, len, "image index", &doc, err);

	list = json_object_get(doc, "manifests");
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i);

		if (is_replaced(o, replaced, n))
			continue;
		r = buf_add(out, ",", 1);
		if (r == 0)
			r = emit_desc(out, o);
	}
	return r;
}

int soci_convert_index(const void *source, size_t source_len, const struct digest *replaced,
		       const struct soci_converted *images, uint32_t n, struct buf *out,
		       struct err *err)
{
	int r = buf_add_str(out, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX
				 "\",\"manifests\":[");

	for (uint32_t i = 0; r == 0 && i < n; i++) {
		r = i ? buf_add(out, ",", 1) : 0;
		if (r == 0)
			r = emit_image(out, &images[i]);
	}
	if (r == 0 && source)
		r = emit_others(out, source, source_len, replaced, n, err);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		r = buf_add(out, ",", 1);
		if (r == 0)
			r = emit_index(out, &images[i]);
	}
	if (r == 0)
		r = buf_add_str(out, "]}");
	if (r < 0 && !(err && err->num))
		err_sys(err, -r, "image index");
	return r;
}
