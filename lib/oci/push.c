/* SPDX-License-Identifier: GPL-2.0-or-later */
/* push.c - see push.h. */
#include "oci/push.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/doc.h"
#include "oci/layout.h"
#include "oci/manifest.h"
#include "oci/push_priv.h"
#include "oci/upload.h"

#define cleanup_reply cleanup_(doc_reply_done)

/* --- blobs --------------------------------------------------------------------------- */

int push_has_blob(struct oci_repo *repo, const struct oci_desc *desc, struct err *err)
{
	char path[DIGEST_TEXT_SIZE + 8] = "blobs/";
	struct call_spec spec = { .method = "HEAD", .path = path, .cap = PUSH_CAPS };
	cleanup_reply struct doc_reply reply = { 0 };
	struct err e = ERR_INIT;
	int r;

	if (repo->dir_fd >= 0)
		return layout_has_blob(repo, &desc->digest, desc->size);
	digest_format(&desc->digest, path + 6);
	r = doc_call(repo, &spec, NULL, &reply, &e);
	if (r == 0)
		return reply.length == HTTP_UNKNOWN || desc->size == UINT64_MAX ||
		       reply.length == desc->size;
	if (reply.status == 404)
		return 0;
	if (err)
		*err = e;
	return r;
}

int oci_blob_exists(struct oci_client *c, const struct oci_ref *ref,
		    const struct oci_desc *desc, struct err *err)
{
	cleanup_repo struct oci_repo *repo = NULL;
	int r;

	r = oci_repo_get(c, ref, &repo, err);
	return r < 0 ? r : push_has_blob(repo, desc, err);
}

static int upload_once(struct upload *u, struct err *err)
{
	int r = upload_begin(u, NULL, err);

	if (r == 0)
		r = upload_start(u, err);
	if (r == 0)
		r = oci_client_wait(u->repo->client, &u->is_done, err);
	if (r == 0 && u->err.num) {
		*err = u->err;
		r = -u->err.num;
	}
	if (r < 0)
		upload_abort(u);
	upload_done(u);
	return r;
}

static int upload(struct oci_repo *repo, const struct oci_desc *desc, const void *data,
		  struct err *err)
{
	struct err e = ERR_INIT;
	int r, again = 1;

	for (unsigned i = 0; again > 0; i++) {
		struct upload u = { .repo = repo, .desc = desc, .data = data, .tries = i };

		r = upload_once(&u, &e);
		again = r < 0 ? upload_may_retry(&u, &e) : 0;
	}
	r = again < 0 ? again : r;
	if (r < 0) {
		if (err)
			*err = e;
		err_prefix(err, "push");
	}
	return r;
}

int oci_blob_put(struct oci_client *c, const struct oci_ref *ref,
		 const struct oci_desc *desc, const void *data, struct err *err)
{
	cleanup_repo struct oci_repo *repo = NULL;
	struct digest got;
	int r;

	if (desc->size > INT64_MAX)
		return err_set(err, ERR_BUG, EINVAL, "blob to push: size unknown");
	if (!data)
		data = "";
	digest_of(data, desc->size, &got);
	if (!digest_is_equal(&got, &desc->digest))
		return err_set(err, ERR_CORRUPT, EBADMSG, "blob to push: its bytes do not have "
			       "the digest that they should");
	r = oci_repo_get(c, ref, &repo, err);
	if (r == 0)
		r = push_has_blob(repo, desc, err);
	if (r)
		return r < 0 ? r : 0;
	if (repo->dir_fd >= 0)
		return layout_put_blob(repo, &desc->digest, data, desc->size, err);
	return upload(repo, desc, data, err);
}

/* --- manifests ----------------------------------------------------------------------- */

static int registry_put_manifest(struct oci_repo *repo, const char *name,
				 const struct oci_desc *desc, const void *data,
				 bool *ret_has_subject, struct err *err)
{
	char path[160], type[160];
	struct call_spec spec = { .method = "PUT", .path = path,
				  .cap = PUSH_CAPS, .body = data, .body_len = desc->size,
				  .headers = { type } };
	cleanup_reply struct doc_reply reply = { 0 };
	int r;

	snprintf(path, sizeof(path), "manifests/%s", name);
	snprintf(type, sizeof(type), "Content-Type: %s", desc->media_type);
	r = doc_call(repo, &spec, NULL, &reply, err);
	if (r == 0)
		r = upload_check_stored(repo, reply.content_digest, &desc->digest, err);
	*ret_has_subject = reply.has_subject;
	return r;
}

int push_manifest(struct oci_repo *repo, const char *name, const struct oci_desc *desc,
		  const void *data, bool *ret_has_subject, struct err *err)
{
	int r;

	*ret_has_subject = false;
	if (repo->dir_fd < 0)
		return registry_put_manifest(repo, name, desc, data, ret_has_subject, err);
	r = layout_put_blob(repo, &desc->digest, data, desc->size, err);
	if (r == 0 && !strchr(name, ':'))
		r = layout_put_entry(repo, name, desc, err);
	return r;
}

int push_describe(const char *media_type, const void *data, size_t len,
		  struct oci_desc *ret, struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	if (len == 0 || len > OCI_MANIFEST_MAX_BYTES ||
	    strlen(media_type) >= sizeof(ret->media_type))
		return err_set(err, ERR_BUG, EINVAL, "manifest to push: empty or too large");
	strcpy(ret->media_type, media_type);
	digest_of(data, len, &ret->digest);
	ret->size = len;
	return 0;
}

int oci_manifest_put(struct oci_client *c, const struct oci_ref *ref,
		     const char *media_type, const void *data, size_t len,
		     struct oci_desc *ret, struct err *err)
{
	cleanup_repo struct oci_repo *repo = NULL;
	char name[DIGEST_TEXT_SIZE + 64];
	struct oci_desc desc;
	bool has_subject;
	int r;

	r = push_describe(media_type, data, len, &desc, err);
	if (r < 0)
		return r;
	if (ref->has_digest && !digest_is_equal(&ref->digest, &desc.digest))
		return err_set(err, ERR_CORRUPT, EBADMSG, "manifest to push: it does not have "
			       "the digest of the reference");
	if (ref->has_digest || !*ref->tag)
		digest_format(&desc.digest, name);
	else
		snprintf(name, sizeof(name), "%s", ref->tag);
	r = oci_repo_get(c, ref, &repo, err);
	if (r == 0)
		r = push_manifest(repo, name, &desc, data, &has_subject, err);
	if (r < 0)
		return err_prefix(err, "push of a manifest");
	if (ret)
		*ret = desc;
	return 0;
}
