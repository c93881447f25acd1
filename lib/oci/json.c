/* SPDX-License-Identifier: GPL-2.0-or-later */
/* json.c - see json.h. */
#include "oci/json.h"

#include <string.h>

/* Upper bounds of what the tree will need, from the structural characters alone. */
static bool is_within_caps(const char *s, size_t len)
{
	size_t values = 1;
	unsigned depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
			continue;
		}
		if (c == '"')
			quoted = true;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && depth)
			depth--;
		if (c == '{' || c == '[' || c == ',')
			values++;
		if (depth > JDOC_MAX_DEPTH || values > JDOC_MAX_VALUES)
			return false;
	}
	return true;
}

int jdoc_parse(const void *data, size_t len, const char *what, json_t **ret,
	       struct err *err)
{
	cleanup_json json_t *doc = NULL;
	char clean[160];
	json_error_t e;

	if (len > JDOC_MAX_BYTES)
		return err_set(err, ERR_CORRUPT, EFBIG, "%s: %zu bytes, more than the %u "
			       "allowed", what, len, JDOC_MAX_BYTES);
	if (len == 0)
		return err_set(err, ERR_CORRUPT, EINVAL, "%s: empty", what);
	if (!is_within_caps(data, len))
		return err_set(err, ERR_CORRUPT, EFBIG, "%s: JSON too deep or with too many "
			       "values", what);
	doc = json_loadb(data, len, JSON_REJECT_DUPLICATES, &e);
	if (!doc) {
		jdoc_clean(e.text, clean, sizeof(clean));
		return err_set(err, ERR_CORRUPT, EINVAL, "%s: not JSON: line %d: %s", what,
			       e.line, clean);
	}
	if (!json_is_object(doc))
		return err_set(err, ERR_CORRUPT, EINVAL, "%s: not a JSON object", what);
	*ret = TAKE_PTR(doc);
	return 0;
}

const char *jdoc_str(const json_t *obj, const char *key)
{
	return json_string_value(json_object_get(obj, key));
}

int jdoc_copy(const json_t *obj, const char *key, char *ret, size_t ret_size)
{
	const json_t *v = json_object_get(obj, key);
	size_t len;

	if (!v || json_is_null(v)) {
		ret[0] = 0;
		return 0;
	}
	len = json_string_length(v);
	if (!json_is_string(v) || len >= ret_size)
		return -EINVAL;
	for (const char *p = json_string_value(v); *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			return -EINVAL;
	memcpy(ret, json_string_value(v), len + 1);
	return 0;
}

int jdoc_u64(const json_t *obj, const char *key, uint64_t *ret)
{
	const json_t *v = json_object_get(obj, key);

	if (!v)
		return -ENOENT;
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return -EINVAL;
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

int jdoc_digest(const json_t *obj, const char *key, struct digest *ret)
{
	const json_t *v = json_object_get(obj, key);

	if (!v)
		return -ENOENT;
	if (!json_is_string(v))
		return -EINVAL;
	return digest_parse(json_string_value(v), json_string_length(v), ret);
}

const char *jdoc_annotation(const json_t *obj, const char *name)
{
	return jdoc_str(json_object_get(obj, "annotations"), name);
}

int jdoc_desc(const json_t *obj, struct oci_desc *ret)
{
	struct oci_desc d = { 0 };

	if (!json_is_object(obj) ||
	    jdoc_copy(obj, "mediaType", d.media_type, sizeof(d.media_type)) < 0 ||
	    jdoc_copy(obj, "artifactType", d.artifact_type, sizeof(d.artifact_type)) < 0 ||
	    jdoc_digest(obj, "digest", &d.digest) < 0 || jdoc_u64(obj, "size", &d.size) < 0)
		return -EINVAL;
	*ret = d;
	return 0;
}

void jdoc_clean(const char *text, char *ret, size_t ret_size)
{
	size_t n = 0;

	for (; *text && n + 1 < ret_size; text++)
		ret[n++] = (unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f ?
				   '?' : *text;
	ret[n] = 0;
}
