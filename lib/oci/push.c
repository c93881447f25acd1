/* SPDX-License-Identifier: GPL-2.0-or-later */
/* push.c - see push.h. */
#include "oci/push.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/doc.h"
#include "oci/layout.h"
#include "oci/manifest.h"
#include "oci/push_priv.h"

#define UPLOAD_TRIES 3u
#define UPLOAD_DEADLINE_MS 86400000u
#define PUSH_CAPS (HOST_CAP_PULL | HOST_CAP_PUSH)

DEFINE_CLEANUP(struct oci_repo *, oci_repo_put, cleanup_repop)
#define cleanup_repo cleanup_(cleanup_repop)
#define cleanup_reply cleanup_(doc_reply_done)

/* Where the bytes come from: memory, or fd from 0. */
struct source {
	const uint8_t *data;
	int fd;
	uint64_t chunk_bytes;
};

static int hash_source(const struct source *src, uint64_t size, struct digest *ret)
{
	cleanup_free uint8_t *chunk = NULL;
	struct digest_ctx ctx;
	uint64_t off = 0;

	if (src->data || size == 0) {
		digest_of(src->data ? src->data : (const void *)"", size, ret);
		return 0;
	}
	chunk = malloc(1 << 18);
	if (!chunk)
		return -ENOMEM;
	digest_init(&ctx);
	while (off < size) {
		size_t n = size - off < 1 << 18 ? (size_t)(size - off) : 1 << 18;
		int r = io_pread_full(src->fd, chunk, n, off);

		if (r < 0)
			return r;
		digest_update(&ctx, chunk, n);
		off += n;
	}
	digest_final(&ctx, ret);
	return 0;
}

static int check_source(const struct source *src, const struct oci_desc *desc,
			struct err *err)
{
	struct digest got;
	int r;

	if (desc->size > INT64_MAX)
		return err_set(err, ERR_BUG, EINVAL, "blob to push: size unknown");
	r = hash_source(src, desc->size, &got);
	if (r < 0)
		return err_sys(err, -r, "blob to push");
	if (!digest_is_equal(&got, &desc->digest))
		return err_set(err, ERR_CORRUPT, EBADMSG, "blob to push: its bytes do not have "
			       "the digest that they should");
	return 0;
}

/* What the registry says it stored; saying nothing is allowed. */
static int check_stored(const struct oci_repo *repo, const struct doc_reply *reply,
			const struct digest *want, struct err *err)
{
	struct digest said;

	if (!*reply->content_digest ||
	    digest_parse(reply->content_digest, strlen(reply->content_digest), &said) < 0 ||
	    digest_is_equal(&said, want))
		return 0;
	return err_set(err, ERR_CORRUPT, EBADMSG, "registry %s stored something else than what "
		       "was sent (its digest differs)", repo->ref.host);
}

static int blob_exists(struct oci_repo *repo, const struct oci_desc *desc, struct err *err)
{
	char path[DIGEST_TEXT_SIZE + 8] = "blobs/";
	struct call_spec spec = { .method = "HEAD", .path = path, .body_fd = -1,
				  .cap = PUSH_CAPS };
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

/* --- upload sessions ----------------------------------------------------------------- */

/* The next address of the session, from a reply. */
static int take_location(struct oci_repo *repo, struct doc_reply *reply, char **url,
			 struct err *err)
{
	const struct repo_host *origin = &repo->hosts[repo->nhosts - 1];

	if (!reply->location)
		return err_set(err, ERR_UNSUPPORTED, EPROTO, "registry %s begins an upload "
			       "without saying where (no valid Location)", repo->ref.host);
	if (http_url_is_https(origin->conf.base) && !http_url_is_https(reply->location))
		return err_set(err, ERR_UNSUPPORTED, EPROTO, "registry %s wants an upload over "
			       "plain HTTP", repo->ref.host);
	free(*url);
	*url = TAKE_PTR(reply->location);
	return 0;
}

static int begin_upload(struct oci_repo *repo, char **url, struct err *err)
{
	struct call_spec spec = { .method = "POST", .path = "blobs/uploads/", .body_fd = -1,
				  .cap = PUSH_CAPS };
	cleanup_reply struct doc_reply reply = { 0 };
	int r;

	r = doc_call(repo, &spec, NULL, &reply, err);
	return r < 0 ? r : take_location(repo, &reply, url, err);
}

static int send_chunk(struct oci_repo *repo, const struct source *src, uint64_t off,
		      uint64_t len, char **url, struct err *err)
{
	char range[80];
	struct call_spec spec = {
		.method = "PATCH", .url = *url, .cap = PUSH_CAPS, .body_fd = src->fd,
		.body = src->data ? src->data + off : NULL, .body_off = off, .body_len = len,
		.headers = { "Content-Type: application/octet-stream", range },
		.no_retries = true, .deadline_ms = UPLOAD_DEADLINE_MS,
	};
	cleanup_reply struct doc_reply reply = { 0 };
	int r;

	snprintf(range, sizeof(range), "Content-Range: %" PRIu64 "-%" PRIu64, off,
		 off + len - 1);
	r = doc_call(repo, &spec, NULL, &reply, err);
	return r < 0 ? r : take_location(repo, &reply, url, err);
}

static int finish_upload(struct oci_repo *repo, const struct oci_desc *desc,
			 const struct source *src, uint64_t off, const char *url,
			 struct err *err)
{
	cleanup_free char *full = NULL;
	char digest[DIGEST_TEXT_SIZE];
	struct call_spec spec = {
		.method = "PUT", .cap = PUSH_CAPS, .body_fd = src->fd,
		.body = src->data ? src->data + off : NULL, .body_off = off,
		.body_len = desc->size - off,
		.headers = { "Content-Type: application/octet-stream" },
		.no_retries = true, .deadline_ms = UPLOAD_DEADLINE_MS,
	};
	cleanup_reply struct doc_reply reply = { 0 };
	int r;

	digest_format(&desc->digest, digest);
	if (http_url_add_query(url, "digest", digest, &full) < 0)
		return err_sys(err, ENOMEM, "upload");
	spec.url = full;
	r = doc_call(repo, &spec, NULL, &reply, err);
	return r < 0 ? r : check_stored(repo, &reply, &desc->digest, err);
}

static int upload_once(struct oci_repo *repo, const struct oci_desc *desc,
		       const struct source *src, struct err *err)
{
	cleanup_free char *url = NULL;
	uint64_t off = 0;
	int r;

	r = begin_upload(repo, &url, err);
	while (r == 0 && src->chunk_bytes && off < desc->size) {
		uint64_t len = desc->size - off;

		if (len > src->chunk_bytes)
			len = src->chunk_bytes;
		r = send_chunk(repo, src, off, len, &url, err);
		off += len;
	}
	return r < 0 ? r : finish_upload(repo, desc, src, off, url, err);
}

/* A session that broke is not resumed but begun anew: what it holds is unknown. */
static int upload(struct oci_repo *repo, const struct oci_desc *desc,
		  const struct source *src, struct err *err)
{
	struct err e = ERR_INIT;
	int r = 0;

	for (unsigned i = 0; i < UPLOAD_TRIES; i++) {
		r = upload_once(repo, desc, src, &e);
		if (r == 0 || (e.kind != ERR_NETWORK && e.num != ENOENT))
			break;
	}
	if (r < 0) {
		if (err)
			*err = e;
		err_prefix(err, "push");
	}
	return r;
}

static int put_blob(struct oci_client *c, const struct oci_ref *ref,
		    const struct oci_desc *desc, const struct source *src, struct err *err)
{
	cleanup_repo struct oci_repo *repo = NULL;
	int r;

	r = check_source(src, desc, err);
	if (r == 0)
		r = oci_repo_get(c, ref, &repo, err);
	if (r == 0)
		r = blob_exists(repo, desc, err);
	if (r)
		return r < 0 ? r : 0;
	if (repo->dir_fd >= 0)
		return layout_put_blob(repo, &desc->digest, src->data, src->fd, desc->size, err);
	return upload(repo, desc, src, err);
}

int oci_blob_exists(struct oci_client *c, const struct oci_ref *ref,
		    const struct oci_desc *desc, struct err *err)
{
	cleanup_repo struct oci_repo *repo = NULL;
	int r;

	r = oci_repo_get(c, ref, &repo, err);
	return r < 0 ? r : blob_exists(repo, desc, err);
}

int oci_blob_put(struct oci_client *c, const struct oci_ref *ref,
		 const struct oci_desc *desc, const void *data, struct err *err)
{
	struct source src = { .data = data, .fd = -1 };

	return put_blob(c, ref, desc, &src, err);
}

int oci_blob_put_fd(struct oci_client *c, const struct oci_ref *ref,
		    const struct oci_desc *desc, int fd, uint64_t chunk_bytes,
		    struct err *err)
{
	struct source src = { .fd = fd, .chunk_bytes = chunk_bytes };

	return put_blob(c, ref, desc, &src, err);
}

/* --- manifests ----------------------------------------------------------------------- */

static int registry_put_manifest(struct oci_repo *repo, const char *name,
				 const struct oci_desc *desc, const void *data,
				 bool *ret_has_subject, struct err *err)
{
	char path[160], type[160];
	struct call_spec spec = { .method = "PUT", .path = path, .body_fd = -1,
				  .cap = PUSH_CAPS, .body = data, .body_len = desc->size,
				  .headers = { type } };
	cleanup_reply struct doc_reply reply = { 0 };
	int r;

	snprintf(path, sizeof(path), "manifests/%s", name);
	snprintf(type, sizeof(type), "Content-Type: %s", desc->media_type);
	r = doc_call(repo, &spec, NULL, &reply, err);
	if (r == 0)
		r = check_stored(repo, &reply, &desc->digest, err);
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
	r = layout_put_blob(repo, &desc->digest, data, -1, desc->size, err);
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
