/* SPDX-License-Identifier: GPL-2.0-or-later */
/* upload.c - see upload.h. */
#include "oci/upload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define UPLOAD_DEADLINE_MS 86400000u
#define FORGET_DEADLINE_MS 3000u
#define TRIES 3u
#define PAUSE_MS 250u			/* before the second try; twice as long before the third */
#define PAUSE_MAX_MS 60000

#define cleanup_reply cleanup_(doc_reply_done)

int upload_check_stored(const struct oci_repo *repo, const char *content_digest,
			const struct digest *want, struct err *err)
{
	struct digest said;

	if (!*content_digest || digest_parse(content_digest, strlen(content_digest), &said) < 0 ||
	    digest_is_equal(&said, want))
		return 0;
	return err_set(err, ERR_CORRUPT, EBADMSG, "registry %s stored something else than what "
		       "was sent (its digest differs)", repo->ref.host);
}

/* The next address of the session, from a reply. */
static int take_location(struct upload *u, const char *location, struct err *err)
{
	const struct oci_repo *repo = u->repo;
	const struct repo_host *origin = &repo->hosts[repo->nhosts - 1];
	char *url;

	if (!location)
		return err_set(err, ERR_UNSUPPORTED, EPROTO, "registry %s begins an upload "
			       "without saying where (no valid Location)", repo->ref.host);
	if (http_url_is_https(origin->conf.base) && !http_url_is_https(location))
		return err_set(err, ERR_UNSUPPORTED, EPROTO, "registry %s wants an upload over "
			       "plain HTTP", repo->ref.host);
	url = strdup(location);
	if (!url)
		return err_sys(err, ENOMEM, "upload");
	free(u->url);
	u->url = url;
	return 0;
}

/* --- POST ---------------------------------------------------------------------------- */

/* 1: the registry took the blob over; 0: a session, or not: see url. */
static int try_mount(struct upload *u, const char *from, struct err *err)
{
	cleanup_free char *first = NULL, *path = NULL;
	char digest[DIGEST_TEXT_SIZE];
	struct call_spec spec = { .method = "POST", .cap = PUSH_CAPS };
	cleanup_reply struct doc_reply reply = { 0 };
	int r;

	digest_format(&u->desc->digest, digest);
	if (http_url_add_query("blobs/uploads/", "mount", digest, &first) < 0 ||
	    http_url_add_query(first, "from", from, &path) < 0)
		return err_sys(err, ENOMEM, "upload");
	spec.path = path;
	r = doc_call(u->repo, &spec, NULL, &reply, err);
	if (r == 0 && reply.status == 201)
		return upload_check_stored(u->repo, reply.content_digest, &u->desc->digest,
					   err) < 0 ? -EBADMSG : 1;
	if (r == 0)
		return take_location(u, reply.location, err);
	/* Not there, not allowed, not known here: then the bytes are sent. */
	return reply.status >= 400 && reply.status < 500 ? 0 : r;
}

int upload_begin(struct upload *u, const char *mount_from, struct err *err)
{
	struct call_spec spec = { .method = "POST", .path = "blobs/uploads/",
				  .cap = PUSH_CAPS };
	cleanup_reply struct doc_reply reply = { 0 };
	int r = mount_from ? try_mount(u, mount_from, err) : 0;

	if (r || u->url)
		return r;
	r = doc_call(u->repo, &spec, NULL, &reply, err);
	return r < 0 ? r : take_location(u, reply.location, err);
}

/* --- PATCH, PUT ---------------------------------------------------------------------- */

static void conclude(struct upload *u, const struct err *err)
{
	u->is_done = true;
	if (err)
		u->err = *err;
	if (u->on_done)
		u->on_done(u->arg);
}

static void request_done(void *arg, const struct err *err, const struct call_reply *reply)
{
	struct upload *u = arg;
	struct err e = ERR_INIT;
	int r = 0;

	u->req = NULL;
	if (err) {
		e = *err;
		u->retry_after_ms = reply->retry_after_ms;
		/* 404: the registry has lost the session. */
		u->is_broken = e.kind == ERR_NETWORK || reply->status == 404;
		conclude(u, &e);
		return;
	}
	u->sent += u->len;
	if (u->is_last) {
		r = upload_check_stored(u->repo, reply->content_digest, &u->desc->digest, &e);
		conclude(u, r < 0 ? &e : NULL);
		return;
	}
	r = take_location(u, reply->location, &e);
	if (r == 0)
		r = upload_start(u, &e);
	if (r < 0)
		conclude(u, &e);
}

static void ignore_restart(void *arg)
{
	(void)arg;
}

static const struct call_ops request_ops = { .on_restart = ignore_restart,
					     .on_done = request_done };

int upload_start(struct upload *u, struct err *err)
{
	struct oci_client *c = u->repo->client;
	uint64_t left = u->desc->size - u->sent;
	cleanup_free char *full = NULL;
	char digest[DIGEST_TEXT_SIZE], range[80];
	struct call_spec spec = {
		.cap = PUSH_CAPS, .headers = { "Content-Type: application/octet-stream" },
		.body = u->data ? u->data + u->sent : NULL,
		.stream = u->data ? NULL : &u->stream,
		.no_retries = true, .fresh = u->tries > 0, .deadline_ms = UPLOAD_DEADLINE_MS,
		.ops = &request_ops, .arg = u,
	};
	int r;

	u->is_last = !u->chunk_bytes || left == 0;
	u->len = u->is_last || left < u->chunk_bytes ? left : u->chunk_bytes;
	spec.body_len = u->len;
	if (u->is_last) {
		digest_format(&u->desc->digest, digest);
		if (http_url_add_query(u->url, "digest", digest, &full) < 0)
			return err_sys(err, ENOMEM, "upload");
		spec.method = "PUT";
		spec.url = full;
	} else {
		snprintf(range, sizeof(range), "Content-Range: %" PRIu64 "-%" PRIu64, u->sent,
			 u->sent + u->len - 1);
		spec.method = "PATCH";
		spec.url = u->url;
		spec.headers[1] = range;
	}
	client_enter(c);
	r = call_start(u->repo, &spec, &u->req, err);
	client_leave(c);
	return r;
}

void upload_body_ready(struct upload *u)
{
	if (u->req)
		call_body_ready(u->req);
}

/*
 * Whoever gives up leaves nothing behind, where the registry lets him (docker-registry 2.8
 * refuses when the session broke off within a request; it purges such sessions later).
 */
static void forget_session(struct upload *u)
{
	struct oci_client *c = u->repo->client;
	struct call_spec spec = { .method = "DELETE", .url = u->url, .cap = PUSH_CAPS,
				  .no_retries = true, .deadline_ms = FORGET_DEADLINE_MS };
	cleanup_reply struct doc_reply reply = { 0 };
	const atomic_bool *stop = c->opts.stop;

	c->opts.stop = NULL;	/* the stop is why we are here, perhaps */
	doc_call(u->repo, &spec, NULL, &reply, NULL);
	c->opts.stop = stop;
}

void upload_abort(struct upload *u)
{
	bool is_stored = u->is_done && !u->err.num;

	if (u->req)
		oci_req_cancel(u->req);
	if (u->url && !is_stored)
		forget_session(u);
	free(u->url);
	u->url = NULL;
}

static void pause_over(void *arg)
{
	*(bool *)arg = true;
}

int upload_may_retry(const struct upload *u, struct err *err)
{
	struct oci_client *c = u->repo->client;
	int64_t ms = (int64_t)PAUSE_MS << u->tries;
	bool over = false;
	struct timer timer;
	int r;

	if (!u->is_broken || u->tries + 1 >= TRIES || u->retry_after_ms > PAUSE_MAX_MS)
		return 0;
	if (u->retry_after_ms > ms)
		ms = u->retry_after_ms;
	timer_init(&timer, pause_over, &over);
	client_enter(c);
	timer_start(&c->timers, &timer, (uint64_t)ms);
	client_leave(c);
	r = oci_client_wait(c, &over, err);
	timer_stop(&timer);
	return r < 0 ? r : 1;
}

void upload_done(struct upload *u)
{
	free(u->url);
	u->url = NULL;
}
