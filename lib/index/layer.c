/* SPDX-License-Identifier: GPL-2.0-or-later */
/* layer.c - see layer.h. */
#include "index/layer.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

DEFINE_CLEANUP(struct ztoc_builder *, ztoc_builder_free, ztoc_builder_freep)
DEFINE_CLEANUP(struct oci_repo *, oci_repo_put, oci_repo_putp)

struct pass {
	const struct oci_layer *layer;
	const struct index_layer_opts *opts;
	struct ztoc_builder *builder;
	uint64_t bytes;
	bool done;
	struct err *err;	/* first failure, ours or the client's */
	int result;
};

/* The media type decides; bytes that are plainly something else are said to be so. */
static int check_first(const struct oci_layer *layer, const uint8_t *data, size_t len,
		       struct err *err)
{
	bool is_gzip = len >= 2 && data[0] == 0x1f && data[1] == 0x8b;
	bool is_zstd = len >= 4 && !memcmp(data, "\x28\xb5\x2f\xfd", 4);
	bool is_tar = len >= 263 && !memcmp(data + 257, "ustar", 5);
	const char *is = is_gzip ? "gzip" : is_zstd ? "zstd" : is_tar ? "a plain tar" : NULL;

	if (!is || (layer->kind == OCI_LAYER_GZIP ? is_gzip : is_tar))
		return 0;
	return err_set(err, ERR_CORRUPT, EINVAL,
		       "mislabelled: its bytes are %s, but its media type is %s", is,
		       layer->desc.media_type);
}

static int take_data(void *arg, const uint8_t *data, size_t len)
{
	struct pass *p = arg;
	int r = p->bytes ? 0 : check_first(p->layer, data, len, p->err);

	if (r == 0 && p->opts->blob_fd >= 0) {
		r = io_write_full(p->opts->blob_fd, data, len);
		if (r < 0)
			err_sys(p->err, -r, "cannot keep the layer's bytes");
	}
	if (r == 0)
		r = ztoc_builder_feed(p->builder, data, len, p->err);
	p->bytes += len;
	if (r == 0 && p->opts->progress) {
		r = p->opts->progress(p->opts->arg, p->bytes);
		if (r < 0)
			err_set(p->err, ERR_SYSTEM, -r, "interrupted");
	}
	p->result = r;
	return r;
}

static void take_done(void *arg, const struct err *err)
{
	struct pass *p = arg;

	if (err && p->result == 0) {
		*p->err = *err;
		p->result = -err->num;
	}
	p->done = true;
}

static int read_layer(struct oci_client *c, const struct oci_ref *ref,
		      const struct oci_layer *layer, struct pass *p)
{
	const struct oci_read read = { .on_data = take_data, .on_done = take_done, .arg = p };
	cleanup_(oci_repo_putp) struct oci_repo *repo = NULL;
	struct err e = ERR_INIT;
	struct oci_req *req;
	int r = oci_repo_get(c, ref, &repo, p->err);

	if (r == 0)
		r = oci_blob_read(repo, &layer->desc, 0, UINT64_MAX, &read, &req, p->err);
	if (r < 0)
		return r;
	r = oci_client_wait(c, &p->done, &e);
	if (r < 0 && !p->done) {
		oci_req_cancel(req);	/* done() comes at once */
		*p->err = e;
	}
	return r < 0 ? r : p->result;
}

/* The zTOC is kept only if the bytes it was made of are what the image says. */
static int check_built(const struct oci_layer *layer, const struct ztoc_built *built,
		       struct err *err)
{
	if (!digest_is_equal(&built->layer, &layer->desc.digest))
		return err_set(err, ERR_CORRUPT, EBADMSG,
			       "its bytes have another sha256 than the manifest says");
	if (!digest_is_equal(&built->diff_id, &layer->diff_id))
		return err_set(err, ERR_CORRUPT, EBADMSG,
			       "its tar has another sha256 (diff ID) than the config says");
	return 0;
}

int index_layer_build(struct oci_client *c, const struct oci_ref *ref,
		      const struct oci_layer *layer, const struct index_layer_opts *opts,
		      struct ztoc_built *ret, struct err *err)
{
	cleanup_(ztoc_builder_freep) struct ztoc_builder *builder = NULL;
	struct err scratch = ERR_INIT, *why = err ? err : &scratch;
	struct ztoc_build_opts bopts = opts->build;
	struct ztoc_built built;
	int r;

	if (layer->kind != OCI_LAYER_GZIP && layer->kind != OCI_LAYER_TAR)
		return err_set(why, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "its type is %s: a zTOC can index gzip and plain tar layers only",
			       layer->desc.media_type);
	bopts.compression = layer->kind == OCI_LAYER_GZIP ? ZTOC_GZIP : ZTOC_UNCOMPRESSED;
	r = ztoc_builder_new(&bopts, &builder, why);
	if (r < 0)
		return r;
	struct pass p = { .layer = layer, .opts = opts, .builder = builder, .err = why };

	r = read_layer(c, ref, layer, &p);
	if (r == 0)
		r = ztoc_builder_finish(builder, &built, why);
	if (r < 0)
		return r;
	r = check_built(layer, &built, why);
	if (r < 0) {
		free(built.bytes);
		return r;
	}
	*ret = built;
	return 0;
}
