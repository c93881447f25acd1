/* SPDX-License-Identifier: GPL-2.0-or-later */
/* token.c - see token.h. */
#include "oci/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "oci/json.h"
#include "oci/repo.h"

#define TOKEN_MAX_BYTES 262144u
#define TOKEN_MAX_HOPS 5u
#define CLIENT_ID "lazyerofs"

struct creds_job {
	struct oci_job job;
	struct auth_state *st;		/* NULL: nobody waits any more */
	char *dir, host[300];
	struct creds creds;
	struct err err;
	int r;
};

static void secret_free(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

static void wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_done(b);
}

void auth_state_init(struct auth_state *st, struct oci_repo *repo, struct repo_host *host)
{
	memset(st, 0, sizeof(*st));
	st->repo = repo;
	st->host = host;
	list_init(&st->waiters);
}

static void exchange_reset(struct auth_state *st)
{
	if (st->job)
		st->job->st = NULL;
	st->job = NULL;
	http_abort(st->http);
	st->http = NULL;
	creds_done(&st->creds);
	free(st->url);
	st->url = NULL;
	st->hops = 0;
	wipe(&st->answer);
	wipe(&st->form);
	buf_done(&st->location);
	st->is_busy = false;
}

void auth_state_done(struct auth_state *st)
{
	exchange_reset(st);
	secret_free(&st->header);
}

const char *auth_state_header(struct auth_state *st)
{
	return st->header && io_now_ms() < st->expires_ms ? st->header : NULL;
}

void auth_state_drop(struct auth_state *st)
{
	secret_free(&st->header);
}

bool auth_state_is_stale(const struct auth_state *st)
{
	return st->header && io_now_ms() >= st->expires_ms;
}

/* Tell everybody who waits, once; each may start anything. */
static void conclude(struct auth_state *st, const struct err *err)
{
	struct list told;
	struct oci_repo *repo = st->repo;

	exchange_reset(st);
	list_init(&told);
	while (!list_is_empty(&st->waiters)) {
		struct auth_waiter *w = list_first(&st->waiters, struct auth_waiter, node);

		list_del(&w->node);
		list_add_tail(&told, &w->node);
	}
	repo->refs++;
	while (!list_is_empty(&told)) {
		struct auth_waiter *w = list_first(&told, struct auth_waiter, node);

		list_del(&w->node);
		w->fn(w->arg, err);
	}
	repo->refs--;
}

static void conclude_ok(struct auth_state *st, char *header, uint64_t expires_ms)
{
	secret_free(&st->header);
	st->header = header;
	st->expires_ms = expires_ms;
	st->generation++;
	conclude(st, NULL);
}

static void conclude_refused(struct auth_state *st, const char *why)
{
	struct err err = ERR_INIT;

	if (*st->user)
		err_set(&err, ERR_AUTH, EACCES, "registry %s refused the password of user %s%s: "
			"run docker login %s", st->host->name, st->user, why,
			st->host->cred_key);
	else
		err_set(&err, ERR_AUTH, EACCES, "registry %s wants a login for %s (or there is "
			"no such repository)%s: run docker login %s", st->host->name,
			st->repo->ref.repo, why, st->host->cred_key);
	conclude(st, &err);
}

/* --- the token endpoint -------------------------------------------------------------- */

/* Only what may stand in a header: RFC 6750 b64token and what registries use besides. */
static bool is_token(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if ((unsigned char)*s <= 0x20 || (unsigned char)*s >= 0x7f)
			return false;
	return true;
}

int token_parse(const void *data, size_t len, const char *where, char **ret_header,
		uint64_t *ret_lifetime_s, struct err *err)
{
	cleanup_json json_t *doc = NULL;
	const char *token;
	uint64_t life = 60;
	char *header;
	int r;

	r = jdoc_parse(data, len, where, &doc, err);
	if (r < 0)
		return r;
	token = jdoc_str(doc, "token");
	if (!token || !*token)
		token = jdoc_str(doc, "access_token");
	if (!token || !is_token(token))
		return err_set(err, ERR_AUTH, EBADMSG, "%s: answer without a usable token", where);
	r = jdoc_u64(doc, "expires_in", &life);
	if (r == -EINVAL || life == 0 || life > 31536000)
		life = 60;
	if (asprintf(&header, "Authorization: Bearer %s", token) < 0)
		return err_sys(err, ENOMEM, "%s", where);
	*ret_header = header;
	*ret_lifetime_s = life;
	return 0;
}

static void token_send(struct auth_state *st);

static int token_on_head(void *arg, const struct http_head *head)
{
	struct auth_state *st = arg;

	st->status = head->status;
	buf_reset(&st->location);
	if (head->location.len)
		return buf_add(&st->location, head->location.data, head->location.len);
	return 0;
}

static int token_on_data(void *arg, const uint8_t *data, size_t len)
{
	struct auth_state *st = arg;

	st->answer.max_bytes = TOKEN_MAX_BYTES;
	return buf_add(&st->answer, data, len);
}

/* To where the location says; a refresh token goes nowhere but to its realm. */
static void token_redirect(struct auth_state *st)
{
	struct err err = ERR_INIT;
	char *url = NULL;

	if (++st->hops > TOKEN_MAX_HOPS || !st->location.len || st->creds.identity_token ||
	    http_url_resolve(st->url, (char *)st->location.data, &url) < 0 ||
	    (http_url_is_https(st->url) && !http_url_is_https(url))) {
		free(url);
		err_set(&err, ERR_AUTH, ELOOP, "registry %s: its token service redirects in a "
			"way that is not safe to follow", st->host->name);
		conclude(st, &err);
		return;
	}
	free(st->url);
	st->url = url;
	token_send(st);
}

static void token_on_done(void *arg, enum http_end end, const struct err *http_err)
{
	struct auth_state *st = arg;
	char where[256], text[300], *header;
	struct err err = ERR_INIT;
	uint64_t life, ms;

	st->http = NULL;
	http_url_redact(st->url, where, sizeof(where));
	if (end != HTTP_END_OK) {
		err = *http_err;
		if (end == HTTP_END_REFUSED)
			err_set(&err, ERR_AUTH, EBADMSG, "%s: token answer too large", where);
		err_prefix(&err, "token for %s", st->host->name);
		conclude(st, &err);
	} else if (http_is_redirect(st->status)) {
		token_redirect(st);
	} else if (st->status == 429 || st->status >= 500) {
		err_set(&err, ERR_NETWORK, EAGAIN, "token service %s of registry %s answers %d",
			where, st->host->name, st->status);
		conclude(st, &err);
	} else if (st->status == 400 || st->status == 401 || st->status == 403) {
		snprintf(text, sizeof(text), " (token service %.200s answers %d)", where,
			 st->status);
		conclude_refused(st, text);
	} else if (st->status != 200) {
		err_set(&err, ERR_AUTH, EPROTO, "token service %s of registry %s answers %d",
			where, st->host->name, st->status);
		conclude(st, &err);
	} else if (token_parse(st->answer.data ? st->answer.data : (const void *)"",
			       st->answer.len, where, &header, &life, &err) < 0) {
		err.kind = ERR_AUTH;
		err_prefix(&err, "token for %s", st->host->name);
		conclude(st, &err);
	} else {
		/* Not used in its last tenth: it must still be good when it arrives. */
		ms = life * 900;
		conclude_ok(st, header, io_now_ms() + ms);
	}
}

static const struct http_ops token_ops = { token_on_head, token_on_data, token_on_done };

static int add_param(struct buf *b, const char *name, const char *value)
{
	int r;

	if (!*value)
		return 0;
	r = buf_addf(b, "%s%s=", b->len ? "&" : "", name);
	return r < 0 ? r : http_url_encode(b, value);
}

static int add_scope(struct auth_state *st, struct buf *b)
{
	char own[320];

	if (*st->challenge.scope)
		return add_param(b, "scope", st->challenge.scope);
	snprintf(own, sizeof(own), "repository:%s:pull%s", st->repo->ref.repo,
		 st->want_push ? ",push" : "");
	return add_param(b, "scope", own);
}

/* The query of a GET, or the form of a POST, appended to b. */
static int make_params(struct auth_state *st, struct buf *b)
{
	int r = 0;

	if (st->creds.identity_token)
		r = add_param(b, "grant_type", "refresh_token");
	if (r == 0)
		r = add_param(b, "service", st->challenge.service);
	if (r == 0)
		r = add_scope(st, b);
	if (r == 0 && st->creds.identity_token)
		r = add_param(b, "client_id", CLIENT_ID);
	if (r == 0 && st->creds.identity_token)
		r = add_param(b, "refresh_token", st->creds.identity_token);
	return r;
}

/* st->url and, for a POST, st->form. */
static int token_prepare(struct auth_state *st)
{
	struct buf b = BUF_INIT(TOKEN_MAX_BYTES);
	const char *realm = st->challenge.realm;
	int r;

	r = make_params(st, &b);
	if (r < 0) {
		wipe(&b);
		return r;
	}
	if (st->creds.identity_token) {
		st->url = strdup(realm);
		wipe(&st->form);
		st->form = b;
		return st->url ? 0 : -ENOMEM;
	}
	if (b.len == 0)
		st->url = strdup(realm);
	else if (asprintf(&st->url, "%s%c%s", realm, strchr(realm, '?') ? '&' : '?',
			  (char *)b.data) < 0)
		st->url = NULL;
	wipe(&b);
	return st->url ? 0 : -ENOMEM;
}

static void token_send(struct auth_state *st)
{
	struct buf basic = BUF_INIT(TOKEN_MAX_BYTES);
	const char *headers[3] = { "Accept: application/json" };
	struct http_ask ask = { .method = "GET", .url = st->url, .headers = headers,
				.tls = &st->host->conf.tls,
				.ops = &token_ops, .arg = st };
	struct err err = ERR_INIT;
	int r = 0;

	if (st->creds.identity_token) {
		ask.method = "POST";
		ask.body = st->form.data;
		ask.body_len = st->form.len;
		headers[1] = "Content-Type: application/x-www-form-urlencoded";
	} else if (st->creds.user &&
		   http_url_same_origin(st->url, st->challenge.realm)) {
		r = auth_basic_header(st->creds.user, st->creds.password, &basic);
		headers[1] = (char *)basic.data;
	}
	st->status = 0;
	wipe(&st->answer);
	st->repo->client->stats.auth_exchanges++;
	if (r < 0)
		r = err_set(&err, ERR_AUTH, EINVAL, "registry %s: the user name has a ':'",
			    st->host->name);
	else
		r = http_start(st->repo->client->http, &ask, &st->http, &err);
	wipe(&basic);
	if (r < 0)
		conclude(st, &err);
}

/* A password may go to the realm over TLS, or where plain HTTP is allowed anyway. */
static bool is_safe_realm(const struct auth_state *st)
{
	const char *realm = st->challenge.realm;
	char host[300];

	if (!http_url_is_valid(realm))
		return false;
	if (http_url_is_https(realm))
		return true;
	return http_url_authority(realm, host, sizeof(host)) == 0 &&
	       (hosts_allow_plain(st->repo->client->opts.plain_http, host) ||
		http_url_same_origin(realm, st->host->conf.base));
}

/* --- the exchange -------------------------------------------------------------------- */

static void with_basic(struct auth_state *st)
{
	struct buf b = BUF_INIT(TOKEN_MAX_BYTES);
	struct err err = ERR_INIT;

	if (!st->creds.user) {
		conclude_refused(st, "");
		return;
	}
	if (auth_basic_header(st->creds.user, st->creds.password, &b) < 0) {
		wipe(&b);
		err_set(&err, ERR_AUTH, EINVAL, "registry %s: the user name has a ':'",
			st->host->name);
		conclude(st, &err);
		return;
	}
	conclude_ok(st, (char *)buf_take(&b, NULL), UINT64_MAX);
}

static void with_creds(struct auth_state *st)
{
	struct err err = ERR_INIT;

	jdoc_clean(st->creds.user ? st->creds.user : "", st->user, sizeof(st->user));
	if (st->creds.identity_token)
		strcpy(st->user, "<token>");
	st->is_bearer = st->challenge.has_bearer && is_safe_realm(st);
	if (!st->is_bearer && st->challenge.has_basic) {
		with_basic(st);
	} else if (!st->is_bearer) {
		err_set(&err, ERR_AUTH, EPROTO, "registry %s asks for an authorization that we "
			"do not have, or for a token from an address that is not https",
			st->host->name);
		conclude(st, &err);
	} else if (token_prepare(st) < 0) {
		err_sys(&err, ENOMEM, "token for %s", st->host->name);
		conclude(st, &err);
	} else {
		token_send(st);
	}
}

static void creds_work(struct oci_job *job)
{
	struct creds_job *cj = container_of(job, struct creds_job, job);

	if (cj->dir)
		cj->r = creds_lookup(cj->dir, cj->host, &cj->creds, &cj->err);
}

static void creds_job_free(struct creds_job *cj)
{
	creds_done(&cj->creds);
	free(cj->dir);
	free(cj);
}

static void creds_job_done(struct oci_job *job, bool is_orphan)
{
	struct creds_job *cj = container_of(job, struct creds_job, job);
	struct auth_state *st = is_orphan ? NULL : cj->st;
	struct err err = cj->err;
	int r = cj->r;

	if (st) {
		st->job = NULL;
		st->creds = cj->creds;
		memset(&cj->creds, 0, sizeof(cj->creds));
	}
	creds_job_free(cj);
	if (!st)
		return;
	if (r < 0)
		conclude(st, &err);
	else
		with_creds(st);
}

static int copy_explicit(struct creds_job *cj, const struct oci_opts *o)
{
	if (!*o->username || !strcmp(o->username, "<token>")) {
		cj->creds.identity_token = strdup(o->password);
		return cj->creds.identity_token ? 0 : -ENOMEM;
	}
	cj->creds.user = strdup(o->username);
	cj->creds.password = strdup(o->password);
	return cj->creds.user && cj->creds.password ? 0 : -ENOMEM;
}

static int start_creds(struct auth_state *st, struct err *err)
{
	struct oci_client *c = st->repo->client;
	struct creds_job *cj = calloc(1, sizeof(*cj));
	int r = 0;

	if (!cj)
		return err_sys(err, ENOMEM, "credentials");
	cj->job.work = creds_work;
	cj->job.done = creds_job_done;
	cj->st = st;
	snprintf(cj->host, sizeof(cj->host), "%s", st->host->cred_key);
	/* Credentials given by hand are for the registry, not for its mirrors. */
	if (c->opts.username && c->opts.password && !st->host->is_foreign) {
		r = copy_explicit(cj, &c->opts);
	} else if (c->opts.docker_config) {
		cj->dir = strdup(c->opts.docker_config);
		r = cj->dir ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = client_run(c, &cj->job);
	if (r < 0) {
		creds_job_free(cj);
		return err_sys(err, -r, "credentials for %s", st->host->name);
	}
	st->job = cj;
	return 0;
}

int auth_state_renew(struct auth_state *st, const struct auth_challenge *ch, bool want_push,
		     struct auth_waiter *w, struct err *err)
{
	int r;

	if (!st->is_busy) {
		if (ch)
			st->challenge = *ch;
		st->has_challenge |= ch != NULL;
		st->want_push |= want_push;
		if (!st->has_challenge)
			return err_set(err, ERR_BUG, EINVAL, "no challenge to answer");
		r = start_creds(st, err);
		if (r < 0)
			return r;
		st->is_busy = true;
	}
	list_add_tail(&st->waiters, &w->node);
	return 0;
}
