/* SPDX-License-Identifier: GPL-2.0-or-later */
/* read.c - oci_blob_read(): a call with a range, or a file of a layout; see client.h. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "oci/call.h"
#include "oci/layout.h"

static int read_data(void *arg, const uint8_t *data, size_t len)
{
	struct oci_read *read = arg;

	return read->on_data(read->arg, data, len);
}

static void read_done(void *arg, const struct err *err, const struct call_reply *reply)
{
	struct oci_read *box = arg, read = *box;

	(void)reply;
	free(box);
	read.on_done(read.arg, err);
}

static const struct call_ops read_ops = { .on_data = read_data, .on_done = read_done };

static int registry_read(struct oci_repo *repo, const struct oci_desc *desc, uint64_t off,
			 uint64_t len, const struct oci_read *read, struct oci_req **ret,
			 struct err *err)
{
	cleanup_free struct oci_read *box = malloc(sizeof(*box));
	char path[DIGEST_TEXT_SIZE + 8] = "blobs/";
	struct call_spec spec = {
		.method = "GET", .path = path, .cap = HOST_CAP_PULL,
		.is_blob = true, .digest = desc->digest, .off = off, .len = len,
		.blob_size = desc->size, .background = read->background,
		.deadline_ms = read->deadline_ms, .ops = &read_ops, .arg = box,
	};
	int r;

	if (!box)
		return err_sys(err, ENOMEM, "blob read");
	*box = *read;
	digest_format(&desc->digest, path + 6);
	r = call_start(repo, &spec, ret, err);
	if (r == 0)
		(void)TAKE_PTR(box);
	return r;
}

int oci_blob_read(struct oci_repo *repo, const struct oci_desc *desc, uint64_t off,
		  uint64_t len, const struct oci_read *read, struct oci_req **ret,
		  struct err *err)
{
	struct oci_client *c = repo->client;
	int r;

	if (len == 0 || (len == UINT64_MAX && off != 0) ||
	    (len != UINT64_MAX && (off > INT64_MAX || len > INT64_MAX - off)) ||
	    (len != UINT64_MAX && desc->size != UINT64_MAX &&
	     (off > desc->size || len > desc->size - off)))
		return err_set(err, ERR_BUG, EINVAL, "blob read outside of the blob");
	if (c->is_dying)
		return err_set(err, ERR_SYSTEM, ECANCELED, "the registry client stops");
	client_enter(c);
	if (repo->dir_fd >= 0)
		r = layout_read_start(repo, desc, off, len, read, ret, err);
	else
		r = registry_read(repo, desc, off, len, read, ret, err);
	client_leave(c);
	return r;
}
