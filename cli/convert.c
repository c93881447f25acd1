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

DEFINE_CLEANUP(struct index_result *, index_result_free, result_freep)
DEFINE_CLEANUP(struct copy *, copy_free, copy_freep)
DEFINE_CLEANUP(struct progress *, progress_free, progress_freep)

struct conversion {
	struct indexing w;
	struct oci_client *c;
	struct oci_ref src, dst;
	struct cli_images images;
	json_t *source;			/* the index of images; of one image: one made for it */
	struct soci_converted *done;	/* one per image that was converted, ndone of them */
	size_t ndone;
	struct soci_converted *list;	/* what the new index of images is told, nlist of them */
	size_t nlist;
};

/* --- one image ----------------------------------------------------------------------- */

static int put_by_digest(struct conversion *v, const struct buf *manifest,
			 struct oci_desc *ret, struct err *err)
{
	struct oci_ref to = v->dst;

	to.tag[0] = '\0';
	to.has_digest = false;
	return oci_manifest_put(v->c, &to, MEDIA_OCI_MANIFEST, manifest->data, manifest->len,
				ret, err);
}

/* The manifest of that digest, rewritten to name index, if not NULL. */
static int rewrite(struct conversion *v, const struct digest *digest,
		   const struct digest *index, struct buf *ret, json_t **ret_annotations,
		   struct err *err)
{
	cleanup_buf struct buf old = BUF_INIT(OCI_MANIFEST_MAX_BYTES);
	struct oci_ref from;
	struct oci_desc desc;
	int r;

	copy_ref_by_digest(&v->src, digest, &from);
	r = oci_manifest_get(v->c, &from, &old, &desc, err);
	return r < 0 ? r : soci_convert_manifest(old.data, old.len, index, ret, ret_annotations,
						 err);
}

static int put_image(struct conversion *v, const struct oci_image *img,
		     struct soci_converted *out, struct err *err)
{
	const struct oci_transfer config = { .from = &v->src, .to = &v->dst, .desc = &img->config };
	cleanup_buf struct buf new = BUF_INIT(OCI_MANIFEST_MAX_BYTES);
	int r = oci_blob_transfer(v->c, &config, NULL, err);

	if (r < 0)
		return err_prefix(err, "image config");
	r = rewrite(v, &img->manifest.digest, &out->index.digest, &new, &out->annotations, err);
	return r < 0 ? r : put_by_digest(v, &new, &out->image, err);
}

/* What the source says of the manifest's platform, or NULL. */
static json_t *stated_platform(const struct conversion *v, const struct digest *manifest)
{
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(v->source, "manifests"), i, entry) {
		json_t *platform = json_object_get(entry, "platform");
		struct digest d;

		if (json_is_object(platform) && jdoc_digest(entry, "digest", &d) == 0 &&
		    digest_is_equal(&d, manifest))
			return platform;
	}
	return NULL;
}

static int find_platform(struct conversion *v, const struct oci_image *img, json_t **ret,
			 struct err *err)
{
	cleanup_buf struct buf config = BUF_INIT(OCI_MANIFEST_MAX_BYTES);
	int r;

	*ret = json_incref(stated_platform(v, &img->manifest.digest));
	if (*ret)
		return 0;
	r = oci_blob_get(v->c, &v->src, &img->config, &config, err);
	return r < 0 ? r : soci_platform_of_config(config.data, config.len, ret, err);
}

static const struct soci_converted *find_done(const struct conversion *v,
					      const struct digest *source)
{
	for (size_t i = 0; i < v->ndone; i++)
		if (digest_is_equal(&v->done[i].source, source))
			return &v->done[i];
	return NULL;
}

static int convert_one(struct conversion *v, const struct oci_image *img, struct err *err)
{
	struct soci_converted *out = &v->done[v->ndone];
	cleanup_(result_freep) struct index_result *res = NULL;
	int r;

	if (find_done(v, &img->manifest.digest))
		return 0;
	r = indexing_run(&v->w, &v->src, img, v->images.n, &v->dst, &res, err);
	if (r == 1)	/* it stays as it is */
		return 0;
	if (r < 0)
		return r;
	v->ndone++;
	out->source = img->manifest.digest;
	out->has_index = true;
	r = put_by_digest(v, &res->manifest, &out->index, err);
	if (r == 0)
		r = put_image(v, img, out, err);
	if (r == 0)
		r = find_platform(v, img, &out->platform, err);
	return r < 0 ? r : indexing_report(&v->w, img, &out->image, res, err);
}

/* --- what the new index of images is told -------------------------------------------- */

/* platform: of the SOCI index, taken. One platform of an image counts once. */
static int add_listed(struct conversion *v, const struct soci_converted *c, json_t *platform,
		      struct err *err)
{
	struct soci_converted *list;

	for (size_t i = 0; i < v->nlist; i++)
		if (digest_is_equal(&v->list[i].source, &c->source) &&
		    soci_platform_is_same(v->list[i].index_platform, platform)) {
			json_decref(platform);
			return 0;
		}
	list = reallocarray(v->list, v->nlist + 1, sizeof(*list));
	if (!list || !platform) {
		v->list = list ? list : v->list;
		json_decref(platform);
		return err_sys(err, ENOMEM, "conversion");
	}
	v->list = list;
	list[v->nlist] = *c;
	list[v->nlist].annotations = json_incref(c->annotations);
	list[v->nlist].platform = json_incref(c->platform);
	list[v->nlist++].index_platform = platform;
	return 0;
}

/* The converted image that stands in an entry of the source, or NULL; its platform there. */
static const struct soci_converted *image_at(const struct conversion *v, const json_t *entry,
					     json_t **ret_platform)
{
	json_t *platform = json_object_get(entry, "platform");
	const struct soci_converted *c = NULL;
	struct digest d;

	if (jdoc_digest(entry, "digest", &d) == 0)
		c = find_done(v, &d);
	if (c)
		*ret_platform = json_is_object(platform) ? platform : c->platform;
	return c;
}

/* The image that the source has for p, if it was converted. */
static const struct soci_converted *find_for(const struct conversion *v,
					     const struct oci_platform *p)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(v->source, "manifests"), i, entry) {
		json_t *platform;
		const struct soci_converted *c = image_at(v, entry, &platform);

		if (c && soci_platform_is_for(platform, p))
			return c;
	}
	return NULL;
}

/* Asked for as text: that is how the SOCI index's platform is spelled. */
static int list_named(struct conversion *v, const char *text, struct err *err)
{
	const struct soci_converted *c;
	struct oci_platform p;
	int r = oci_platform_parse(text, &p, err);

	if (r < 0)
		return r;
	c = find_for(v, &p);
	return c ? add_listed(v, c, soci_platform_json(&p), err) : 0;
}

/* Nothing was asked for: in an index of images this machine's. */
static int list_host(struct conversion *v, struct err *err)
{
	const struct soci_converted *c;
	struct oci_platform p;

	oci_platform_host(&p);
	c = v->images.index.len ? find_for(v, &p) : NULL;
	/* containerd's name for such a machine */
	if (!strcmp(p.arch, "arm64") && !p.variant[0])
		strcpy(p.variant, "v8");
	return c ? add_listed(v, c, soci_platform_json(&p), err) : 0;
}

static int list_wanted(struct conversion *v, struct err *err)
{
	const struct cli_list *platforms = &v->w.registry.platforms;
	int r = platforms->n ? 0 : list_host(v, err);

	for (size_t i = 0; r == 0 && i < platforms->n; i++) {
		cleanup_free char *list = strdup(platforms->v[i]);
		char *rest = list;

		if (!list)
			return err_sys(err, ENOMEM, "conversion");
		while (r == 0 && rest)
			r = list_named(v, strsep(&rest, ","), err);
	}
	return r;
}

/* Each platform that the source lists. */
static int list_all(struct conversion *v, struct err *err)
{
	json_t *entry;
	size_t i;
	int r = 0;

	json_array_foreach(json_object_get(v->source, "manifests"), i, entry) {
		json_t *platform;
		const struct soci_converted *c = image_at(v, entry, &platform);

		if (r == 0 && c)
			r = add_listed(v, c, json_incref(platform), err);
	}
	return r;
}

static bool is_listed(const struct conversion *v, const struct digest *source)
{
	for (size_t i = 0; i < v->nlist; i++)
		if (digest_is_equal(&v->list[i].source, source))
			return true;
	return false;
}

/* One for each image at least: for what it says itself. */
static int make_list(struct conversion *v, struct err *err)
{
	int r = v->w.registry.all_platforms ? list_all(v, err) : list_wanted(v, err);

	for (size_t i = 0; r == 0 && i < v->ndone; i++)
		if (!is_listed(v, &v->done[i].source))
			r = add_listed(v, &v->done[i], json_incref(v->done[i].platform), err);
	return r;
}

/* --- what stays ---------------------------------------------------------------------- */

/* Registries do not take a mix of docker's types and OCI's. */
static int list_docker(struct conversion *v, struct copy *k, const json_t *entry,
		       struct err *err)
{
	cleanup_buf struct buf new = BUF_INIT(OCI_MANIFEST_MAX_BYTES);
	struct soci_converted c = { .has_index = false };
	struct oci_desc desc;
	int r;

	if (jdoc_desc(entry, &desc) < 0 || strcmp(desc.media_type, MEDIA_DOCKER_MANIFEST) != 0 ||
	    !manifest_is_image_entry(entry) || find_done(v, &desc.digest))
		return 0;
	c.source = desc.digest;
	r = rewrite(v, &desc.digest, NULL, &new, &c.annotations, err);
	if (r == 0)
		r = copy_add_manifest(k, new.data, new.len, &c.image, err);
	if (r == 0)
		r = add_listed(v, &c, json_object(), err);
	soci_converted_done(&c);
	return r;
}

/* An entry of the old index of images that stays. */
static int plan_kept(struct copy *k, const json_t *entry, struct err *err)
{
	const char *os = jdoc_str(json_object_get(entry, "platform"), "os");
	struct oci_desc desc;

	if (jdoc_desc(entry, &desc) < 0)
		return err_set(err, ERR_CORRUPT, EINVAL, "a malformed entry in the image index");
	if (!manifest_is_type(desc.media_type))
		return copy_add_blob(k, &desc, err);
	return os && !strcmp(os, "unknown") ? copy_add_bare(k, &desc.digest, err) :
					      copy_add(k, &desc.digest, err);
}

/* What the new index of images keeps of the old one, with the SOCI indexes v1 of it. */
static int copy_others(struct conversion *v, struct soci_place **ret, struct err *err)
{
	cleanup_(progress_freep) struct progress *progress = progress_new("blob");
	const struct copy_opts opts = { .client = &v->w.client, .threads = v->w.opts.threads,
					.chunk_bytes = v->w.opts.chunk_bytes,
					.watch = progress_watch(progress) };
	const json_t *list = json_object_get(v->source, "manifests"), *entry;
	cleanup_(copy_freep) struct copy *k = NULL;
	struct copy_stats stats;
	size_t i;
	int r = copy_new(v->c, &v->src, &v->dst, &k, err);

	json_array_foreach(list, i, entry)
		if (r == 0)
			r = list_docker(v, k, entry, err);
	if (r == 0)
		r = soci_convert_plan(v->source, v->list, (uint32_t)v->nlist, ret, err);
	json_array_foreach(list, i, entry)
		if (r == 0 && (*ret)[i].fate == SOCI_KEPT)
			r = plan_kept(k, entry, err);
	return r < 0 ? r : copy_run(k, &opts, &stats, err);
}

/* --- all of it ----------------------------------------------------------------------- */

/* An index of images for one that has none, with what a layout says of it. */
static int make_source(struct conversion *v, struct err *err)
{
	const struct oci_desc *image = &v->images.v[0]->manifest;
	cleanup_json json_t *entry = NULL;
	char digest[DIGEST_TEXT_SIZE];
	json_t *o;
	int r = oci_layout_entry(v->c, &v->src, &entry, err);

	if (r < 0)
		return r;
	digest_format(&image->digest, digest);
	o = json_is_object(entry) ? json_copy(entry) : json_object();
	v->source = json_pack("{s:i, s:[o]}", "schemaVersion", 2, "manifests", o);
	if (!v->source || json_object_set_new(o, "digest", json_string(digest)) < 0 ||
	    json_object_set_new(o, "size", json_integer((json_int_t)image->size)) < 0 ||
	    json_object_set_new(o, "mediaType", json_string(image->media_type)) < 0)
		return err_sys(err, ENOMEM, "conversion");
	return 0;
}

static int get_source(struct conversion *v, struct err *err)
{
	const struct buf *index = &v->images.index;

	return index->len ? jdoc_parse(index->data, index->len, "image index", &v->source, err) :
			    make_source(v, err);
}

static int put_index(struct conversion *v, struct oci_desc *ret, struct err *err)
{
	cleanup_buf struct buf out = BUF_INIT(OCI_MANIFEST_MAX_BYTES);
	cleanup_free struct soci_place *places = NULL;
	int r = make_list(v, err);

	if (r == 0)
		r = copy_others(v, &places, err);
	if (r == 0)
		r = soci_convert_index(v->source, places, v->list, (uint32_t)v->nlist, &out, err);
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
		r = cli_registry_one_user(&v->w.registry, &v->src, &v->dst, err);
	if (r == 0)
		r = oci_client_new(&v->w.client, NULL, &v->c, err);
	if (r == 0)
		r = cli_images_resolve(v->c, &v->w.registry, &v->src, false, &v->images, err);
	if (r == 0 && v->dst.is_layout)
		r = oci_layout_create(v->dst.dir, err);
	cli_layout_tag(&v->dst);
	if (r == 0)
		r = indexing_check(&v->w, v->c, &v->src, &v->images, &v->dst, err);
	if (r < 0)
		return r;
	v->done = calloc(v->images.n, sizeof(*v->done));
	if (!v->done)
		return err_sys(err, ENOMEM, "conversion");
	r = get_source(v, err);
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
	for (size_t i = 0; i < v->ndone; i++)
		soci_converted_done(&v->done[i]);
	for (size_t i = 0; i < v->nlist; i++)
		soci_converted_done(&v->list[i]);
	free(v->done);
	free(v->list);
	json_decref(v->source);
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
