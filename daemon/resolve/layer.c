/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layer.c - a layer without a zTOC: fetch it whole, once, and index it on the way.
 *
 * Indexers leave small layers out (below 10 MiB by default). Their bytes and a zTOC built
 * here serve them like any other layer.
 */
#include "daemon/resolve/resolve.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "index/layer.h"

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
	struct ztoc_built built;
	char name[32];
	int r;

	snprintf(name, sizeof(name), "%u.blob", number);
	cleanup_close int fd = openat(opts->staging_dirfd, name,
				      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, errno, "cannot create %s in the staging folder", name);
	const struct index_layer_opts lopts = { .blob_fd = fd };

	r = index_layer_build(c, &opts->ref, layer, &lopts, &built, err);
	if (r < 0)
		return err_prefix(err, "layer %u", number);
	if (fdatasync(fd) < 0)
		r = err_sys(err, errno, "cannot write layer %u into the staging folder", number);
	if (r == 0)
		r = keep_ztoc(opts->staging_dirfd, number, &built, err);
	if (r == 0) {
		ret->ztoc = built.ztoc;
		ret->ztoc_size = built.len;
		ret->local = true;
	}
	free(built.bytes);
	return r;
}
