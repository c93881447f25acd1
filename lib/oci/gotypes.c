/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gotypes.c - see gotypes.h. Any thread. */
#include "oci/gotypes.h"

#include <stdlib.h>
#include <string.h>

#include "oci/gojson.h"

/* Go's omitempty, of a value and of a pointer. */
enum omit { NEVER, IF_EMPTY, IF_NULL };

struct field {
	const char *key;
	/* v NULL: absent; what Go has then. */
	int (*add)(struct buf *out, const json_t *v);
	enum omit omit;
};

/* --- values -------------------------------------------------------------------------- */

static int add_string(struct buf *out, const json_t *v)
{
	if (v && !json_is_string(v))
		return -EINVAL;
	return v ? gojson_string(out, json_string_value(v), json_string_length(v)) :
		   gojson_string(out, "", 0);
}

static int add_base64(struct buf *out, const json_t *v)
{
	return json_is_string(v) ?
		       gojson_base64(out, json_string_value(v), json_string_length(v)) :
		       -EINVAL;
}

static int add_number(struct buf *out, const json_t *v)
{
	if (v && !json_is_integer(v))
		return -EINVAL;
	return buf_addf(out, "%lld", (long long)json_integer_value(v));
}

/* Go has nil for an array that is not there. */
static int add_array(struct buf *out, const json_t *v,
		     int (*add)(struct buf *out, const json_t *v))
{
	int r = buf_add_str(out, v ? "[" : "null");

	if (!v)
		return r;
	if (!json_is_array(v))
		return -EINVAL;
	for (size_t i = 0; r == 0 && i < json_array_size(v); i++) {
		const json_t *item = json_array_get(v, i);

		if (i)
			r = buf_add(out, ",", 1);
		if (r == 0)
			r = add(out, json_is_null(item) ? NULL : item);
	}
	return r < 0 ? r : buf_add(out, "]", 1);
}

static int add_strings(struct buf *out, const json_t *v)
{
	return add_array(out, v, add_string);
}

static int key_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Strings by name; Go sorts the names. */
static int add_map(struct buf *out, const json_t *map)
{
	size_t n = json_object_size(map), i = 0;
	cleanup_free const char **keys = calloc(n ? n : 1, sizeof(*keys));
	const char *key;
	json_t *value;
	int r = json_is_object(map) ? keys ? buf_add(out, "{", 1) : -ENOMEM : -EINVAL;

	if (r < 0)
		return r;
	json_object_foreach((json_t *)map, key, value)
		keys[i++] = key;
	qsort(keys, n, sizeof(*keys), key_compare);
	for (i = 0; r == 0 && i < n; i++) {
		value = json_object_get(map, keys[i]);
		if (i)
			r = buf_add(out, ",", 1);
		if (r == 0)
			r = gojson_string(out, keys[i], strlen(keys[i]));
		if (r == 0)
			r = buf_add(out, ":", 1);
		if (r == 0)
			r = add_string(out, json_is_null(value) ? NULL : value);
	}
	return r < 0 ? r : buf_add(out, "}", 1);
}

/* --- structs ------------------------------------------------------------------------- */

static bool is_empty(const json_t *v)
{
	const char *s = json_string_value(v);

	return (s && !json_string_length(v)) || (json_is_array(v) && !json_array_size(v)) ||
	       (json_is_object(v) && !json_object_size(v));
}

static bool is_left_out(const struct field *f, const json_t *v)
{
	/* Base64 of nothing may have line ends. */
	if (f->add == add_base64 && json_is_string(v))
		return !json_string_value(v)[strspn(json_string_value(v), "\r\n")];
	return f->omit != NEVER && (!v || (f->omit == IF_EMPTY && is_empty(v)));
}

static int add_struct(struct buf *out, const json_t *o, const struct field *f)
{
	bool first = true;
	int r = o && !json_is_object(o) ? -EINVAL : buf_add(out, "{", 1);

	for (; r == 0 && f->key; f++) {
		const json_t *v = json_object_get(o, f->key);

		if (json_is_null(v))
			v = NULL;
		if (is_left_out(f, v))
			continue;
		r = buf_addf(out, "%s\"%s\":", first ? "" : ",", f->key);
		first = false;
		if (r == 0)
			r = f->add(out, v);
	}
	return r < 0 ? r : buf_add(out, "}", 1);
}

static int add_platform(struct buf *out, const json_t *v)
{
	static const struct field fields[] = {
		{ "architecture", add_string, NEVER },
		{ "os", add_string, NEVER },
		{ "os.version", add_string, IF_EMPTY },
		{ "os.features", add_strings, IF_EMPTY },
		{ "variant", add_string, IF_EMPTY },
		{ 0 },
	};

	return add_struct(out, v, fields);
}

static int add_desc(struct buf *out, const json_t *v)
{
	static const struct field fields[] = {
		{ "mediaType", add_string, NEVER },
		{ "digest", add_string, NEVER },
		{ "size", add_number, NEVER },
		{ "urls", add_strings, IF_EMPTY },
		{ "annotations", add_map, IF_EMPTY },
		{ "data", add_base64, IF_EMPTY },
		{ "platform", add_platform, IF_NULL },
		{ "artifactType", add_string, IF_EMPTY },
		{ 0 },
	};

	return add_struct(out, v, fields);
}

static int add_descs(struct buf *out, const json_t *v)
{
	return add_array(out, v, add_desc);
}

int gotypes_manifest(struct buf *out, const json_t *manifest)
{
	static const struct field fields[] = {
		{ "schemaVersion", add_number, NEVER },
		{ "mediaType", add_string, IF_EMPTY },
		{ "artifactType", add_string, IF_EMPTY },
		{ "config", add_desc, NEVER },
		{ "layers", add_descs, NEVER },
		{ "subject", add_desc, IF_NULL },
		{ "annotations", add_map, IF_EMPTY },
		{ 0 },
	};

	return add_struct(out, manifest, fields);
}

int gotypes_index(struct buf *out, const json_t *index)
{
	static const struct field fields[] = {
		{ "schemaVersion", add_number, NEVER },
		{ "mediaType", add_string, IF_EMPTY },
		{ "artifactType", add_string, IF_EMPTY },
		{ "manifests", add_descs, NEVER },
		{ "subject", add_desc, IF_NULL },
		{ "annotations", add_map, IF_EMPTY },
		{ 0 },
	};

	return add_struct(out, index, fields);
}
