/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http_end.c - how a transfer ended, from what curl and our callbacks say; see http_priv.h. */
#include "oci/http_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int http_fail(struct http_req *req, struct err *err, enum err_kind kind, int num,
		const char *what)
{
	char where[256];

	http_url_redact(req->url, where, sizeof(where));
	return err_set(err, kind, num, "%s %s: %s", req->method, where, what);
}

static enum http_end classify(const struct http_req *req, CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return HTTP_END_OK;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
		return HTTP_END_CONNECT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR:
		return HTTP_END_CERT;
	case CURLE_FAILED_INIT:
		return HTTP_END_LOCAL;
	case CURLE_OUT_OF_MEMORY:	/* also curl's word for a head that is too large */
		return HTTP_END_BROKEN;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return HTTP_END_NOT_HTTP;
	default:
		return req->head_done ? HTTP_END_BROKEN : HTTP_END_NOT_HTTP;
	}
}

static void set_end_err(struct http_req *req, CURLcode code)
{
	char text[300];
	size_t n;

	n = (size_t)snprintf(text, sizeof(text), "%s",
			     *req->curl_text ? req->curl_text : curl_easy_strerror(code));
	if (n >= sizeof(text))
		n = sizeof(text) - 1;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20 || (unsigned char)text[i] >= 0x7f)
			text[i] = '?';
	/* The kept connection was dead, and the stream cannot be sent again. */
	if (code == CURLE_SEND_FAIL_REWIND)
		snprintf(text, sizeof(text), "the connection broke while sending");
	switch (req->end) {
	case HTTP_END_CERT:
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s",
			 "; if that is your own authority, put its certificate into hosts.toml "
			 "(ca =) or certs.d");
		http_fail(req, &req->err, ERR_AUTH, EACCES, text);
		break;
	case HTTP_END_LOCAL:
		http_fail(req, &req->err, ERR_SYSTEM, ENOMEM, text);
		break;
	default:
		http_fail(req, &req->err, ERR_NETWORK,
		     code == CURLE_OPERATION_TIMEDOUT ? ETIMEDOUT : EIO, text);
	}
}

/* curl is done with req: why? */
void http_conclude(struct http_req *req, CURLcode code)
{
	if (req->cb_result == HTTP_STOP) {
		req->end = HTTP_END_STOPPED;
	} else if (req->cb_result == -EBADMSG && !req->head_done) {
		req->end = HTTP_END_BROKEN;
		http_fail(req, &req->err, ERR_CORRUPT, EBADMSG,
		     "the response header is malformed or too large");
	} else if (req->cb_result < 0) {
		req->end = HTTP_END_REFUSED;
		/* The receiver's own trouble: a full disk, say. */
		http_fail(req, &req->err, ERR_SYSTEM, -req->cb_result, strerror(-req->cb_result));
	} else {
		req->end = classify(req, code);
		if (req->end == HTTP_END_OK && !req->head_done)
			req->end = HTTP_END_NOT_HTTP;
		if (req->end != HTTP_END_OK) {
			set_end_err(req, code);
		} else if (req->head.status < 300 && req->body_pos < req->body_len) {
			req->end = HTTP_END_BROKEN;
			http_fail(req, &req->err, ERR_NETWORK, EPROTO, "accepted before it was sent");
		}
	}
}
