/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * call_priv.h - a call's inside: call.c moves it from state to state, call_auth.c answers
 * 401s, call_status.c other answers that are no success, call_answer.c judges what a host
 * answers. Owner thread only.
 */
#ifndef LZ_OCI_CALL_PRIV_H
#define LZ_OCI_CALL_PRIV_H

#include "oci/call.h"

#define CALL_MAX_ERROR_BODY 8192u
#define CALL_MAX_HEADERS 4u

struct call {
	struct oci_req req;		/* first */
	unsigned refs;
	bool is_finished, is_paused;
	struct oci_repo *repo;
	struct call_spec spec;
	char *headers[CALL_MAX_HEADERS];	/* copies of spec.headers */
	char *method, *path, *start_url;
	struct call_reply reply;

	/* Where it stands. */
	size_t host;
	uint32_t round;
	uint64_t skip_hosts;		/* bit i: host i said it does not have it */
	struct err err;			/* why the last host failed */
	bool has_hope;			/* and whether a retry could help */
	int64_t retry_after_ms;

	/* On the present host. */
	char *url;
	unsigned hops, exchanges, scheme_flips;
	bool via_final, renewed;	/* started from the kept address; it failed once */
	bool fresh_auth;		/* the header was obtained for this very try */
	bool sent_auth;
	uint64_t auth_generation;

	/* The present transfer. */
	struct http_req *http;
	bool is_success, is_judged;	/* head: good; the verdict on it is in err */
	uint64_t body_skip;		/* bytes to throw away first (200 to a range) */
	uint64_t body_left;		/* how many the answer may still bring; or UNKNOWN */
	bool is_cut;			/* more may follow and is not wanted */
	struct buf error_body;
	struct buf location, challenges;

	struct http_body body;		/* spec.stream, watched */
	bool is_body_begun;		/* bytes of the stream are gone */

	uint64_t delivered;
	struct timer backoff, deadline;
	struct auth_waiter waiter;
};

static inline struct repo_host *call_host(const struct call *call)
{
	return &call->repo->hosts[call->host];
}

/* What is wanted as a whole, UINT64_MAX if nobody knows. */
static inline uint64_t call_want(const struct call *call)
{
	const struct call_spec *s = &call->spec;

	return s->len != UINT64_MAX ? s->len : s->blob_size;
}

/* --- call.c -------------------------------------------------------------------------- */

/* The one way out; err NULL: well. The call may be gone after it. */
void call_finish(struct call *call, const struct err *err);
/* To call->url, or to where the present host would have it. */
void call_send(struct call *call);
/* call->err and has_hope say why; on to the next host, the next round or the end. */
void call_host_failed(struct call *call);

/* --- call_auth.c --------------------------------------------------------------------- */

/* For call->waiter: the exchange is over. */
void call_auth_told(void *arg, const struct err *err);
/* Obtain a new header, then send again. ch NULL: the last challenge once more. */
void call_renew_auth(struct call *call, const struct auth_challenge *ch);
/* 401 of the API itself. */
void call_unauthorized(struct call *call);

/* --- call_status.c ------------------------------------------------------------------- */

/* Not 2xx: follow, try again in another way, or leave this host. */
void call_bad_status(struct call *call);
/* Where either scheme is allowed: the other one, once. False: it makes no sense. */
bool call_flip_scheme(struct call *call);

/* --- call_answer.c ------------------------------------------------------------------- */

/* 2xx: is it what was asked for? Sets body_*; -errno with call->err set. */
int answer_check(struct call *call, const struct http_head *head);
/* The complete body is there: enough of it? 0, or -errno with call->err set. */
int answer_check_end(struct call *call);
/* More bytes than announced: sets call->err. */
void answer_too_long(struct call *call);
/* Sets call->err, has_hope, retry_after_ms from an error status and its body. */
void answer_set_error(struct call *call);
/* "GET https://host/path" without secrets. */
void answer_where(const struct call *call, char *ret, size_t ret_size);

#endif
