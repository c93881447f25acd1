/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http.h - single HTTP transfers on one curl multi handle, and what we need to know of
 * their headers. Policy (authentication, redirects, retries) lives above, in call.h.
 *
 * Owner thread only. curl's callbacks must not add or remove transfers, so starts and
 * removals are put off to http_run_pending(), which the client calls on the way out of
 * each entry point (client_leave()). Consequences:
 *   - http_start() calls nothing back before it returns
 *   - http_abort() may be called anywhere, in any callback: no callback follows
 *   - on_done comes from http_run_pending(), once, last; the transfer is gone after it
 * HTTP/1.1 only: a paused transfer then holds up its own connection and nothing else.
 */
#ifndef LZ_OCI_HTTP_H
#define LZ_OCI_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "oci/timer.h"

struct http;
struct http_req;

/* Strings may be NULL; must outlive the transfer. */
struct http_tls {
	struct buf ca_pem;	/* trusted besides the system's; empty: the system's only */
	char *cert_file, *key_file;
	bool skip_verify;
};

#define HTTP_UNKNOWN UINT64_MAX
#define HTTP_MAX_FIELD_BYTES 16384u	/* of Location, WWW-Authenticate, Link */
#define HTTP_MAX_HEAD_BYTES 131072u

struct http_head {
	int status;
	uint64_t length;		/* Content-Length or HTTP_UNKNOWN */
	enum { HTTP_RANGE_NONE, HTTP_RANGE_OK, HTTP_RANGE_BAD } range;
	uint64_t range_first, range_last;
	uint64_t range_total;		/* or HTTP_UNKNOWN for '*' */
	int64_t retry_after_ms;		/* -1: not said */
	bool is_encoded;		/* Content-Encoding other than identity */
	bool has_subject;		/* OCI-Subject */
	char content_type[128];		/* without parameters, lower case */
	char content_digest[80];	/* Docker-Content-Digest, "" if none */
	struct buf location, link;
	struct buf challenges;		/* WWW-Authenticate fields, joined by ", " */
	size_t bytes;			/* of all lines, against HTTP_MAX_HEAD_BYTES */
};

void http_head_init(struct http_head *h);
void http_head_done(struct http_head *h);
/* Take one header line (without or with CRLF) in; -EINVAL if the head is too large. */
int http_head_add(struct http_head *h, const char *line, size_t len);
/* "bytes FIRST-LAST/TOTAL", TOTAL may be '*': strict; -EINVAL. */
int http_parse_content_range(const char *s, uint64_t *ret_first, uint64_t *ret_last,
			     uint64_t *ret_total);
/* 301, 302, 303, 307, 308? */
bool http_is_redirect(int status);
/* Seconds or an HTTP date, relative to now_s (Unix time); -1 if neither. */
int64_t http_parse_retry_after(const char *s, int64_t now_s);

/* How a transfer ended. */
enum http_end {
	HTTP_END_OK,		/* response complete, as long as it said it would be */
	HTTP_END_STOPPED,	/* on_head or on_data returned HTTP_STOP */
	HTTP_END_REFUSED,	/* on_head or on_data returned -errno: err.num */
	HTTP_END_CONNECT,	/* no connection: name, refused, connect time-out */
	HTTP_END_CERT,		/* the peer's certificate is not trusted */
	HTTP_END_NOT_HTTP,	/* connected, but what is there does not speak our protocol */
	HTTP_END_BROKEN,	/* reset, short body, stall */
	HTTP_END_LOCAL,		/* memory, descriptors */
};

#define HTTP_STOP 1

struct http_ops {
	/* The head is complete (not for 1xx). 0, HTTP_STOP or -errno. Required. */
	int (*on_head)(void *arg, const struct http_head *head);
	/* Body bytes, in order. 0, HTTP_STOP or -errno. Required. */
	int (*on_data)(void *arg, const uint8_t *data, size_t len);
	/* Required. err is set unless end is OK or STOPPED. */
	void (*on_done)(void *arg, enum http_end end, const struct err *err);
};

/* A body that is made while it is sent. */
struct http_body {
	/*
	 * Up to len bytes (never more than are left of the body) into data: how many;
	 * HTTP_BODY_LATER: none yet, http_body_ready() will say when; -errno ends the transfer.
	 */
	ssize_t (*read)(void *arg, uint8_t *data, size_t len);
	void *arg;
};

#define HTTP_BODY_LATER 0

struct http_ask {
	const char *method;		/* GET, HEAD, POST, PUT, PATCH, DELETE */
	const char *url;		/* http or https, absolute; copied */
	const char *const *headers;	/* "Name: value", NULL-terminated; copied */
	const struct http_tls *tls;	/* may be NULL */
	bool omit_client_cert;		/* another host than the one that tls was made for */
	/* Body of POST, PUT, PATCH: from memory, or stream if that is set. Borrowed. */
	const void *body;
	const struct http_body *stream;
	uint64_t body_len;
	bool fresh;			/* on a connection of its own, not a kept one */
	bool background;		/* waits behind others when connections are short */
	const struct http_ops *ops;
	void *arg;
};

struct http_opts {
	const char *user_agent;
	uint32_t connect_timeout_ms, stall_timeout_ms, max_connections;
	bool insecure_tls;
	struct timers *timers;
	/* As in oci_hooks. */
	void *arg;
	void (*watch_fd)(void *arg, int fd, int events);
	/* curl wants http_timer_fired() at in_ms from now; -1: no more. */
	void (*curl_timer)(void *arg, int64_t in_ms);
};

int http_new(const struct http_opts *opts, struct http **ret, struct err *err);
/* All transfers must be gone. */
void http_free(struct http *h);

int http_start(struct http *h, const struct http_ask *ask, struct http_req **ret,
	       struct err *err);
void http_abort(struct http_req *req);
void http_pause(struct http_req *req, bool pause);
/* The stream has bytes again, or an error to return. May be called at any time. */
void http_body_ready(struct http_req *req);

void http_fd_ready(struct http *h, int fd, int events);
void http_timer_fired(struct http *h);
/* Start, remove and finish what is waiting for it. Not from a callback. */
void http_run_pending(struct http *h);
/* Bytes of bodies so far, and transfers begun. */
void http_count(const struct http *h, uint64_t *ret_bytes, uint64_t *ret_requests);

/* --- URLs (http_url.c) --- */

/* Is it an absolute http(s) URL with a host and without user information? */
bool http_url_is_valid(const char *url);
bool http_url_is_https(const char *url);
/* Host without port and brackets, lower case. */
int http_url_host(const char *url, char *ret, size_t ret_size);
/* "host[:port]": the default port of the scheme left out. */
int http_url_authority(const char *url, char *ret, size_t ret_size);
/* Same scheme, host and port? false also if either is not a URL. */
bool http_url_same_origin(const char *a, const char *b);
/* location relative to base; must be http(s), with a host, without user information. */
int http_url_resolve(const char *base, const char *location, char **ret);
/* url + ('?' or '&') + name=value, the value percent-encoded. */
int http_url_add_query(const char *url, const char *name, const char *value, char **ret);
/* Append text percent-encoded (RFC 3986 unreserved kept). */
int http_url_encode(struct buf *b, const char *text);
/* For messages: no query, no fragment, no user information, no control characters. */
void http_url_redact(const char *url, char *ret, size_t ret_size);
/* localhost, *.localhost, 127.0.0.0/8, ::1 (with or without brackets)? */
bool http_host_is_loopback(const char *host);

#endif
