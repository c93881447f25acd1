/* SPDX-License-Identifier: GPL-2.0-or-later */
/* call_status.c - answers that are no success: redirects, old addresses, wrong schemes. */
#include "oci/call_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* -errno with call->err set if the redirect must not be followed. */
static int follow(struct call *call)
{
	bool is_read = !strcmp(call->method, "GET") || !strcmp(call->method, "HEAD");
	cleanup_free char *url = NULL;
	const char *what = NULL;
	char host[300], where[320];

	if (!is_read && call->reply.status < 307)
		what = "redirects an upload in a way that loses it";
	else if (++call->hops > OCI_MAX_REDIRECTS)
		what = "redirects too often";
	else if (!call->location.len ||
		 http_url_resolve(call->url, (char *)call->location.data, &url) < 0)
		what = "redirects to something that is no http(s) address";
	else if (http_url_is_https(call->url) && !http_url_is_https(url) &&
		 (http_url_authority(url, host, sizeof(host)) < 0 ||
		  !hosts_allow_plain(call->req.client->opts.plain_http, host)))
		what = "redirects from https to http, which is not allowed for that host";
	if (what) {
		answer_where(call, where, sizeof(where));
		call->has_hope = false;
		return err_set(&call->err, ERR_UNSUPPORTED, EPROTO, "%s %s", where, what);
	}
	free(call->url);
	call->url = TAKE_PTR(url);
	return 0;
}

/* The kept address has expired, perhaps: once more from the API. */
static bool renew_final(struct call *call)
{
	int status = call->reply.status;

	if (!call->via_final || call->renewed)
		return false;
	if (status != 400 && status != 401 && status != 403 && status != 404 && status != 410)
		return false;
	repo_final_forget(call->repo, call->host, &call->spec.digest);
	call->renewed = true;
	call->via_final = false;
	call->hops = 0;
	free(call->url);
	call->url = NULL;
	return true;
}

/* 400 and 403 are also how some registries say that a token has expired. */
static bool renew_refused_auth(struct call *call)
{
	struct auth_state *st = &call_host(call)->auth;
	int status = call->reply.status;

	if ((status != 403 && status != 400) || !call->sent_auth || call->fresh_auth ||
	    call->hops || call->exchanges || !st->has_challenge)
		return false;
	if (status == 400 && !(call->error_body.len &&
			       strstr((char *)call->error_body.data, "xpired")))
		return false;
	call_renew_auth(call, NULL);
	return true;
}

/* A TLS server that was spoken to in plain HTTP answers 400, or hangs up. */
bool call_flip_scheme(struct call *call)
{
	struct repo_host *h = call_host(call);
	bool is_https = http_url_is_https(h->conf.base);
	char *base;

	if (!h->conf.any_scheme || call->scheme_flips >= 1 || call->hops || call->via_final)
		return false;
	if (asprintf(&base, "%s%s", is_https ? "http" : "https",
		     strstr(h->conf.base, "://")) < 0)
		return false;
	free(h->conf.base);
	h->conf.base = base;
	call->scheme_flips++;
	free(call->url);
	call->url = NULL;
	return true;
}

void call_bad_status(struct call *call)
{
	bool is_api = http_url_same_origin(call->url, call_host(call)->conf.base);
	int status = call->reply.status;

	if (renew_final(call)) {
		call_send(call);
	} else if (status == 400 && !http_url_is_https(call->url) && call_flip_scheme(call)) {
		call_send(call);
	} else if (http_is_redirect(status)) {
		if (follow(call) == 0)
			call_send(call);
		else
			call_host_failed(call);
	} else if (status == 401 && is_api) {
		call_unauthorized(call);
	} else if (!is_api || !renew_refused_auth(call)) {
		answer_set_error(call);
		call_host_failed(call);
	}
}
