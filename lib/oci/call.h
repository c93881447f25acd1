/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * call.h - one call to a repository's API, with all that it takes: hosts in order,
 * authorization, redirects, ranges, checks, retries, deadline.
 *
 * Owner thread only. The rules:
 *   round    = the hosts that can do it, in order, until one answers well
 *   host     = a mirror that fails is left at once for the next host; only a whole round
 *              that failed with hope (network, 408, 429, 5xx, short body) is repeated,
 *              after a pause
 *   401      = one exchange of tokens, a second one only if the scope was too small
 *   3xx      = at most OCI_MAX_REDIRECTS, never from https to http of a host that is not
 *              allowed to, Authorization for the API's own origin only
 *   blobs    = the address after redirects is kept and tried first next time; when it
 *              fails, the way from the API is gone again
 *   bytes    = delivered in order, each once: what came stays, a retry asks for the rest
 *
 *   START -> [token] -> SENT -> head -> redirect/401 -> SENT
 *                        |        `-> body -> done | host failed -> next host -> SENT
 *                        `-> failed ----------------^       `-> round failed -> pause -> START
 */
#ifndef LZ_OCI_CALL_H
#define LZ_OCI_CALL_H

#include "oci/repo.h"

struct call;

/* What came back; status 0 if no host answered. Strings are NULL if absent. */
struct call_reply {
	int status;
	bool has_subject;
	char content_type[128], content_digest[80];
	uint64_t length;
	int64_t retry_after_ms;		/* -1: not said */
	char *location;			/* absolute */
	char *link;
	const char *host_name;
};

struct call_ops {
	/* 0 or -errno, which ends the call. NULL: bodies are thrown away. */
	int (*on_data)(void *arg, const uint8_t *data, size_t len);
	/* Forget what on_data brought, it starts again. NULL: calls with is_blob only. */
	void (*on_restart)(void *arg);
	/* Once, last. err NULL: a 2xx answer, complete and checked. */
	void (*on_done)(void *arg, const struct err *err, const struct call_reply *reply);
};

struct call_spec {
	const char *method;
	const char *path;		/* below /v2/REPO/; or url, absolute */
	const char *url;
	unsigned cap;			/* HOST_CAP_*: which hosts may be asked */
	const char *headers[4];		/* more of them, NULL-terminated */
	/* In memory, or a stream, which can be sent once only: a call that would have to send
	 * it again fails (NETWORK, EPIPE). Borrowed. */
	const void *body;
	const struct http_body *stream;
	uint64_t body_len;
	/* Blob reads: bytes [off, off+len) of digest; len UINT64_MAX: all there is. */
	bool is_blob;
	struct digest digest;
	uint64_t off, len, blob_size;	/* blob_size may be UINT64_MAX */
	bool background, no_retries, fresh;	/* fresh: as in struct http_ask */
	uint32_t deadline_ms;
	const struct call_ops *ops;
	void *arg;
};

/* Strings are copied, bodies are not. The call is in ret until on_done. */
int call_start(struct oci_repo *repo, const struct call_spec *spec, struct oci_req **ret,
	       struct err *err);
/* As http_body_ready(), for a request that call_start() made. */
void call_body_ready(struct oci_req *req);

#endif
