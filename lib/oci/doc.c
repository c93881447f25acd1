/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doc.c - see doc.h. */
#include "oci/doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/image.h"
#include "oci/layout.h"
#include "oci/manifest.h"

#define ACCEPT_MANIFESTS                                                                 \
	"Accept: application/vnd.oci.image.index.v1+json, "                              \
	"application/vnd.oci.image.manifest.v1+json, "                                   \
	"application/vnd.docker.distribution.manifest.list.v2+json, "                    \
	"application/vnd.docker.distribution.manifest.v2+json"

struct wait {
	bool is_done;
	struct buf *b;
	size_t b_start;
	int fd;
	uint64_t fd_len;
	struct digest_ctx hash;
	struct doc_reply *reply;
	struct err err;
};

void doc_reply_done(struct doc_reply *r)
{
	free(r->location);
	free(r->link);
	memset(r, 0, sizeof(*r));
}

static int wait_data(void *arg, const uint8_t *data, size_t len)
{
	struct wait *w = arg;

	return w->b ? buf_add(w->b, data, len) : 0;
}

static void wait_restart(void *arg)
{
	struct wait *w = arg;

	if (w->b && w->b->data) {
		w->b->len = w->b_start;
		w->b->data[w->b_start] = 0;
	}
}

static void wait_done(void *arg, const struct err *err, const struct call_reply *reply)
{
	struct wait *w = arg;
	struct doc_reply *r = w->reply;

	w->is_done = true;
	if (err)
		w->err = *err;
	r->status = reply->status;
	r->has_subject = reply->has_subject;
	r->length = reply->length;
	memcpy(r->content_type, reply->content_type, sizeof(r->content_type));
	memcpy(r->content_digest, reply->content_digest, sizeof(r->content_digest));
	r->location = reply->location ? strdup(reply->location) : NULL;
	r->link = reply->link ? strdup(reply->link) : NULL;
}

/* Drive the client until w is done; on a failure of the loop itself, cancel req. */
static int run(struct oci_client *c, struct wait *w, struct oci_req *req, struct err *err)
{
	int r = oci_client_wait(c, &w->is_done, err);

	if (r < 0) {
		if (!w->is_done)
			oci_req_cancel(req);
		return r;
	}
	if (w->err.num) {
		if (err)
			*err = w->err;
		return -w->err.num;
	}
	return 0;
}

int doc_call(struct oci_repo *repo, struct call_spec *spec, struct buf *b,
	     struct doc_reply *ret, struct err *err)
{
	static const struct call_ops ops = { wait_data, wait_restart, wait_done };
	struct wait w = { .b = b, .b_start = b ? b->len : 0, .reply = ret };
	struct oci_client *c = repo->client;
	struct oci_req *req;
	int r;

	memset(ret, 0, sizeof(*ret));
	spec->ops = &ops;
	spec->arg = &w;
	if (!spec->deadline_ms)
		spec->deadline_ms = DOC_DEADLINE_MS;
	client_enter(c);
	r = call_start(repo, spec, &req, err);
	client_leave(c);
	return r < 0 ? r : run(c, &w, req, err);
}

/* --- blobs --------------------------------------------------------------------------- */

static int blob_data(void *arg, const uint8_t *data, size_t len)
{
	struct wait *w = arg;

	digest_update(&w->hash, data, len);
	w->fd_len += len;
	return w->b ? buf_add(w->b, data, len) : io_write_full(w->fd, data, len);
}

static void blob_done(void *arg, const struct err *err)
{
	struct wait *w = arg;

	w->is_done = true;
	if (err)
		w->err = *err;
}

/* To w->b or w->fd, checked. */
static int get_blob(struct oci_repo *repo, const struct oci_desc *desc, struct wait *w,
		    struct err *err)
{
	struct oci_read read = { .on_data = blob_data, .on_done = blob_done, .arg = w };
	char text[DIGEST_TEXT_SIZE], name[600];
	struct oci_req *req;
	struct digest got;
	int r;

	repo_name(repo, name, sizeof(name));
	digest_format(&desc->digest, text);
	if (w->b && w->b->max_bytes && desc->size != UINT64_MAX &&
	    desc->size > w->b->max_bytes)
		return err_set(err, ERR_CORRUPT, EFBIG, "%.200s: blob %s is too large for what "
			       "it is", name, text);
	digest_init(&w->hash);
	r = oci_blob_read(repo, desc, 0, UINT64_MAX, &read, &req, err);
	if (r == 0)
		r = run(repo->client, w, req, err);
	if (r < 0)
		return r;
	digest_final(&w->hash, &got);
	if (!digest_is_equal(&got, &desc->digest) ||
	    (desc->size != UINT64_MAX && w->fd_len != desc->size))
		return err_set(err, ERR_CORRUPT, EBADMSG, "%.200s: what came for blob %s does "
			       "not have that digest", name, text);
	return 0;
}

int doc_blob(struct oci_repo *repo, const struct oci_desc *desc, struct buf *b,
	     struct err *err)
{
	struct wait w = { .b = b, .fd = -1 };

	return get_blob(repo, desc, &w, err);
}

int oci_blob_get(struct oci_client *c, const struct oci_ref *ref, const struct oci_desc *desc,
		 struct buf *b, struct err *err)
{
	struct oci_repo *repo;
	int r;

	r = oci_repo_get(c, ref, &repo, err);
	if (r < 0)
		return r;
	r = doc_blob(repo, desc, b, err);
	oci_repo_put(repo);
	return r;
}

int oci_blob_get_fd(struct oci_client *c, const struct oci_ref *ref,
		    const struct oci_desc *desc, int fd, struct err *err)
{
	struct wait w = { .fd = fd };
	struct oci_repo *repo;
	int r;

	r = oci_repo_get(c, ref, &repo, err);
	if (r < 0)
		return r;
	r = get_blob(repo, desc, &w, err);
	oci_repo_put(repo);
	return r;
}

/* --- manifests ----------------------------------------------------------------------- */

static int layout_manifest(struct oci_repo *repo, const char *tag,
			   const struct digest *digest, struct oci_desc *ret, struct buf *b,
			   struct err *err)
{
	struct oci_desc d = { .size = UINT64_MAX };
	int r = 0;

	if (digest)
		d.digest = *digest;
	else
		r = layout_resolve(repo, tag, &d, b, err);
	if (r == 0)
		r = doc_blob(repo, &d, b, err);
	if (r < 0)
		return r;
	*ret = d;
	return 0;
}

static int registry_manifest(struct oci_repo *repo, const char *tag,
			     const struct digest *digest, struct oci_desc *ret,
			     struct buf *b, int *ret_status, struct err *err)
{
	char path[160] = "manifests/";
	struct call_spec spec = { .method = "GET", .path = path,
				  .cap = HOST_CAP_PULL | (digest ? 0 : HOST_CAP_RESOLVE),
				  .headers = { ACCEPT_MANIFESTS } };
	struct doc_reply reply;
	struct digest said;
	int r;

	if (digest)
		digest_format(digest, path + 10);
	else
		snprintf(path + 10, sizeof(path) - 10, "%s", tag);
	r = doc_call(repo, &spec, b, &reply, err);
	if (ret_status)
		*ret_status = reply.status;
	if (r == 0) {
		memset(ret, 0, sizeof(*ret));
		digest_of(b->data ? b->data : (const void *)"", b->len, &ret->digest);
		strcpy(ret->media_type, reply.content_type);
		/* By tag the header is all that there is to check against. */
		if (!digest && *reply.content_digest &&
		    (digest_parse(reply.content_digest, strlen(reply.content_digest),
				  &said) < 0 || !digest_is_equal(&said, &ret->digest)))
			r = err_set(err, ERR_CORRUPT, EBADMSG, "%s/%s: %s does not have the "
				    "digest that the registry says", repo->ref.host,
				    repo->ref.repo, path);
	}
	doc_reply_done(&reply);
	return r;
}

/*
 * Where the transport named no type of a manifest: what the document says itself, else
 * what its keys make it. (That the two agree is manifest_kind_of()'s to check.)
 */
static void set_media_type(struct oci_desc *d, const struct buf *b)
{
	cleanup_json json_t *doc = NULL;
	const char *config;
	char own[sizeof(d->media_type)];

	if (strstr(d->media_type, "manifest") || strstr(d->media_type, "image.index"))
		return;
	if (!b->len || jdoc_parse(b->data, b->len, "manifest", &doc, NULL) < 0)
		return;	/* whoever reads it says why */
	config = jdoc_str(json_object_get(doc, "config"), "mediaType");
	if (jdoc_copy(doc, "mediaType", own, sizeof(own)) == 0 && *own)
		strcpy(d->media_type, own);
	else if (json_object_get(doc, "manifests"))
		strcpy(d->media_type, MEDIA_OCI_INDEX);
	else
		strcpy(d->media_type, config && !strcmp(config, MEDIA_DOCKER_CONFIG) ?
					      MEDIA_DOCKER_MANIFEST :
					      MEDIA_OCI_MANIFEST);
}

int doc_manifest(struct oci_repo *repo, const char *tag, const struct digest *digest,
		 const struct oci_desc *want, struct oci_desc *ret, struct buf *b,
		 int *ret_status, struct err *err)
{
	char name[600], text[DIGEST_TEXT_SIZE];
	struct oci_desc d;
	int r;

	if (ret_status)
		*ret_status = 0;
	buf_reset(b);
	if (!b->max_bytes || b->max_bytes > OCI_MANIFEST_MAX_BYTES)
		b->max_bytes = OCI_MANIFEST_MAX_BYTES;
	if (repo->dir_fd >= 0)
		r = layout_manifest(repo, tag, digest, &d, b, err);
	else
		r = registry_manifest(repo, tag, digest, &d, b, ret_status, err);
	if (r == -EFBIG)
		return err_set(err, ERR_CORRUPT, EFBIG, "manifest of more than %u bytes",
			       OCI_MANIFEST_MAX_BYTES);
	if (r < 0)
		return r;
	d.size = b->len;
	repo_name(repo, name, sizeof(name));
	if (digest && !digest_is_equal(digest, &d.digest)) {
		digest_format(digest, text);
		return err_set(err, ERR_CORRUPT, EBADMSG, "%.200s: what came for manifest %s "
			       "does not have that digest", name, text);
	}
	if (want && want->size != UINT64_MAX && want->size != d.size)
		return err_set(err, ERR_CORRUPT, EBADMSG, "%.200s: a manifest has another size "
			       "than its descriptor says", name);
	if (want && *want->media_type)
		strcpy(d.media_type, want->media_type);
	else
		set_media_type(&d, b);
	*ret = d;
	return 0;
}
