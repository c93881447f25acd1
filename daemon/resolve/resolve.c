/* SPDX-License-Identifier: GPL-2.0-or-later */
/* resolve.c - see resolve.h. */
#include "daemon/resolve/resolve.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

/* A zTOC costs 32 KiB per span and some 200 bytes per file: this is a 60 GB layer. */
#define ZTOC_MAX_BYTES (512ull << 20)

DEFINE_CLEANUP(struct oci_image *, oci_image_free, oci_image_freep)
DEFINE_CLEANUP(struct image_record *, image_record_free, image_record_freep)

void resolve_progress(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("progress ", stdout);
	vprintf(fmt, ap);
	putchar('\n');
	fflush(stdout);
	va_end(ap);
}

static int fetch_ztoc(struct oci_client *c, const struct resolve_opts *opts, uint32_t number,
		      const struct oci_layer *layer, struct image_record_layer *ret,
		      struct err *err)
{
	char name[32];
	int r;

	if (layer->ztoc.size > ZTOC_MAX_BYTES)
		return err_set(err, ERR_UNSUPPORTED, EFBIG,
			       "the zTOC of layer %u is %" PRIu64 " bytes, at most %llu are taken: "
			       "index the image again with a larger span size",
			       number, layer->ztoc.size, ZTOC_MAX_BYTES);
	snprintf(name, sizeof(name), "%u.ztoc", number);
	cleanup_close int fd = openat(opts->staging_dirfd, name,
				      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, errno, "cannot create %s in the staging folder", name);
	r = oci_blob_get_fd(c, &opts->ref, &layer->ztoc, fd, err);
	if (r < 0)
		return err_prefix(err, "zTOC of layer %u", number);
	ret->ztoc = layer->ztoc.digest;
	ret->ztoc_size = layer->ztoc.size;
	ret->local = false;
	return 0;
}

static int resolve_layer(struct oci_client *c, const struct resolve_opts *opts,
			 uint32_t number, const struct oci_layer *layer,
			 struct image_record_layer *ret, struct err *err)
{
	char text[DIGEST_TEXT_SIZE];

	digest_format(&layer->desc.digest, text);
	ret->desc = layer->desc;
	if (resolve_layer_is_cached(opts, layer, ret))
		return 0;
	if (layer->has_ztoc)
		return fetch_ztoc(c, opts, number, layer, ret, err);
	if (layer->kind == OCI_LAYER_ZSTD || layer->kind == OCI_LAYER_OTHER)
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "layer %u (%s) is of type %s: only gzip and plain tar layers can be "
			       "served",
			       number, text, layer->desc.media_type);
	if (opts->refuse_unindexed)
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "layer %u (%s) is not in the SOCI index: index the image with "
			       "--min-layer-size 0, or allow that it is fetched whole",
			       number, text);
	resolve_progress("layer %u of %" PRIu64 " bytes has no zTOC: fetching it whole", number,
			 layer->desc.size);
	return resolve_layer_build(c, opts, number, layer, ret, err);
}

static int write_record(const struct resolve_opts *opts, const struct image_record *rec,
			struct err *err)
{
	cleanup_buf struct buf out = BUF_INIT(IMAGE_RECORD_MAX_BYTES);
	int r = image_record_encode(rec, &out, err);

	if (r < 0)
		return r;
	r = io_write_file_atomic(opts->staging_dirfd, "image.json", out.data, out.len, 0600);
	return r < 0 ? err_sys(err, -r, "cannot write image.json in the staging folder") : 0;
}

static void fill_head(const struct resolve_opts *opts, const struct oci_image *img,
		      struct image_record *rec)
{
	const struct oci_platform *p = &img->platform;

	oci_ref_format(&opts->ref, rec->reference, sizeof(rec->reference));
	snprintf(rec->platform, sizeof(rec->platform), "%s/%s%s%s", p->os, p->arch,
		 p->variant[0] ? "/" : "", p->variant);
	rec->manifest = img->manifest;
	rec->has_index = img->index_found != OCI_INDEX_NONE;
	if (rec->has_index)
		rec->index = img->index.digest;
}

int resolve_image(struct oci_client *c, const struct resolve_opts *opts, struct err *err)
{
	static const char *const found[] = { "none", "given", "named by the manifest",
					     "referrers API", "fallback tag" };
	cleanup_(oci_image_freep) struct oci_image *img = NULL;
	cleanup_(image_record_freep) struct image_record *rec = NULL;
	int r;

	resolve_progress("resolving the reference");
	r = oci_image_resolve(c, &opts->ref, &opts->platform,
			      opts->has_index ? &opts->index : NULL, &img, err);
	if (r < 0)
		return r;
	if (img->index_found == OCI_INDEX_NONE && !opts->build_index)
		return err_set(err, ERR_UNSUPPORTED, ENODATA,
			       "the image has no SOCI index: make one with `lazyerofs create`, or "
			       "mount with --build-index to fetch it whole and index it here");
	resolve_progress("%u layers, SOCI index: %s", img->nlayers, found[img->index_found]);
	r = image_record_new(img->nlayers, &rec, err);
	if (r < 0)
		return r;
	fill_head(opts, img, rec);
	for (uint32_t i = 0; i < img->nlayers; i++) {
		r = resolve_layer(c, opts, i, &img->layers[i], &rec->layers[i], err);
		if (r < 0)
			return r;
	}
	return write_record(opts, rec, err);
}
