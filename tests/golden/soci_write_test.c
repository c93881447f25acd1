/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * soci_write_test.c - every SOCI index manifest of the fixtures, taken apart with jansson and
 * written again, is the same bytes; so are the prefetch lists.
 */
#include "tests/unit/tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/io.h"
#include "oci/soci_write.h"

#define MAX_LAYERS 64

static const char *text(json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static void take_digest(const char *s, struct digest *ret)
{
	if (!s || digest_parse(s, strlen(s), ret) < 0)
		bail("a digest of the fixture does not parse");
}

static void take_desc(json_t *o, struct oci_desc *ret)
{
	snprintf(ret->media_type, sizeof(ret->media_type), "%s", text(o, "mediaType"));
	take_digest(text(o, "digest"), &ret->digest);
	ret->size = (uint64_t)json_integer_value(json_object_get(o, "size"));
}

static void take_layer(json_t *o, struct soci_index_layer *ret)
{
	json_t *a = json_object_get(o, "annotations");
	const char *span = text(a, "com.amazon.soci.span-size");

	take_desc(o, &ret->desc);
	ret->is_prefetch = !strcmp(ret->desc.media_type, SOCI_PREFETCH_TYPE);
	take_digest(text(a, "com.amazon.soci.image-layer-digest"), &ret->layer_digest);
	ret->layer_media_type = text(a, "com.amazon.soci.image-layer-mediaType");
	ret->disable_xattrs = text(a, "com.amazon.soci.disable-xattrs") != NULL;
	ret->span_size = span ? strtoull(span, NULL, 10) : 0;
}

static bool is_soci_index(json_t *doc)
{
	const char *type = text(json_object_get(doc, "config"), "mediaType");

	return type && strstr(type, "soci.index");
}

static int rewrite_index(json_t *doc, struct buf *out)
{
	struct soci_index_layer layers[MAX_LAYERS] = { 0 };
	struct soci_index_model m = { .layers = layers };
	json_t *array = json_object_get(doc, "layers"), *subject = json_object_get(doc, "subject");
	const char *tool = text(json_object_get(doc, "annotations"),
				"com.amazon.soci.build-tool-identifier");

	m.version = subject ? SOCI_INDEX_V1 : SOCI_INDEX_V2;
	m.compat = !strcmp(tool, soci_build_tool(SOCI_COMPAT_0_1)) ? SOCI_COMPAT_0_1 :
								      SOCI_COMPAT_0_2;
	m.nlayers = (uint32_t)json_array_size(array);
	if (m.nlayers > MAX_LAYERS)
		bail("too many layers in a fixture");
	for (uint32_t i = 0; i < m.nlayers; i++)
		take_layer(json_array_get(array, i), &layers[i]);
	if (subject)
		take_desc(subject, &m.subject);
	return soci_index_write(&m, out);
}

static int rewrite_prefetch(json_t *doc, struct buf *out)
{
	struct soci_span_range r[MAX_LAYERS];
	json_t *array = json_object_get(doc, "prefetch_spans");
	uint32_t n = (uint32_t)json_array_size(array);

	if (n > MAX_LAYERS)
		bail("too many ranges in a fixture");
	for (uint32_t i = 0; i < n; i++) {
		json_t *o = json_array_get(array, i);

		r[i].start = (uint32_t)json_integer_value(json_object_get(o, "start_span"));
		r[i].end = (uint32_t)json_integer_value(json_object_get(o, "end_span"));
	}
	return soci_prefetch_write(r, n, out);
}

static int check_dir(const char *rel)
{
	DIR *dir = opendir(tap_src(rel));
	struct dirent *d;
	int found = 0;

	if (!dir)
		bail("no %s", rel);
	while ((d = readdir(dir))) {
		struct buf in = BUF_INIT(64 << 10), out = BUF_INIT(64 << 10);
		json_t *doc = NULL;
		int r = -ENOENT;

		if (d->d_name[0] != '.' && io_read_file(dirfd(dir), d->d_name, &in) == 0)
			doc = json_loadb((char *)in.data, in.len, 0, NULL);
		if (doc && is_soci_index(doc))
			r = rewrite_index(doc, &out);
		else if (doc && json_object_get(doc, "prefetch_spans"))
			r = rewrite_prefetch(doc, &out);
		if (r != -ENOENT) {
			found++;
			ok(r == 0 && out.len == in.len && !memcmp(out.data, in.data, in.len),
			   "%s/%s is written as it was", rel, d->d_name);
		}
		json_decref(doc);
		buf_done(&in);
		buf_done(&out);
	}
	closedir(dir);
	return found;
}

static void test_prefetch_merge(void)
{
	struct soci_span_range r[] = { { 9, 9 }, { 0, 0 }, { 1, 1 }, { 3, 5 }, { 4, 4 } };
	cleanup_buf struct buf out = { 0 };

	is_int(soci_prefetch_write(r, 5, &out), 0, "ranges are written");
	is_str((char *)out.data,
	       "{\"version\":\"1.0\",\"prefetch_spans\":[{\"start_span\":0,\"end_span\":1},"
	       "{\"start_span\":3,\"end_span\":5},{\"start_span\":9,\"end_span\":9}]}",
	       "sorted, and merged where they touch or overlap");
	is_int(soci_prefetch_write(r, 0, &out), -EINVAL, "an empty list is refused");
}

int main(void)
{
	int n = 0;

	n += check_dir("tests/fixtures/soci/index/soci-0.4.1-default");
	n += check_dir("tests/fixtures/soci/index/soci-0.4.1-smallspan");
	n += check_dir("tests/fixtures/soci/index/soci-head-default");
	n += check_dir("tests/fixtures/soci/index/soci-head-smallspan");
	n += check_dir("tests/fixtures/soci/v2/nodot/blobs/sha256");
	ok(n >= 30, "all fixtures were seen (%d)", n);
	test_prefetch_merge();
	return tap_done();
}
