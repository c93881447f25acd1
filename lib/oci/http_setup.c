/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http_setup.c - what curl is told of a transfer before it starts; see http_priv.h. */
#include "oci/http_priv.h"

#include <errno.h>
#include <string.h>

/* As everybody does: what the environment says of proxies is not for this machine. */
static void set_proxy(struct http_req *req)
{
	char host[300];

	if (http_url_host(req->url, host, sizeof(host)) == 0 && http_host_is_loopback(host))
		curl_easy_setopt(req->easy, CURLOPT_NOPROXY, "*");
}

static void set_tls(struct http_req *req, const struct http_tls *tls, bool with_cert)
{
	CURL *e = req->easy;
	bool verify = !req->http->opts.insecure_tls && !(tls && tls->skip_verify);

	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, (long)verify);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
	if (!tls)
		return;
	if (tls->ca_pem.len) {
		struct curl_blob blob = { tls->ca_pem.data, tls->ca_pem.len,
					  CURL_BLOB_NOCOPY };

		curl_easy_setopt(e, CURLOPT_CAINFO_BLOB, &blob);
	}
	if (!with_cert)
		return;
	if (tls->cert_file)
		curl_easy_setopt(e, CURLOPT_SSLCERT, tls->cert_file);
	if (tls->key_file)
		curl_easy_setopt(e, CURLOPT_SSLKEY, tls->key_file);
}

static void set_method(struct http_req *req)
{
	CURL *e = req->easy;

	if (!strcmp(req->method, "GET")) {
		curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
	} else if (!strcmp(req->method, "HEAD")) {
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	} else {
		curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, req->method);
		curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->body_len);
	}
}

int http_setup(struct http_req *req, const struct http_tls *tls, bool with_cert)
{
	const struct http_opts *opts = &req->http->opts;
	CURL *e = req->easy;
	int bad = 0;

	bad |= curl_easy_setopt(e, CURLOPT_URL, req->url) != CURLE_OK;
	bad |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK;
	bad |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, req->headers) != CURLE_OK;
	bad |= curl_easy_setopt(e, CURLOPT_USERAGENT, req->http->user_agent) != CURLE_OK;
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 131072L);
	curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, 262144L);
	curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)opts->connect_timeout_ms);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, req->curl_text);
	curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, (long)req->fresh);
	set_method(req);
	set_tls(req, tls, with_cert);
	set_proxy(req);
	return bad ? -ENOMEM : 0;
}
