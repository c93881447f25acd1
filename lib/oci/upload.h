/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * upload.h - one blob into a registry: an upload session, from POST to PUT.
 *
 * Owner thread only; inside this room. The bytes are in memory, or come from a stream that
 * can be read once: a session that broke is not resumed, since what it holds is unknown,
 * but begun anew by whoever can make the bytes again.
 *
 *	upload_begin()	POST, blocking -> 1: mounted from another repository, nothing to do
 *	upload_start()	(PATCH per chunk ...) PUT, asynchronous -> is_done, err
 *	upload_abort()	at any time: cancels, and asks the registry to forget the session
 *	upload_done()	frees
 *
 * Source: OCI distribution-spec 1.1, "Pushing blobs".
 */
#ifndef LZ_OCI_UPLOAD_H
#define LZ_OCI_UPLOAD_H

#include "oci/doc.h"

struct upload {
	/* The caller's. */
	struct oci_repo *repo;
	const struct oci_desc *desc;
	const uint8_t *data;		/* all of it; or NULL: */
	struct http_body stream;	/* desc->size bytes, in order */
	uint64_t chunk_bytes;		/* 0: one request */
	unsigned tries;			/* that went before */
	void (*on_done)(void *arg);	/* the session is over; or NULL */
	void *arg;

	/* What came of it. */
	bool is_done;
	struct err err;			/* num 0: stored */
	bool is_broken;			/* a new session may fare better */
	int64_t retry_after_ms;		/* when, if the registry says so; else -1 */

	/* Inside. */
	char *url;
	uint64_t sent, len;		/* before, and in, the present request */
	bool is_last;
	struct oci_req *req;
};

/* mount_from: repository of the same registry that has the blob, or NULL. */
int upload_begin(struct upload *u, const char *mount_from, struct err *err);
int upload_start(struct upload *u, struct err *err);
void upload_body_ready(struct upload *u);
void upload_abort(struct upload *u);
/*
 * After a failure: whether a new session (tries + 1) is worth it, 1 or 0. Waits before it
 * says so, as long as the registry wants, or a moment. -ECANCELED: stopped meanwhile.
 */
int upload_may_retry(const struct upload *u, struct err *err);
void upload_done(struct upload *u);

/* What the registry says it stored; saying nothing is allowed. */
int upload_check_stored(const struct oci_repo *repo, const char *content_digest,
			const struct digest *want, struct err *err);

#endif
