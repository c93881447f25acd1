/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layer.c - a layer without a zTOC: fetch it whole, once, and index it on the way.
 *
 * Indexers leave small layers out (below 10 MiB by default). Their bytes and a zTOC built
 * here serve them like any other layer; the layer's digest and its diff_id must be those
 * of the manifest and the config before either is kept.
 */
#include "daemon/resolve/resolve.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "ztoc/build.h"

DEFINE_CLEANUP(struct ztoc_builder *, ztoc_builder_free, ztoc_builder_freep)
DEFINE_CLEANUP(struct oci_repo *, oci_repo_put, oci_repo_putp)

struct download {
	struct ztoc_builder *builder;
	int blob_fd;
	bool done;
	struct err *err;	/* first failure, ours or the client's */
	int result;
};

static int take_data(void *arg, const uint8_t *data, size_t len)
{
	struct download *d = arg;
	int r = io_write_full(d->blob_fd, data, len);

	if (r < 0)
		err_sys(d->err, -r, "cannot write the layer into the staging folder");
	else
		r = ztoc_builder_feed(d->builder, data, len, d->err);
	d->result = r;
	return r;
}

static void take_done(void *arg, const struct err *err)
{
	struct download *d = arg;

	if (err && d->result == 0) {
		*d->err = *err;
		d->result = -err->num;
	}
	d->done = true;
}

static int download_layer(struct oci_client *c, const struct resolve_opts *opts,
			  const struct oci_layer *layer, struct download *d)
{
	const struct oci_read read = { .on_data = take_data, .on_done = take_done, .arg = d };
	cleanup_(oci_repo_putp) struct oci_repo *repo = NULL;
	struct oci_req *req;
	int r = oci_repo_get(c, &opts->ref, &repo, d->err);

	if (r == 0)
		r = oci_blob_read(repo, &layer->desc, 0, UINT64_MAX, &read, &req, d->err);
	if (r == 0)
		r = oci_client_wait(c, &d->done, d->err);
	return r < 0 ? r : d->result;
}

/* The bytes and the index of them are kept only if they are what the image says. */
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

static int keep_ztoc(int dirfd, uint32_t number, const struct ztoc_built *built,
		     struct err *err)
{
	char name[32];
	int r;

	snprintf(name, sizeof(name), "%u.ztoc", number);
	r = io_write_file_atomic(dirfd, name, built->bytes, built->len, 0600);
	return r < 0 ? err_sys(err, -r, "cannot write %s in the staging folder", name) : 0;
}

int resolve_layer_build(struct oci_client *c, const struct resolve_opts *opts, uint32_t number,
			const struct oci_layer *layer, struct image_record_layer *ret,
			struct err *err)
{
	const struct ztoc_build_opts bopts = {
		.compression = layer->kind == OCI_LAYER_GZIP ? ZTOC_GZIP : ZTOC_UNCOMPRESSED,
		.lenient = true,
	};
	cleanup_(ztoc_builder_freep) struct ztoc_builder *builder = NULL;
	struct err scratch = ERR_INIT, *why = err ? err : &scratch;
	struct ztoc_built built = { 0 };
	char name[32];
	int r = ztoc_builder_new(&bopts, &builder, why);

	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "%u.blob", number);
	cleanup_close int fd = openat(opts->staging_dirfd, name,
				      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(why, errno, "cannot create %s in the staging folder", name);
	struct download d = { .builder = builder, .blob_fd = fd, .err = why };

	r = download_layer(c, opts, layer, &d);
	if (r == 0)
		r = ztoc_builder_finish(builder, &built, why);
	if (r == 0)
		r = check_built(layer, &built, why);
	if (r == 0 && fdatasync(fd) < 0)
		r = err_sys(why, errno, "cannot write the layer into the staging folder");
	if (r == 0)
		r = keep_ztoc(opts->staging_dirfd, number, &built, why);
	if (r == 0) {
		ret->ztoc = built.ztoc;
		ret->ztoc_size = built.len;
		ret->local = true;
	}
	free(built.bytes);
	return r < 0 ? err_prefix(why, "layer %u", number) : 0;
}
