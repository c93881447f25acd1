/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http.c - transfers on a curl multi handle; see http.h.
 *
 * A transfer's way:  WAITING -> ACTIVE -> (curl says done | ENDING: we end it) -> on_done
 *                    any of them -> DEAD by http_abort(), freed without a word
 * curl is entered in three places only: add, socket_action, pause; in_curl counts them and
 * nothing is added or removed while it is not 0.
 */
#include "oci/http_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* How many stall time-outs an upload may wait for its answer. */
#define STORE_PATIENCE 30u

static void req_free(struct http_req *req)
{
	timer_stop(&req->stall);
	list_del(&req->node);
	if (req->easy)
		curl_easy_cleanup(req->easy);
	curl_slist_free_all(req->headers);
	http_head_done(&req->head);
	free(req->url);
	free(req);
}
DEFINE_CLEANUP(struct http_req *, req_free, cleanup_reqp)

static void req_move(struct http_req *req, enum req_state state, struct list *to)
{
	timer_stop(&req->stall);
	list_del(&req->node);
	list_add_tail(to, &req->node);
	req->state = state;
}

/* --- curl's callbacks ---------------------------------------------------------------- */

/*
 * All is sent: a registry that stores it elsewhere, or hashes it, takes its time. That is
 * so of the last request of a session, too, which has nothing left to send.
 */
static void start_stall(struct http_req *req)
{
	uint64_t ms = req->http->opts.stall_timeout_ms;

	if (!req->head_done && req->is_put && req->body_pos == req->body_len)
		ms *= STORE_PATIENCE;
	timer_start(req->http->opts.timers, &req->stall, ms);
}

/* The head is complete: tell, and note the answer. */
static size_t head_complete(struct http_req *req, size_t taken)
{
	long status = 0;
	int r;

	curl_easy_getinfo(req->easy, CURLINFO_RESPONSE_CODE, &status);
	req->head.status = (int)status;
	if (status < 200)
		return taken;
	req->head_done = true;
	if (!req->paused)
		start_stall(req);
	r = req->ops->on_head(req->arg, &req->head);
	if (req->state != REQ_ACTIVE)
		return 0;
	req->cb_result = r;
	return r ? 0 : taken;
}

static size_t cb_header(char *line, size_t size, size_t n, void *arg)
{
	struct http_req *req = arg;
	size_t len = size * n;

	if (req->state != REQ_ACTIVE)
		return 0;
	if (req->head_done)		/* trailers */
		return len;
	if (len >= 5 && !memcmp(line, "HTTP/", 5)) {
		http_head_done(&req->head);
		http_head_init(&req->head);
		return len;
	}
	if (len == 0 || line[0] == '\r' || line[0] == '\n')
		return head_complete(req, len);
	if (http_head_add(&req->head, line, len) < 0) {
		req->cb_result = -EBADMSG;
		return 0;
	}
	return len;
}

static size_t cb_write(char *data, size_t size, size_t n, void *arg)
{
	struct http_req *req = arg;
	size_t len = size * n;
	int r;

	if (req->state != REQ_ACTIVE)
		return 0;
	if (req->paused)
		return CURL_WRITEFUNC_PAUSE;
	timer_start(req->http->opts.timers, &req->stall, req->http->opts.stall_timeout_ms);
	req->http->bytes += len;
	r = req->ops->on_data(req->arg, (const uint8_t *)data, len);
	if (req->state != REQ_ACTIVE)
		return 0;
	req->cb_result = r;
	return r ? 0 : len;
}

/* From the stream: curl's answer. It may wait as long as it likes. */
static size_t read_stream(struct http_req *req, char *data, size_t len)
{
	ssize_t got = req->stream->read(req->stream->arg, (uint8_t *)data, len);

	if (req->state != REQ_ACTIVE)
		return CURL_READFUNC_ABORT;
	if (got == HTTP_BODY_LATER) {
		req->stream_waits = true;
		timer_stop(&req->stall);
		return CURL_READFUNC_PAUSE;
	}
	if (got < 0) {
		req->cb_result = (int)got;
		return CURL_READFUNC_ABORT;
	}
	return (size_t)got;
}

static size_t cb_read(char *data, size_t size, size_t n, void *arg)
{
	struct http_req *req = arg;
	uint64_t left = req->body_len - req->body_pos;
	size_t len = size * n;

	if (req->state != REQ_ACTIVE)
		return CURL_READFUNC_ABORT;
	if (len > left)
		len = (size_t)left;
	if (len && req->stream) {
		len = read_stream(req, data, len);
		if (len == CURL_READFUNC_PAUSE || len == CURL_READFUNC_ABORT)
			return len;
	} else if (len) {
		memcpy(data, req->body + req->body_pos, len);
	}
	req->body_pos += len;
	start_stall(req);
	return len;
}

static int cb_seek(void *arg, curl_off_t off, int whence)
{
	struct http_req *req = arg;

	if (whence != SEEK_SET || off < 0 || (uint64_t)off > req->body_len)
		return CURL_SEEKFUNC_FAIL;
	/* What a stream gave is gone. */
	if (req->stream && (uint64_t)off != req->body_pos)
		return CURL_SEEKFUNC_FAIL;
	req->body_pos = (uint64_t)off;
	return CURL_SEEKFUNC_OK;
}

/* Connected, the request goes out now. */
static int cb_prereq(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	struct http_req *req = arg;

	(void)ip;
	(void)local_ip;
	(void)port;
	(void)local_port;
	if (req->state != REQ_ACTIVE)
		return CURL_PREREQFUNC_ABORT;
	if (!req->paused)
		start_stall(req);
	return CURL_PREREQFUNC_OK;
}

static int cb_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *sock)
{
	struct http *h = arg;
	int events = 0;

	(void)easy;
	(void)sock;
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= POLLIN;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= POLLOUT;
	h->opts.watch_fd(h->opts.arg, fd, events);
	return 0;
}

static int cb_timer(CURLM *multi, long ms, void *arg)
{
	struct http *h = arg;

	(void)multi;
	h->opts.curl_timer(h->opts.arg, ms);
	return 0;
}

/* --- setting up ---------------------------------------------------------------------- */

int http_new(const struct http_opts *opts, struct http **ret, struct err *err)
{
	struct http *h;

	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return err_set(err, ERR_SYSTEM, ENOMEM, "libcurl does not start");
	h = calloc(1, sizeof(*h));
	if (!h)
		return err_sys(err, ENOMEM, "HTTP client");
	h->opts = *opts;
	list_init(&h->waiting);
	list_init(&h->waiting_background);
	list_init(&h->active);
	list_init(&h->ending);
	list_init(&h->dead);
	h->user_agent = strdup(opts->user_agent);
	h->multi = curl_multi_init();
	if (!h->multi || !h->user_agent) {
		http_free(h);
		return err_sys(err, ENOMEM, "HTTP client");
	}
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, cb_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, cb_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 64L);
	*ret = h;
	return 0;
}

void http_free(struct http *h)
{
	struct http_req *req, *tmp;

	if (!h)
		return;
	list_for_each_safe(req, tmp, &h->dead, node) {
		if (req->easy && h->multi)
			curl_multi_remove_handle(h->multi, req->easy);
		req_free(req);
	}
	if (h->multi)
		curl_multi_cleanup(h->multi);
	free(h->user_agent);
	free(h);
	curl_global_cleanup();
}

static void set_callbacks(struct http_req *req)
{
	CURL *e = req->easy;

	curl_easy_setopt(e, CURLOPT_PRIVATE, req);
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, cb_prereq);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, req);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, cb_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, req);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, cb_write);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, req);
	curl_easy_setopt(e, CURLOPT_READFUNCTION, cb_read);
	curl_easy_setopt(e, CURLOPT_READDATA, req);
	curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, cb_seek);
	curl_easy_setopt(e, CURLOPT_SEEKDATA, req);
}

static int add_header(struct http_req *req, const char *line)
{
	struct curl_slist *list;

	/* Nothing of ours has these; a token or a media type from outside could. */
	if (strpbrk(line, "\r\n"))
		return -EINVAL;
	list = curl_slist_append(req->headers, line);
	if (!list)
		return -ENOMEM;
	req->headers = list;
	return 0;
}

static void on_stall(void *arg)
{
	struct http_req *req = arg;
	curl_off_t sent = 0;

	/* What curl holds goes out little by little: a slow line does not stall. */
	if (!req->head_done &&
	    curl_easy_getinfo(req->easy, CURLINFO_SIZE_UPLOAD_T, &sent) == CURLE_OK &&
	    (uint64_t)sent > req->stall_sent) {
		req->stall_sent = (uint64_t)sent;
		start_stall(req);
		return;
	}
	req->end = HTTP_END_BROKEN;
	http_fail(req, &req->err, ERR_NETWORK, ETIMEDOUT,
	     req->head_done ? "no data for too long" : "no answer in time");
	req_move(req, REQ_ENDING, &req->http->ending);
}

int http_start(struct http *h, const struct http_ask *ask, struct http_req **ret,
	       struct err *err)
{
	cleanup_(cleanup_reqp) struct http_req *req = calloc(1, sizeof(*req));
	int r;

	if (!req)
		return err_sys(err, ENOMEM, "HTTP request");
	list_init(&req->node);
	timer_init(&req->stall, on_stall, req);
	http_head_init(&req->head);
	req->http = h;
	req->ops = ask->ops;
	req->arg = ask->arg;
	req->body = ask->body;
	req->stream = ask->stream;
	req->is_put = !strcmp(ask->method, "PUT") || !strcmp(ask->method, "PATCH");
	req->fresh = ask->fresh;
	req->body_len = ask->body_len;
	snprintf(req->method, sizeof(req->method), "%s", ask->method);
	req->url = strdup(ask->url);
	req->easy = curl_easy_init();
	if (!req->url || !req->easy)
		return err_sys(err, ENOMEM, "HTTP request");
	if (http_url_authority(ask->url, req->origin, sizeof(req->origin)) < 0)
		return http_fail(req, err, ERR_UNSUPPORTED, EINVAL, "not an http(s) address");
	r = add_header(req, "Accept-Encoding: identity");
	if (r == 0)
		r = add_header(req, "Expect:");
	for (const char *const *p = ask->headers; p && *p && r == 0; p++)
		r = add_header(req, *p);
	if (r == 0)
		r = http_setup(req, ask->tls, !ask->omit_client_cert);
	if (r < 0)
		return http_fail(req, err, r == -ENOMEM ? ERR_SYSTEM : ERR_CORRUPT, -r,
			    r == -ENOMEM ? "out of memory" : "line break in a header");
	set_callbacks(req);
	list_add_tail(ask->background ? &h->waiting_background : &h->waiting, &req->node);
	*ret = TAKE_PTR(req);
	return 0;
}

void http_abort(struct http_req *req)
{
	if (req && req->state != REQ_DEAD)
		req_move(req, REQ_DEAD, &req->http->dead);
}

void http_pause(struct http_req *req, bool pause)
{
	if (req->state == REQ_DEAD || req->state == REQ_ENDING || req->paused == pause)
		return;
	req->paused = pause;
	req->resume = !pause;
	if (req->state != REQ_ACTIVE)
		return;
	if (pause)
		timer_stop(&req->stall);
	else
		timer_start(req->http->opts.timers, &req->stall,
			    req->http->opts.stall_timeout_ms);
}

void http_body_ready(struct http_req *req)
{
	if (!req->stream_waits || req->state != REQ_ACTIVE)
		return;
	req->stream_waits = false;
	req->resume = true;
	timer_start(req->http->opts.timers, &req->stall, req->http->opts.stall_timeout_ms);
}

/* --- running ------------------------------------------------------------------------- */

void http_fd_ready(struct http *h, int fd, int events)
{
	int running, mask = 0;

	if (events & POLLIN)
		mask |= CURL_CSELECT_IN;
	if (events & POLLOUT)
		mask |= CURL_CSELECT_OUT;
	if (events & (POLLERR | POLLHUP | POLLNVAL))
		mask |= CURL_CSELECT_ERR;
	h->in_curl++;
	curl_multi_socket_action(h->multi, fd, mask, &running);
	h->in_curl--;
}

void http_timer_fired(struct http *h)
{
	int running;

	h->in_curl++;
	curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	h->in_curl--;
}

static void take_messages(struct http *h)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(h->multi, &left))) {
		struct http_req *req = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &req);
		if (!req || req->state != REQ_ACTIVE)
			continue;
		http_conclude(req, msg->data.result);
		req_move(req, REQ_ENDING, &h->ending);
	}
}

static void detach(struct http_req *req)
{
	struct http *h = req->http;

	h->in_curl++;
	curl_multi_remove_handle(h->multi, req->easy);
	h->in_curl--;
}

static bool has_room(struct http *h, const struct http_req *req, uint32_t limit)
{
	struct http_req *other;
	uint32_t n = 0;

	list_for_each(other, &h->active, node)
		n += !strcmp(other->origin, req->origin);
	return n < limit;
}

static void activate(struct http_req *req)
{
	struct http *h = req->http;
	CURLMcode code;

	req_move(req, REQ_ACTIVE, &h->active);
	if (!req->paused)
		timer_start(h->opts.timers, &req->stall,
			    (uint64_t)h->opts.connect_timeout_ms + h->opts.stall_timeout_ms);
	h->requests++;
	h->in_curl++;
	code = curl_multi_add_handle(h->multi, req->easy);
	h->in_curl--;
	if (code) {
		req->end = HTTP_END_LOCAL;
		http_fail(req, &req->err, ERR_SYSTEM, ENOMEM, curl_multi_strerror(code));
		req_move(req, REQ_ENDING, &h->ending);
	}
}

static void start_waiting(struct http *h)
{
	uint32_t all = h->opts.max_connections, some = all > 2 ? all - 2 : all;
	struct http_req *req, *tmp;

	list_for_each_safe(req, tmp, &h->waiting, node)
		if (has_room(h, req, all))
			activate(req);
	list_for_each_safe(req, tmp, &h->waiting_background, node)
		if (has_room(h, req, some))
			activate(req);
}

/* One unpaused transfer; curl may hand over data right here. */
static bool resume_one(struct http *h)
{
	struct http_req *req;
	CURLcode code;

	list_for_each(req, &h->active, node) {
		if (!req->resume)
			continue;
		req->resume = false;
		h->in_curl++;
		code = curl_easy_pause(req->easy, CURLPAUSE_CONT);
		h->in_curl--;
		/* A callback refused what was held back: curl does not end it by itself. */
		if (code && req->state == REQ_ACTIVE) {
			http_conclude(req, code);
			req_move(req, REQ_ENDING, &h->ending);
		}
		return true;
	}
	return false;
}

static void end_one(struct http *h)
{
	struct http_req *req = list_first(&h->ending, struct http_req, node);
	const struct http_ops *ops = req->ops;
	void *arg = req->arg;
	enum http_end end = req->end;
	struct err err = req->err;

	detach(req);
	req_free(req);
	ops->on_done(arg, end, end == HTTP_END_OK || end == HTTP_END_STOPPED ? NULL : &err);
}

void http_run_pending(struct http *h)
{
	if (h->in_curl)
		return;
	for (;;) {
		while (!list_is_empty(&h->dead)) {
			struct http_req *req = list_first(&h->dead, struct http_req, node);

			detach(req);
			req_free(req);
		}
		take_messages(h);
		if (!list_is_empty(&h->ending)) {
			end_one(h);
			continue;
		}
		if (resume_one(h))
			continue;
		start_waiting(h);
		if (list_is_empty(&h->ending) && list_is_empty(&h->dead))
			return;
	}
}

void http_count(const struct http *h, uint64_t *ret_bytes, uint64_t *ret_requests)
{
	*ret_bytes = h->bytes;
	*ret_requests = h->requests;
}
