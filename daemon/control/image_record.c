/* SPDX-License-Identifier: GPL-2.0-or-later */
/* image_record.c - see image_record.h. Any thread. */
#include "daemon/control/image_record.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/map.h"

#define cleanup_json cleanup_(json_decrefp)

int image_record_new(uint32_t nlayers, struct image_record **ret, struct err *err)
{
	struct image_record *rec;

	if (nlayers > IMAGE_RECORD_MAX_LAYERS)
		return err_set(err, ERR_UNSUPPORTED, E2BIG, "%u layers, at most %u are served",
			       nlayers, IMAGE_RECORD_MAX_LAYERS);
	rec = calloc(1, sizeof(*rec));
	if (!rec)
		return err_sys(err, ENOMEM, "image record");
	rec->layers = calloc(nlayers ? nlayers : 1, sizeof(*rec->layers));
	if (!rec->layers) {
		free(rec);
		return err_sys(err, ENOMEM, "image record");
	}
	rec->nlayers = nlayers;
	*ret = rec;
	return 0;
}

void image_record_free(struct image_record *rec)
{
	if (!rec)
		return;
	free(rec->layers);
	free(rec);
}

/* --- writing ----------------------------------------------------------------------- */

static json_t *digest_json(const struct digest *d)
{
	char text[DIGEST_TEXT_SIZE];

	digest_format(d, text);
	return json_string(text);
}

static json_t *desc_json(const struct oci_desc *d)
{
	return json_pack("{s:s, s:o, s:I}", "mediaType", d->media_type, "digest",
			 digest_json(&d->digest), "size", (json_int_t)d->size);
}

static json_t *layers_json(const struct image_record *rec)
{
	json_t *array = json_array();

	for (uint32_t i = 0; array && i < rec->nlayers; i++) {
		const struct image_record_layer *l = &rec->layers[i];
		json_t *o = desc_json(&l->desc);

		if (!o || json_object_set_new(o, "ztoc", digest_json(&l->ztoc)) < 0 ||
		    json_object_set_new(o, "ztoc_size", json_integer((json_int_t)l->ztoc_size)) < 0 ||
		    json_object_set_new(o, "local", json_boolean(l->local)) < 0 ||
		    json_array_append(array, o) < 0) {
			json_decref(o);
			json_decref(array);
			return NULL;
		}
		json_decref(o);
	}
	return array;
}

int image_record_encode(const struct image_record *rec, struct buf *out, struct err *err)
{
	cleanup_json json_t *o = json_pack(
		"{s:i, s:s, s:s, s:o, s:o, s:o}", "format", 1, "reference", rec->reference,
		"platform", rec->platform, "manifest", desc_json(&rec->manifest), "index",
		rec->has_index ? digest_json(&rec->index) : json_null(), "layers",
		layers_json(rec));
	cleanup_free char *text = o ? json_dumps(o, JSON_INDENT(1)) : NULL;
	int r;

	if (!text)
		return err_set(err, ERR_SYSTEM, ENOMEM,
			       "cannot write the image record (no memory, or a reference that is "
			       "not UTF-8)");
	r = buf_add_str(out, text);
	if (r == 0)
		r = buf_add(out, "\n", 1);
	return r < 0 ? err_sys(err, -r, "image record") : 0;
}

/* --- reading ----------------------------------------------------------------------- */

static int bad(struct err *err, const char *field, const char *want)
{
	return err_set(err, ERR_CORRUPT, EINVAL, "image record: \"%s\" is not %s", field, want);
}

static int take_text(json_t *o, const char *key, char *ret, size_t size, struct err *err)
{
	json_t *v = json_object_get(o, key);

	if (!json_is_string(v) || json_string_length(v) >= size ||
	    strlen(json_string_value(v)) != json_string_length(v))
		return bad(err, key, "a text of sensible length");
	memcpy(ret, json_string_value(v), json_string_length(v) + 1);
	return 0;
}

static int take_digest(json_t *o, const char *key, struct digest *ret, struct err *err)
{
	json_t *v = json_object_get(o, key);

	if (!json_is_string(v) ||
	    digest_parse(json_string_value(v), json_string_length(v), ret) < 0)
		return bad(err, key, "a sha256 digest");
	return 0;
}

static int take_size(json_t *o, const char *key, uint64_t *ret, struct err *err)
{
	json_t *v = json_object_get(o, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return bad(err, key, "a size");
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

static int take_desc(json_t *o, struct oci_desc *ret, struct err *err)
{
	int r;

	if (!json_is_object(o))
		return bad(err, "manifest, layers[]", "an object");
	r = take_text(o, "mediaType", ret->media_type, sizeof(ret->media_type), err);
	if (r == 0)
		r = take_digest(o, "digest", &ret->digest, err);
	return r < 0 ? r : take_size(o, "size", &ret->size, err);
}

static int take_layer(json_t *o, struct image_record_layer *ret, struct err *err)
{
	int r = take_desc(o, &ret->desc, err);

	if (r == 0)
		r = take_digest(o, "ztoc", &ret->ztoc, err);
	if (r == 0)
		r = take_size(o, "ztoc_size", &ret->ztoc_size, err);
	if (r < 0)
		return r;
	if (!json_is_boolean(json_object_get(o, "local")))
		return bad(err, "local", "a boolean");
	ret->local = json_is_true(json_object_get(o, "local"));
	return 0;
}

static int take_record(json_t *o, struct image_record *rec, struct err *err)
{
	json_t *layers = json_object_get(o, "layers"), *index = json_object_get(o, "index");
	int r = take_text(o, "reference", rec->reference, sizeof(rec->reference), err);

	if (r == 0)
		r = take_text(o, "platform", rec->platform, sizeof(rec->platform), err);
	if (r == 0)
		r = take_desc(json_object_get(o, "manifest"), &rec->manifest, err);
	if (r == 0 && !json_is_null(index)) {
		r = take_digest(o, "index", &rec->index, err);
		rec->has_index = r == 0;
	}
	for (uint32_t i = 0; r == 0 && i < rec->nlayers; i++)
		r = take_layer(json_array_get(layers, i), &rec->layers[i], err);
	return r;
}

int image_record_decode(const void *data, size_t len, struct image_record **ret,
			struct err *err)
{
	json_error_t why;
	struct image_record *rec;
	json_t *layers;
	int r;

	if (len > IMAGE_RECORD_MAX_BYTES)
		return err_set(err, ERR_CORRUPT, EFBIG, "image record: %zu bytes", len);
	cleanup_json json_t *o = json_loadb(data, len, JSON_REJECT_DUPLICATES, &why);

	if (!o)
		return err_set(err, ERR_CORRUPT, EINVAL, "image record: %s at line %d", why.text,
			       why.line);
	if (!json_is_integer(json_object_get(o, "format")) ||
	    json_integer_value(json_object_get(o, "format")) != 1)
		return bad(err, "format", "1: the record comes from another version");
	layers = json_object_get(o, "layers");
	if (!json_is_array(layers) || json_array_size(layers) > IMAGE_RECORD_MAX_LAYERS)
		return bad(err, "layers", "an array of sensible length");
	r = image_record_new((uint32_t)json_array_size(layers), &rec, err);
	if (r < 0)
		return r;
	r = take_record(o, rec, err);
	if (r < 0) {
		image_record_free(rec);
		return r;
	}
	*ret = rec;
	return 0;
}

void image_record_id(const struct image_record *rec, char ret[DIGEST_HEX_LEN + 1])
{
	static const char prefix[] = "lazyerofs image";
	uint32_t version = MAP_LAYOUT_VERSION;
	struct digest_ctx ctx;
	struct digest d;

	digest_init(&ctx);
	digest_update(&ctx, prefix, sizeof(prefix));
	digest_update(&ctx, (uint8_t[4]){ (uint8_t)version, (uint8_t)(version >> 8),
					  (uint8_t)(version >> 16), (uint8_t)(version >> 24) }, 4);
	digest_update(&ctx, rec->manifest.digest.sha256, DIGEST_BYTES);
	for (uint32_t i = 0; i < rec->nlayers; i++)
		digest_update(&ctx, rec->layers[i].ztoc.sha256, DIGEST_BYTES);
	digest_final(&ctx, &d);
	digest_format_hex(&d, ret);
}
