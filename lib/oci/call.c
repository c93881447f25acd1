/* SPDX-License-Identifier: GPL-2.0-or-later */
/* call.c - the way of a call; see call.h for the rules and the picture. */
#include "oci/call_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

#define BACKOFF_MIN_MS 30u
#define BACKOFF_MAX_MS 10000u
#define RETRY_AFTER_MAX_MS 60000
#define MIRROR_DOWN_MS 10000u

static void call_next_round(void *arg);

static void reply_done(struct call_reply *r)
{
	free(r->location);
	free(r->link);
	memset(r, 0, sizeof(*r));
	r->length = HTTP_UNKNOWN;
	r->retry_after_ms = -1;
}

static void call_unref(struct call *call)
{
	if (--call->refs)
		return;
	reply_done(&call->reply);
	for (size_t i = 0; i < CALL_MAX_HEADERS; i++)
		free(call->headers[i]);
	free(call->method);
	free(call->path);
	free(call->start_url);
	free(call->url);
	buf_done(&call->error_body);
	buf_done(&call->location);
	buf_done(&call->challenges);
	oci_repo_put(call->repo);
	free(call);
}

/* The one way out. */
void call_finish(struct call *call, const struct err *err)
{
	if (call->is_finished)
		return;
	call->is_finished = true;
	list_del(&call->req.node);
	list_del(&call->waiter.node);
	timer_stop(&call->backoff);
	timer_stop(&call->deadline);
	http_abort(call->http);
	call->http = NULL;
	if (err)
		call->req.client->stats.failures++;
	call->spec.ops->on_done(call->spec.arg, err, &call->reply);
	call_unref(call);
}

static void call_fail(struct call *call, enum err_kind kind, int num, const char *what)
{
	char where[320];
	struct err err;

	answer_where(call, where, sizeof(where));
	err_set(&err, kind, num, "%s: %s", where, what);
	call_finish(call, &err);
}

/* --- hosts and rounds ---------------------------------------------------------------- */

static bool host_is_usable(const struct call *call, size_t i)
{
	const struct repo_host *h = &call->repo->hosts[i];

	if ((h->conf.caps & call->spec.cap) != call->spec.cap || (call->skip_hosts >> i & 1))
		return false;
	/* A push goes to the registry itself, never to a mirror. */
	if ((call->spec.cap & HOST_CAP_PUSH) && !h->conf.is_origin)
		return false;
	return h->conf.is_origin || h->down_until_ms <= io_now_ms();
}

/* From host i on; false: none left in this round. */
static bool pick_host(struct call *call, size_t i)
{
	while (i < call->repo->nhosts && !host_is_usable(call, i))
		i++;
	call->host = i;
	call->hops = call->exchanges = call->scheme_flips = 0;
	call->via_final = call->renewed = call->fresh_auth = false;
	free(call->url);
	call->url = NULL;
	return i < call->repo->nhosts;
}

static uint64_t backoff_ms(struct call *call)
{
	uint64_t ms = BACKOFF_MIN_MS;

	for (uint32_t i = 0; i < call->round && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	return ms + client_random(call->req.client, ms / 8 + 1);
}

static void round_failed(struct call *call)
{
	struct oci_client *c = call->req.client;
	uint64_t ms = backoff_ms(call);

	if (!call->has_hope || call->spec.no_retries || call->round >= c->opts.retries) {
		call_finish(call, &call->err);
		return;
	}
	if (call->retry_after_ms > RETRY_AFTER_MAX_MS) {
		err_prefix(&call->err, "told to come back in %" PRId64 " s",
			   call->retry_after_ms / 1000);
		call_finish(call, &call->err);
		return;
	}
	if (call->retry_after_ms > (int64_t)ms)
		ms = (uint64_t)call->retry_after_ms;
	call->round++;
	c->stats.retries++;
	timer_start(&c->timers, &call->backoff, ms);
}

/* call->err and has_hope say why. */
void call_host_failed(struct call *call)
{
	struct repo_host *h = call_host(call);
	struct err kept = call->err;
	bool hope = call->has_hope;

	if (call->spec.is_blob)
		repo_final_forget(call->repo, call->host, &call->spec.digest);
	if (!h->conf.is_origin && hope)
		h->down_until_ms = io_now_ms() + MIRROR_DOWN_MS;
	if (!hope && call->host < 64)
		call->skip_hosts |= UINT64_C(1) << call->host;
	if (pick_host(call, call->host + 1)) {
		call_send(call);
		return;
	}
	call->err = kept;
	call->has_hope = hope;
	round_failed(call);
}

static void begin_round(struct call *call)
{
	call->retry_after_ms = -1;
	if (pick_host(call, 0)) {
		call_send(call);
		return;
	}
	if (!call->err.num)
		err_set(&call->err, ERR_UNSUPPORTED, EOPNOTSUPP, "no host of registry %s may be "
			"asked for that: see capabilities in hosts.toml", call->repo->ref.host);
	call_finish(call, &call->err);
}

static void call_next_round(void *arg)
{
	begin_round(arg);
}

static void deadline_due(void *arg)
{
	struct call *call = arg;
	char name[600];
	struct err err;

	repo_name(call->repo, name, sizeof(name));
	err_set(&err, ERR_NETWORK, ETIMEDOUT, "%s %s: not done within %u ms%s%.200s",
		call->method, name, call->spec.deadline_ms, call->err.num ? "; before that: " : "",
		call->err.num ? call->err.text : "");
	call_finish(call, &err);
}

/* --- sending ------------------------------------------------------------------------- */

/* base/REPO/path, with ?ns= for hosts that serve several registries. */
static int api_url(struct call *call)
{
	struct repo_host *h = call_host(call);
	cleanup_free char *plain = NULL;

	if (call->start_url) {
		call->url = strdup(call->start_url);
		return call->url ? 0 : -ENOMEM;
	}
	if (asprintf(&plain, "%s/%s/%s", h->conf.base, call->repo->ref.repo, call->path) < 0) {
		plain = NULL;
		return -ENOMEM;
	}
	if (h->is_foreign && !h->conf.is_origin)
		return http_url_add_query(plain, "ns", call->repo->ref.host, &call->url);
	call->url = TAKE_PTR(plain);
	return 0;
}

static int choose_url(struct call *call)
{
	const char *final = NULL;

	if (call->url)
		return 0;
	if (call->spec.is_blob && !call->renewed)
		final = repo_final_get(call->repo, call->host, &call->spec.digest);
	call->via_final = final != NULL;
	if (!final)
		return api_url(call);
	call->url = strdup(final);
	return call->url ? 0 : -ENOMEM;
}

/* "Range: bytes=a-b" unless it is the whole from the start. */
static bool range_header(const struct call *call, char *ret, size_t ret_size)
{
	const struct call_spec *s = &call->spec;
	uint64_t first = s->off + call->delivered, want = call_want(call);

	if (!s->is_blob || (first == 0 && s->len == UINT64_MAX))
		return false;
	if (want == UINT64_MAX)
		snprintf(ret, ret_size, "Range: bytes=%" PRIu64 "-", first);
	else
		snprintf(ret, ret_size, "Range: bytes=%" PRIu64 "-%" PRIu64, first,
			 s->off + want - 1);
	return true;
}

static int on_head(void *arg, const struct http_head *head);
static int on_data(void *arg, const uint8_t *data, size_t len);
static void on_done(void *arg, enum http_end end, const struct err *err);
static const struct http_ops call_http_ops = { on_head, on_data, on_done };

static ssize_t body_read(void *arg, uint8_t *data, size_t len)
{
	struct call *call = arg;
	ssize_t n = call->spec.stream->read(call->spec.stream->arg, data, len);

	call->is_body_begun = call->is_body_begun || n > 0;
	return n;
}

void call_body_ready(struct oci_req *req)
{
	struct call *call = (struct call *)req;

	client_enter(req->client);
	if (call->http)
		http_body_ready(call->http);
	client_leave(req->client);
}

static void transfer(struct call *call)
{
	const char *headers[CALL_MAX_HEADERS + 3];
	struct repo_host *h = call_host(call);
	struct auth_state *st = &h->auth;
	bool is_api = http_url_same_origin(call->url, h->conf.base);
	/* A header obtained for this try is sent, however short its life. */
	const char *auth = call->fresh_auth ? st->header : auth_state_header(st);
	char range[80];
	struct http_ask ask = {
		.method = call->method, .url = call->url, .headers = headers,
		.tls = &h->conf.tls, .omit_client_cert = !is_api,
		.body = call->spec.body, .stream = call->spec.stream ? &call->body : NULL,
		.body_len = call->spec.body_len,
		.fresh = call->spec.fresh, .background = call->spec.background,
		.ops = &call_http_ops, .arg = call,
	};
	struct err err = ERR_INIT;
	size_t n = 0;

	while (n < CALL_MAX_HEADERS && call->headers[n]) {
		headers[n] = call->headers[n];
		n++;
	}
	call->sent_auth = is_api && auth;
	call->auth_generation = st->generation;
	if (call->sent_auth)
		headers[n++] = auth;
	if (range_header(call, range, sizeof(range)))
		headers[n++] = range;
	headers[n] = NULL;
	reply_done(&call->reply);
	buf_reset(&call->error_body);
	buf_reset(&call->location);
	buf_reset(&call->challenges);
	call->is_success = call->is_judged = false;
	if (http_start(call->req.client->http, &ask, &call->http, &err) < 0) {
		call_finish(call, &err);
		return;
	}
	if (call->is_paused)
		http_pause(call->http, true);
}

/* The stream cannot be sent a second time. */
static void fail_begun(struct call *call)
{
	char what[80];

	snprintf(what, sizeof(what), "the upload has to begin again (answer %d)",
		 call->reply.status);
	call_fail(call, ERR_NETWORK, EPIPE, what);
}

/* To call->url, or to where the present host would have it. */
void call_send(struct call *call)
{
	struct auth_state *st = &call_host(call)->auth;

	if (choose_url(call) < 0) {
		call_fail(call, ERR_SYSTEM, ENOMEM, "out of memory");
		return;
	}
	if (call->is_body_begun) {
		fail_begun(call);
		return;
	}
	if (auth_state_is_stale(st) && !call->fresh_auth && !call->hops &&
	    http_url_same_origin(call->url, call_host(call)->conf.base))
		call_renew_auth(call, NULL);
	else
		transfer(call);
}

/* --- answers ------------------------------------------------------------------------- */

static char *copy_text(const struct buf *b)
{
	return b->len ? strdup((char *)b->data) : NULL;
}

static void keep_reply(struct call *call, const struct http_head *h)
{
	struct call_reply *r = &call->reply;

	r->status = h->status;
	r->has_subject = h->has_subject;
	r->length = h->length;
	r->retry_after_ms = h->retry_after_ms;
	r->host_name = call_host(call)->name;
	memcpy(r->content_type, h->content_type, sizeof(r->content_type));
	memcpy(r->content_digest, h->content_digest, sizeof(r->content_digest));
	r->link = copy_text(&h->link);
	if (h->location.len &&
	    http_url_resolve(call->url, (char *)h->location.data, &r->location) < 0)
		r->location = NULL;
}

static int on_head(void *arg, const struct http_head *h)
{
	struct call *call = arg;
	int r = 0;

	keep_reply(call, h);
	call->retry_after_ms = h->retry_after_ms;
	if (h->status >= 200 && h->status < 300) {
		call->is_success = true;
		if (!call->spec.is_blob && call->delivered) {
			call->delivered = 0;
			call->spec.ops->on_restart(call->spec.arg);
		}
		r = answer_check(call, h);
		call->is_judged = r < 0;
		return r;
	}
	call->error_body.max_bytes = CALL_MAX_ERROR_BODY;
	call->challenges.max_bytes = HTTP_MAX_FIELD_BYTES;
	call->location.max_bytes = HTTP_MAX_FIELD_BYTES;
	r = buf_add(&call->challenges, h->challenges.data, h->challenges.len);
	if (r == 0)
		r = buf_add(&call->location, h->location.data, h->location.len);
	return r;
}

/* Bytes of a good answer: skip, cut, hand over. */
static int deliver(struct call *call, const uint8_t *data, size_t len)
{
	bool all = false;
	int r;

	if (call->body_skip) {
		size_t n = len < call->body_skip ? len : (size_t)call->body_skip;

		call->body_skip -= n;
		data += n;
		len -= n;
	}
	if (call->body_left != UINT64_MAX) {
		if (len > call->body_left && !call->is_cut) {
			answer_too_long(call);
			return -EBADMSG;
		}
		if (len >= call->body_left) {
			len = (size_t)call->body_left;
			all = call->is_cut;
		}
		call->body_left -= len;
	}
	if (len == 0)
		return all ? HTTP_STOP : 0;
	call->delivered += len;
	r = call->spec.ops->on_data ? call->spec.ops->on_data(call->spec.arg, data, len) : 0;
	if (r < 0)
		return r;
	return all ? HTTP_STOP : 0;
}

static int on_data(void *arg, const uint8_t *data, size_t len)
{
	struct call *call = arg;
	int r;

	if (!call->is_success)
		return buf_add(&call->error_body, data, len) < 0 ? HTTP_STOP : 0;
	call->refs++;
	r = deliver(call, data, len);
	call_unref(call);
	return r;
}

static void succeeded(struct call *call)
{
	struct repo_host *h = call_host(call);

	if (answer_check_end(call) < 0) {
		call_host_failed(call);
		return;
	}
	h->conf.any_scheme = false;
	h->down_until_ms = 0;
	if (call->spec.is_blob && call->hops)
		repo_final_set(call->repo, call->host, &call->spec.digest, call->url);
	call_finish(call, NULL);
}

/* Every byte came, and then the connection broke: nothing is missing. */
static bool has_all(const struct call *call)
{
	uint64_t want = call_want(call);

	return call->is_success && call->spec.is_blob && want != UINT64_MAX &&
	       call->delivered == want;
}

static void on_done(void *arg, enum http_end end, const struct err *err)
{
	struct call *call = arg;

	call->http = NULL;
	if (call->is_judged) {
		call_host_failed(call);
	} else if (call->reply.status && !call->is_success) {
		call_bad_status(call);
	} else if (end == HTTP_END_REFUSED) {
		call_finish(call, err);
	} else if (end == HTTP_END_OK || end == HTTP_END_STOPPED || has_all(call)) {
		succeeded(call);
	} else {
		call->err = *err;
		call->has_hope = end != HTTP_END_CERT;
		if (end == HTTP_END_LOCAL) {
			call_finish(call, err);
		} else if (end == HTTP_END_NOT_HTTP && call_flip_scheme(call)) {
			call_send(call);
		} else {
			call_host_failed(call);
		}
	}
}

/* --- life ---------------------------------------------------------------------------- */

static void call_cancel(struct oci_req *req, const struct err *err)
{
	struct call *call = (struct call *)req;
	struct err last = call->err;

	/* Whoever gives up waiting may want to know what for. */
	if (err->num == ECANCELED && last.num && last.kind == ERR_NETWORK) {
		last.num = ECANCELED;
		err = &last;
	}
	call_finish(call, err);
}

static void call_pause(struct oci_req *req, bool pause)
{
	struct call *call = (struct call *)req;

	call->is_paused = pause;
	if (call->http)
		http_pause(call->http, pause);
}

static int copy_spec(struct call *call, const struct call_spec *spec)
{
	call->spec = *spec;
	call->method = strdup(spec->method);
	call->path = spec->path ? strdup(spec->path) : NULL;
	call->start_url = spec->url ? strdup(spec->url) : NULL;
	if (!call->method || (spec->path && !call->path) || (spec->url && !call->start_url))
		return -ENOMEM;
	for (size_t i = 0; i < CALL_MAX_HEADERS && spec->headers[i]; i++) {
		call->headers[i] = strdup(spec->headers[i]);
		if (!call->headers[i])
			return -ENOMEM;
	}
	return 0;
}

int call_start(struct oci_repo *repo, const struct call_spec *spec, struct oci_req **ret,
	       struct err *err)
{
	struct oci_client *c = repo->client;
	struct call *call;

	if (c->is_dying)
		return err_set(err, ERR_SYSTEM, ECANCELED, "the registry client stops");
	call = calloc(1, sizeof(*call));
	if (!call)
		return err_sys(err, ENOMEM, "registry call");
	call->refs = 1;
	call->repo = repo;
	repo->refs++;
	list_init(&call->req.node);
	list_init(&call->waiter.node);
	call->body = (struct http_body){ body_read, call };
	call->waiter.fn = call_auth_told;
	call->waiter.arg = call;
	timer_init(&call->backoff, call_next_round, call);
	timer_init(&call->deadline, deadline_due, call);
	call->req.client = c;
	call->req.cancel = call_cancel;
	call->req.pause = call_pause;
	reply_done(&call->reply);
	if (copy_spec(call, spec) < 0) {
		call_unref(call);
		return err_sys(err, ENOMEM, "registry call");
	}
	list_add_tail(&c->reqs, &call->req.node);
	if (spec->deadline_ms)
		timer_start(&c->timers, &call->deadline, spec->deadline_ms);
	/* The first step comes from the loop, so that *ret is set before any callback. */
	timer_start(&c->timers, &call->backoff, 0);
	*ret = &call->req;
	return 0;
}
