/* SPDX-License-Identifier: GPL-2.0-or-later */
/* layer.c - see layer.h. */
#include "index/layer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/transfer.h"

#define HEAD_BYTES 262u		/* to the end of a tar header's "ustar" */

struct pass {
	const struct oci_layer *layer;
	const struct index_layer_opts *opts;
	struct ztoc_builder *builder;
	struct ztoc_built built;	/* bytes NULL: not yet */
	uint8_t head[HEAD_BYTES];
	size_t head_len;
};

/* Enough to see what a layer is. */
static void keep_head(struct pass *p, const uint8_t *data, size_t len)
{
	size_t n = sizeof(p->head) - p->head_len;

	if (n > len)
		n = len;
	memcpy(p->head + p->head_len, data, n);
	p->head_len += n;
}

/* The media type decides; where that goes wrong, and plainly so, it is said. */
static int explain(const struct pass *p, int r, struct err *err)
{
	const uint8_t *h = p->head;
	bool is_gzip = p->head_len >= 2 && h[0] == 0x1f && h[1] == 0x8b;
	bool is_zstd = p->head_len >= 4 && !memcmp(h, "\x28\xb5\x2f\xfd", 4);
	bool is_tar = p->head_len == HEAD_BYTES && !memcmp(h + HEAD_BYTES - 5, "ustar", 5);
	const char *is = is_gzip ? "gzip" : is_zstd ? "zstd" : is_tar ? "a plain tar" : NULL;

	if (!is || r == -ENOMEM || (p->layer->kind == OCI_LAYER_GZIP ? is_gzip : is_tar))
		return r;
	return err_set(err, ERR_CORRUPT, EINVAL,
		       "mislabelled: its bytes are %s, but its media type is %s", is,
		       p->layer->desc.media_type);
}

static int take_data(void *arg, const uint8_t *data, size_t len, struct err *err)
{
	struct pass *p = arg;
	int r;

	keep_head(p, data, len);
	if (p->opts->blob_fd >= 0) {
		r = io_write_full(p->opts->blob_fd, data, len);
		if (r < 0)
			return err_sys(err, -r, "cannot keep the layer's bytes");
	}
	r = ztoc_builder_feed(p->builder, data, len, err);
	return r < 0 ? explain(p, r, err) : 0;
}

static int take_progress(void *arg, uint64_t bytes)
{
	const struct pass *p = arg;

	return p->opts->progress ? p->opts->progress(p->opts->arg, bytes) : 0;
}

/* The digest is that of the manifest; is the tar that of the config? */
static int take_end(void *arg, struct err *err)
{
	struct pass *p = arg;
	int r = ztoc_builder_finish(p->builder, &p->built, err);

	if (r < 0)
		return explain(p, r, err);
	if (!digest_is_equal(&p->built.diff_id, &p->layer->diff_id))
		return err_set(err, ERR_CORRUPT, EBADMSG,
			       "its tar has another sha256 (diff ID) than the config says");
	return 0;
}

/* Begin, or begin again after an upload that broke. */
static int restart(void *arg, struct err *err)
{
	struct pass *p = arg;
	struct ztoc_build_opts opts = p->opts->build;

	ztoc_builder_free(p->builder);
	p->builder = NULL;
	free(p->built.bytes);
	p->built.bytes = NULL;
	p->head_len = 0;
	if (p->opts->blob_fd >= 0 &&
	    (ftruncate(p->opts->blob_fd, 0) < 0 || lseek(p->opts->blob_fd, 0, SEEK_SET) < 0))
		return err_sys(err, errno, "cannot keep the layer's bytes");
	opts.compression = p->layer->kind == OCI_LAYER_GZIP ? ZTOC_GZIP : ZTOC_UNCOMPRESSED;
	return ztoc_builder_new(&opts, &p->builder, err);
}

int index_layer_build(struct oci_client *c, const struct oci_ref *ref,
		      const struct oci_layer *layer, const struct index_layer_opts *opts,
		      struct ztoc_built *ret, struct err *err)
{
	struct pass p = { .layer = layer, .opts = opts };
	const struct oci_transfer t = {
		.from = ref, .to = opts->to, .desc = &layer->desc,
		.chunk_bytes = opts->chunk_bytes, .on_data = take_data,
		.on_progress = take_progress, .on_end = take_end, .on_restart = restart, .arg = &p,
	};
	int r;

	if (layer->kind != OCI_LAYER_GZIP && layer->kind != OCI_LAYER_TAR)
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "its type is %s: a zTOC can index gzip and plain tar layers only",
			       layer->desc.media_type);
	r = restart(&p, err);
	if (r == 0)
		r = oci_blob_transfer(c, &t, NULL, err);
	ztoc_builder_free(p.builder);
	if (r < 0)
		free(p.built.bytes);
	else
		*ret = p.built;
	return r;
}
