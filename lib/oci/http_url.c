/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http_url.c - URL arithmetic on curl's URL parser; see http.h. Pure, any thread. */
#include "oci/http.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(CURLU *, curl_url_cleanup, cleanup_urlp)
DEFINE_CLEANUP(char *, curl_free, cleanup_partp)
#define cleanup_url cleanup_(cleanup_urlp)
#define cleanup_part cleanup_(cleanup_partp)

static bool has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= 0x20 || *s == 0x7f)
			return true;
	return false;
}

/* NULL unless url is absolute http(s), has a host, and carries no credentials. */
static CURLU *parse(const char *url, const char *location)
{
	cleanup_part char *scheme = NULL, *host = NULL, *user = NULL, *password = NULL;
	cleanup_url CURLU *u = curl_url();

	if (!u || has_control(url) || curl_url_set(u, CURLUPART_URL, url, 0))
		return NULL;
	if (location && (has_control(location) ||
			 curl_url_set(u, CURLUPART_URL, location, 0)))
		return NULL;
	if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) ||
	    (strcasecmp(scheme, "http") && strcasecmp(scheme, "https")))
		return NULL;
	if (curl_url_get(u, CURLUPART_HOST, &host, 0) || !*host)
		return NULL;
	if (!curl_url_get(u, CURLUPART_USER, &user, 0) ||
	    !curl_url_get(u, CURLUPART_PASSWORD, &password, 0))
		return NULL;
	return TAKE_PTR(u);
}

bool http_url_is_valid(const char *url)
{
	cleanup_url CURLU *u = parse(url, NULL);

	return u;
}

bool http_url_is_https(const char *url)
{
	return strncasecmp(url, "https://", 8) == 0;
}

int http_url_host(const char *url, char *ret, size_t ret_size)
{
	cleanup_url CURLU *u = parse(url, NULL);
	cleanup_part char *host = NULL;
	size_t len;

	if (!u || curl_url_get(u, CURLUPART_HOST, &host, 0))
		return -EINVAL;
	len = strlen(host);
	if (len >= ret_size)
		return -EINVAL;
	if (host[0] == '[' && len >= 2 && host[len - 1] == ']') {
		memcpy(ret, host + 1, len - 2);
		ret[len - 2] = 0;
	} else {
		memcpy(ret, host, len + 1);
	}
	for (char *p = ret; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return 0;
}

static int authority(const char *url, unsigned port_flags, char *ret, size_t ret_size)
{
	cleanup_url CURLU *u = parse(url, NULL);
	cleanup_part char *host = NULL, *port = NULL;
	int n;

	if (!u || curl_url_get(u, CURLUPART_HOST, &host, 0))
		return -EINVAL;
	if (curl_url_get(u, CURLUPART_PORT, &port, port_flags))
		port = NULL;
	n = snprintf(ret, ret_size, "%s%s%s", host, port ? ":" : "", port ? port : "");
	if (n < 0 || (size_t)n >= ret_size)
		return -EINVAL;
	for (char *p = ret; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return 0;
}

int http_url_authority(const char *url, char *ret, size_t ret_size)
{
	return authority(url, CURLU_NO_DEFAULT_PORT, ret, ret_size);
}

bool http_url_same_origin(const char *a, const char *b)
{
	char x[300], y[300];

	return authority(a, CURLU_DEFAULT_PORT, x, sizeof(x)) == 0 &&
	       authority(b, CURLU_DEFAULT_PORT, y, sizeof(y)) == 0 && !strcmp(x, y) &&
	       http_url_is_https(a) == http_url_is_https(b);
}

int http_url_resolve(const char *base, const char *location, char **ret)
{
	cleanup_url CURLU *u = parse(base, location);
	cleanup_part char *url = NULL;
	char *copy;

	if (!u)
		return -EINVAL;
	curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	if (curl_url_get(u, CURLUPART_URL, &url, 0))
		return -EINVAL;
	copy = strdup(url);
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

int http_url_encode(struct buf *b, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		int r;

		if (isalnum(c) || strchr("-._~", c))
			r = buf_add(b, &c, 1);
		else
			r = buf_addf(b, "%%%02X", c);
		if (r < 0)
			return r;
	}
	return 0;
}

int http_url_add_query(const char *url, const char *name, const char *value, char **ret)
{
	cleanup_buf struct buf b = BUF_INIT(HTTP_MAX_FIELD_BYTES * 4);
	int r;

	r = buf_addf(&b, "%s%c%s=", url, strchr(url, '?') ? '&' : '?', name);
	if (r == 0)
		r = http_url_encode(&b, value);
	if (r < 0)
		return r;
	*ret = (char *)buf_take(&b, NULL);
	return 0;
}

void http_url_redact(const char *url, char *ret, size_t ret_size)
{
	const char *start = strstr(url, "://"), *at;
	size_t n = strcspn(url, "?#"), out = 0;

	start = start && start < url + n ? start + 3 : url;
	at = memrchr(start, '@', strcspn(start, "/?#"));
	for (size_t i = 0; i < n && out + 1 < ret_size; i++) {
		unsigned char c = (unsigned char)url[i];

		if (at && url + i >= start && url + i <= at)
			continue;
		ret[out++] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
	}
	ret[out] = 0;
}

bool http_host_is_loopback(const char *host)
{
	char bare[300];
	size_t len = strlen(host);
	struct in6_addr v6;
	struct in_addr v4;

	if (len >= sizeof(bare))
		return false;
	memcpy(bare, host, len + 1);
	if (bare[0] == '[' && len > 2 && bare[len - 1] == ']') {
		bare[len - 1] = 0;
		memmove(bare, bare + 1, len - 1);
		len -= 2;
	}
	if (inet_pton(AF_INET, bare, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == 127;
	if (inet_pton(AF_INET6, bare, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return !strcasecmp(bare, "localhost") ||
	       (len > 10 && !strcasecmp(bare + len - 10, ".localhost"));
}
