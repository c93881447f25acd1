/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * token.h - what one host of one repository accepts as authorization, and the exchange
 * that obtains it: challenge -> credentials -> (token endpoint ->) header.
 *
 * Owner thread only. Concurrent 401s share one exchange: each waits in the list, and is
 * told once. The header is kept until it expires or is refused.
 *
 * Source: distribution "token authentication" and its OAuth2 form; docker's use of them:
 *   identity token -> POST grant_type=refresh_token; password -> GET with Basic;
 *   nothing -> GET. A host that asks for Basic gets the password itself.
 */
#ifndef LZ_OCI_TOKEN_H
#define LZ_OCI_TOKEN_H

#include "base/list.h"
#include "oci/auth.h"
#include "oci/creds.h"
#include "oci/http.h"

struct oci_repo;
struct repo_host;
struct creds_job;

struct auth_state {
	struct oci_repo *repo;
	struct repo_host *host;
	bool has_challenge, is_bearer;
	struct auth_challenge challenge;	/* the last one */
	char *header;			/* "Authorization: ...", NULL: none */
	uint64_t expires_ms;		/* io_now_ms() clock; UINT64_MAX: does not */
	uint64_t generation;		/* counts headers obtained */
	char user[128];			/* whose it is, "" anonymous; printable */
	/* The exchange under way. */
	bool is_busy, want_push;
	struct list waiters;
	struct creds_job *job;
	struct http_req *http;
	struct creds creds;
	char *url;			/* of the token request */
	unsigned hops;
	int status;
	struct buf form;			/* body of the token request */
	struct buf answer, location;
};

struct auth_waiter {
	struct list node;
	/* err NULL: a header is there. */
	void (*fn)(void *arg, const struct err *err);
	void *arg;
};

void auth_state_init(struct auth_state *st, struct oci_repo *repo, struct repo_host *host);
void auth_state_done(struct auth_state *st);

/* The header to send now, borrowed; NULL: none is known, or it has expired. */
const char *auth_state_header(struct auth_state *st);
/* It was refused: do not send it again. */
void auth_state_drop(struct auth_state *st);
/* Is there a challenge to answer before sending, because the last token expired? */
bool auth_state_is_stale(const struct auth_state *st);

/*
 * Obtain a (new) header. ch NULL: the last challenge again. w->fn is called later, never
 * from here, unless this returns an error. To leave, list_del(&w->node).
 */
int auth_state_renew(struct auth_state *st, const struct auth_challenge *ch, bool want_push,
		     struct auth_waiter *w, struct err *err);

/*
 * The answer of a token endpoint: header text and life time in seconds (60 if not said).
 * For the exchange and its tests.
 */
int token_parse(const void *data, size_t len, const char *where, char **ret_header,
		uint64_t *ret_lifetime_s, struct err *err);

#endif
