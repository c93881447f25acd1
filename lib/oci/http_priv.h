/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http_priv.h - the inside of http.c, http_setup.c and http_end.c. */
#ifndef LZ_OCI_HTTP_PRIV_H
#define LZ_OCI_HTTP_PRIV_H

#include <curl/curl.h>

#include "base/list.h"
#include "oci/http.h"

enum req_state { REQ_WAITING, REQ_ACTIVE, REQ_ENDING, REQ_DEAD };

struct http {
	struct http_opts opts;
	char *user_agent;
	CURLM *multi;
	unsigned in_curl;
	/* Each request is in exactly one of these. */
	struct list waiting, waiting_background, active, ending, dead;
	uint64_t bytes, requests;
};

struct http_req {
	struct list node;
	struct http *http;
	enum req_state state;
	CURL *easy;
	struct curl_slist *headers;
	char *url;
	char origin[300];		/* for the limit of connections per host */
	char method[8];
	const struct http_ops *ops;
	void *arg;
	struct http_head head;
	bool head_done, paused, resume;
	int cb_result;			/* what stopped it: HTTP_STOP or -errno */
	struct timer stall;
	enum http_end end;		/* when ENDING */
	struct err err;
	char curl_text[CURL_ERROR_SIZE];
	const uint8_t *body;
	const struct http_body *stream;
	bool stream_waits, is_put, fresh;
	uint64_t body_len, body_pos;
	uint64_t stall_sent;		/* on the wire when the stall timer was last asked */
};

/*
 * http_setup.c: all that depends on the request and not on what comes back: address,
 * method, time-outs, TLS, proxies. req->easy, url, headers and body_len are set.
 */
int http_setup(struct http_req *req, const struct http_tls *tls, bool with_cert);

/* http_end.c */
/* err := "METHOD address: what"; -num. */
int http_fail(struct http_req *req, struct err *err, enum err_kind kind, int num,
	      const char *what);
/* curl is done with req: sets end, and err where it is not OK or STOPPED. */
void http_conclude(struct http_req *req, CURLcode code);

#endif
