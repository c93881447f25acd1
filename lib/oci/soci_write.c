/* SPDX-License-Identifier: GPL-2.0-or-later */
/* soci_write.c - see soci_write.h. Any thread. */
#include "oci/soci_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "oci/gojson.h"

#define OCI_MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define EMPTY_CONFIG_DIGEST                                                              \
	"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

const char *soci_build_tool(enum soci_compat compat)
{
	return compat == SOCI_COMPAT_0_1 ? "AWS SOCI CLI v0.1" : "AWS SOCI CLI v0.2";
}

static int add_desc(struct buf *out, const char *media_type, const struct oci_desc *d)
{
	char text[DIGEST_TEXT_SIZE];
	int r = buf_add_str(out, "{\"mediaType\":");

	if (r == 0)
		r = gojson_string(out, media_type, strlen(media_type));
	digest_format(&d->digest, text);
	return r < 0 ? r :
		       buf_addf(out, ",\"digest\":\"%s\",\"size\":%llu", text,
				(unsigned long long)d->size);
}

static int add_ztoc_annotations(struct buf *out, const struct soci_index_layer *l,
				enum soci_compat compat)
{
	int r = buf_add_str(out, ",\"com.amazon.soci.image-layer-mediaType\":");

	if (r == 0)
		r = gojson_string(out, l->layer_media_type, strlen(l->layer_media_type));
	if (r == 0 && compat != SOCI_COMPAT_0_1)
		r = buf_addf(out, ",\"com.amazon.soci.span-size\":\"%llu\"",
			     (unsigned long long)l->span_size);
	return r;
}

static int add_layer(struct buf *out, const struct soci_index_layer *l,
		     enum soci_compat compat)
{
	char text[DIGEST_TEXT_SIZE];
	int r = add_desc(out, l->is_prefetch ? SOCI_PREFETCH_TYPE : SOCI_LAYER_TYPE, &l->desc);

	digest_format(&l->layer_digest, text);
	if (r == 0)
		r = buf_addf(out, ",\"annotations\":{%s\"com.amazon.soci.image-layer-digest\":\"%s\"",
			     l->disable_xattrs ? "\"com.amazon.soci.disable-xattrs\":\"true\"," :
						 "",
			     text);
	if (r == 0 && !l->is_prefetch)
		r = add_ztoc_annotations(out, l, compat);
	return r < 0 ? r : buf_add_str(out, "}}");
}

int soci_index_write(const struct soci_index_model *m, struct buf *out)
{
	int r = buf_addf(out,
			 "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST_TYPE
			 "\",\"config\":{\"mediaType\":\"%s\",\"digest\":\"" EMPTY_CONFIG_DIGEST
			 "\",\"size\":2},\"layers\":[",
			 m->version == SOCI_INDEX_V1 ? SOCI_INDEX_V1_TYPE : SOCI_INDEX_V2_TYPE);

	for (uint32_t i = 0; r == 0 && i < m->nlayers; i++) {
		if (i)
			r = buf_add_str(out, ",");
		if (r == 0)
			r = add_layer(out, &m->layers[i], m->compat);
	}
	if (r == 0)
		r = buf_add_str(out, "]");
	if (r == 0 && m->version == SOCI_INDEX_V1) {
		r = buf_add_str(out, ",\"subject\":");
		if (r == 0)
			r = add_desc(out, m->subject.media_type, &m->subject);
		if (r == 0)
			r = buf_add_str(out, "}");
	}
	return r < 0 ? r :
		       buf_addf(out,
				",\"annotations\":{\"com.amazon.soci.build-tool-identifier\":"
				"\"%s\"}}",
				soci_build_tool(m->compat));
}

static int range_compare(const void *va, const void *vb)
{
	const struct soci_span_range *a = va, *b = vb;

	return a->start < b->start ? -1 : a->start > b->start;
}

int soci_prefetch_write(struct soci_span_range *ranges, uint32_t n, struct buf *out)
{
	uint32_t kept = 0;
	int r;

	if (n == 0)
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++)
		if (ranges[i].end < ranges[i].start)
			return -EINVAL;
	qsort(ranges, n, sizeof(*ranges), range_compare);
	for (uint32_t i = 1; i < n; i++) {
		struct soci_span_range *last = &ranges[kept];

		if (ranges[i].start <= last->end || ranges[i].start - last->end == 1)
			last->end = ranges[i].end > last->end ? ranges[i].end : last->end;
		else
			ranges[++kept] = ranges[i];
	}
	r = buf_add_str(out, "{\"version\":\"1.0\",\"prefetch_spans\":[");
	for (uint32_t i = 0; r == 0 && i <= kept; i++)
		r = buf_addf(out, "%s{\"start_span\":%u,\"end_span\":%u}", i ? "," : "",
			     ranges[i].start, ranges[i].end);
	return r < 0 ? r : buf_add_str(out, "]}");
}
