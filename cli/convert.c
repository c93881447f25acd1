/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * convert.c - `lazyerofs convert`: an image that names its SOCI index (v2).
 *
 * Per image: zTOCs and layers in one pass, the index, config, then its new manifest; at the
 * end, under the tag of the destination, an index of images. Platforms that are not
 * converted come along as they are.
 */
#include "cli/registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/indexing.h"
#include "cli/progress.h"
#include "index/copy.h"
#include "oci/json.h"
#include "oci/manifest.h"
#include "oci/push.h"
#include "oci/soci_convert.h"
#include "oci/transfer.h"

#define MANIFEST_MAX_BYTES (4u << 20)

DEFINE_CLEANUP(struct index_result *, index_result_free, result_freep)
DEFINE_CLEANUP(struct copy *, copy_free, copy_freep)
DEFINE_CLEANUP(struct progress *, progress_free, progress_freep)

struct conversion {
	struct indexing w;
	struct oci_client *c;
	struct oci_ref src, dst;
	struct cli_images images;
	struct soci_converted *done;	/* one per image that was converted, ndone of them */
	struct digest *replaced;
	size_t ndone;
};

static int put_by_digest(struct conversion *v, const struct buf *manifest,
			 struct oci_desc *ret, struct err *err)
{
	struct oci_ref to = v->dst;

	to.tag[0] = '\0';
	to.has_digest = false;
	return oci_manifest_put(v->c, &to, MEDIA_OCI_MANIFEST, manifest->data, manifest->len,
				ret, err);
}

/* The image's manifest, rewritten to name index. */
static int put_image(struct conversion *v, const struct oci_image *img,
		     const struct oci_desc *index, struct oci_desc *ret, struct err *err)
{
	cleanup_buf struct buf old = BUF_INIT(MANIFEST_MAX_BYTES), new = BUF_INIT(MANIFEST_MAX_BYTES);
	struct oci_ref from;
	struct oci_desc desc;
	int r;

	copy_ref_by_digest(&v->src, &img->manifest.digest, &from);
	r = oci_manifest_get(v->c, &from, &old, &desc, err);
	if (r == 0)
		r = soci_convert_manifest(old.data, old.len, &index->digest, &new, err);
	return r < 0 ? r : put_by_digest(v, &new, ret, err);
}

static int put_config(struct conversion *v, const struct oci_image *img, struct err *err)
{
	const struct oci_transfer t = { .from = &v->src, .to = &v->dst, .desc = &img->config };
	int r = oci_blob_transfer(v->c, &t, NULL, err);

	return r < 0 ? err_prefix(err, "image config") : 0;
}

static int convert_one(struct conversion *v, const struct oci_image *img, struct err *err)
{
	struct soci_converted *out = &v->done[v->ndone];
	cleanup_(result_freep) struct index_result *res = NULL;
	int r = indexing_run(&v->w, &v->src, img, v->images.n, &v->dst, &res, err);

	if (r == 1)	/* it stays as it is */
		return 0;
	if (r == 0)
		r = put_by_digest(v, &res->manifest, &out->index, err);
	if (r == 0)
		r = put_config(v, img, err);
	if (r == 0)
		r = put_image(v, img, &out->index, &out->image, err);
	if (r < 0)
		return r;
	out->os = img->platform.os;
	out->arch = img->platform.arch;
	out->variant = img->platform.variant;
	v->replaced[v->ndone++] = img->manifest.digest;
	return indexing_report(&v->w, img, &out->image, res, err);
}

static bool is_replaced(const struct conversion *v, const struct digest *d)
{
	for (size_t i = 0; i < v->ndone; i++)
		if (digest_is_equal(&v->replaced[i], d))
			return true;
	return false;
}

/* One entry of the old index of images, unless its image was converted. */
static int plan_other(struct conversion *v, struct copy *k, const json_t *o, struct err *err)
{
	const char *of = jdoc_annotation(o, "com.amazon.soci.image-manifest-digest");
	const char *os = jdoc_str(json_object_get(o, "platform"), "os");
	struct digest image;
	struct oci_desc desc;

	if (jdoc_desc(o, &desc) < 0)
		return err_set(err, ERR_CORRUPT, EINVAL, "a malformed entry in the image index");
	/* The index of an image that is converted anew goes with the old one. */
	if (!of || digest_parse(of, strlen(of), &image) < 0)
		image = desc.digest;
	if (is_replaced(v, &desc.digest) || is_replaced(v, &image))
		return 0;
	return os && !strcmp(os, "unknown") ? copy_add_bare(k, &desc.digest, err) :
					      copy_add(k, &desc.digest, err);
}

/* What the new index of images keeps of the old one, with the SOCI indexes v1 of it. */
static int copy_others(struct conversion *v, struct err *err)
{
	cleanup_(progress_freep) struct progress *progress = progress_new("blob");
	const struct copy_opts opts = { .client = &v->w.client, .threads = v->w.opts.threads,
					.chunk_bytes = v->w.opts.chunk_bytes,
					.watch = progress_watch(progress) };
	cleanup_json json_t *doc = NULL;
	cleanup_(copy_freep) struct copy *k = NULL;
	struct copy_stats stats;
	const json_t *list;
	int r = jdoc_parse(v->images.index.data, v->images.index.len, "image index", &doc, err);

	if (r == 0)
		r = copy_new(v->c, &v->src, &v->dst, &k, err);
	list = json_object_get(doc, "manifests");
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
		r = plan_other(v, k, json_array_get(list, i), err);
	return r < 0 ? r : copy_run(k, &opts, &stats, err);
}

static int put_index(struct conversion *v, struct oci_desc *ret, struct err *err)
{
	cleanup_buf struct buf out = BUF_INIT(MANIFEST_MAX_BYTES);
	const struct buf *old = &v->images.index;
	int r = old->len ? copy_others(v, err) : 0;

	if (r == 0)
		r = soci_convert_index(old->len ? old->data : NULL, old->len, v->replaced, v->done,
				       (uint32_t)v->ndone, &out, err);
	return r < 0 ? r : oci_manifest_put(v->c, &v->dst, MEDIA_OCI_INDEX, out.data, out.len, ret,
					    err);
}

static int run(struct conversion *v, const char *src, const char *dst, struct err *err)
{
	char text[DIGEST_TEXT_SIZE];
	struct oci_desc top;
	int r = oci_ref_parse(src, &v->src, err);

	if (r == 0)
		r = oci_ref_parse(dst, &v->dst, err);
	if (r == 0 && v->dst.has_digest)
		return err_set(err, ERR_UNSUPPORTED, EINVAL,
			       "%s: the digest of what will be made cannot be known", dst);
	if (r == 0)
		r = oci_client_new(&v->w.client, NULL, &v->c, err);
	if (r == 0)
		r = cli_images_resolve(v->c, &v->w.registry, &v->src, false, &v->images, err);
	if (r == 0 && v->dst.is_layout)
		r = cli_layout_prepare(&v->dst, err);
	if (r < 0)
		return r;
	v->done = calloc(v->images.n, sizeof(*v->done));
	v->replaced = calloc(v->images.n, sizeof(*v->replaced));
	if (!v->done || !v->replaced)
		return err_sys(err, ENOMEM, "conversion");
	for (size_t i = 0; r == 0 && i < v->images.n; i++)
		r = convert_one(v, v->images.v[i], err);
	if (r == 0)
		r = put_index(v, &top, err);
	if (r < 0)
		return r;
	digest_format(&top.digest, text);
	if (!v->w.json)
		printf("image index  %s\n", text);
	return 0;
}

static void conversion_done(struct conversion *v)
{
	cli_images_done(&v->images);
	oci_client_free(v->c);
	free(v->done);
	free(v->replaced);
	indexing_done(&v->w);
}

int cmd_convert(int argc, char **argv)
{
	struct conversion v = { .w = INDEXING_INIT(SOCI_INDEX_V2) };
	const struct cli_opt opts[] = { INDEXING_OPTS(&v.w), INDEXING_COPY_OPTS(&v.w),
					CLI_PLATFORM_OPTS(&v.w.registry),
					CLI_REGISTRY_OPTS(&v.w.registry), CLI_OPT_END };
	const struct cli_usage usage = {
		.command = "convert", .args = "SRC DST", .min_args = 2, .max_args = 2,
		.text = "Make of SRC an image DST with the same layers that names its SOCI index\n"
			"(v2). Each is a registry reference or oci:DIR[:TAG]; a layout that is not\n"
			"there is made. Other platforms of SRC come along as they are.",
		.opts = opts,
	};
	struct cli_args args;
	struct err err = ERR_INIT;
	int rc = cli_parse(&usage, argc, argv, &args);

	if (rc < 0)
		rc = indexing_begin(&v.w, usage.command);
	v.w.opts.copy_layers = true;
	if (rc < 0)
		rc = indexing_end(&v.w, run(&v, args.v[0], args.v[1], &err), &err);
	conversion_done(&v);
	return rc;
}
