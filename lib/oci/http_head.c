/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_head.c - response header lines -> struct http_head; see http.h.
 *
 * Every line comes from a stranger: sizes are capped, numbers are strict. Pure.
 * Source: RFC 9110 (14.4 Content-Range, 10.2.3 Retry-After).
 */
#include "oci/http.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

void http_head_init(struct http_head *h)
{
	memset(h, 0, sizeof(*h));
	h->length = HTTP_UNKNOWN;
	h->range_total = HTTP_UNKNOWN;
	h->retry_after_ms = -1;
	h->location.max_bytes = HTTP_MAX_FIELD_BYTES;
	h->link.max_bytes = HTTP_MAX_FIELD_BYTES;
	h->challenges.max_bytes = HTTP_MAX_FIELD_BYTES;
}

void http_head_done(struct http_head *h)
{
	buf_done(&h->location);
	buf_done(&h->link);
	buf_done(&h->challenges);
}

/* Digits only, no overflow; moves *s past them. */
static bool take_number(const char **s, uint64_t *ret)
{
	uint64_t v = 0;
	const char *p = *s;

	if (!isdigit((unsigned char)*p))
		return false;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return false;
	*s = p;
	*ret = v;
	return true;
}

int http_parse_content_range(const char *s, uint64_t *ret_first, uint64_t *ret_last,
			     uint64_t *ret_total)
{
	uint64_t first, last, total = HTTP_UNKNOWN;

	if (strncasecmp(s, "bytes", 5))
		return -EINVAL;
	s += 5;
	if (*s != ' ')
		return -EINVAL;
	while (*s == ' ')
		s++;
	if (!take_number(&s, &first) || *s++ != '-' || !take_number(&s, &last) || *s++ != '/')
		return -EINVAL;
	if (*s == '*')
		s++;
	else if (!take_number(&s, &total) || total == HTTP_UNKNOWN || last >= total)
		return -EINVAL;
	while (*s == ' ')
		s++;
	if (*s || first > last || last == UINT64_MAX)
		return -EINVAL;
	*ret_first = first;
	*ret_last = last;
	*ret_total = total;
	return 0;
}

int64_t http_parse_retry_after(const char *s, int64_t now_s)
{
	struct tm tm = { 0 };
	const char *p = s;
	uint64_t v;
	time_t t;

	if (take_number(&p, &v))
		return *p || v > INT32_MAX ? -1 : (int64_t)v * 1000;
	p = strptime(s, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	if (!p || *p)
		return -1;
	t = timegm(&tm);
	if (t - now_s > INT32_MAX)
		return -1;
	return t <= now_s ? 0 : (t - now_s) * 1000;
}

static void set_range(struct http_head *h, const char *value)
{
	bool again = h->range != HTTP_RANGE_NONE;

	h->range = HTTP_RANGE_BAD;
	if (!again && http_parse_content_range(value, &h->range_first, &h->range_last,
					       &h->range_total) == 0)
		h->range = HTTP_RANGE_OK;
}

static void set_content_type(struct http_head *h, const char *value)
{
	size_t n = strcspn(value, "; \t");

	if (n >= sizeof(h->content_type))
		return;
	for (size_t i = 0; i < n; i++)
		h->content_type[i] = (char)tolower((unsigned char)value[i]);
	h->content_type[n] = 0;
}

static int set_field(struct http_head *h, const char *name, const char *value)
{
	const char *p = value;
	uint64_t v;
	int r = 0;

	if (!strcasecmp(name, "content-length")) {
		if (!take_number(&p, &v) || *p || v > INT64_MAX ||
		    (h->length != HTTP_UNKNOWN && h->length != v))
			return -EINVAL;
		h->length = v;
	} else if (!strcasecmp(name, "content-range")) {
		set_range(h, value);
	} else if (!strcasecmp(name, "content-type")) {
		set_content_type(h, value);
	} else if (!strcasecmp(name, "content-encoding")) {
		h->is_encoded |= *value && strcasecmp(value, "identity");
	} else if (!strcasecmp(name, "retry-after")) {
		h->retry_after_ms = http_parse_retry_after(value, time(NULL));
	} else if (!strcasecmp(name, "oci-subject")) {
		h->has_subject = true;
	} else if (!strcasecmp(name, "docker-content-digest")) {
		if (strlen(value) < sizeof(h->content_digest))
			strcpy(h->content_digest, value);
	} else if (!strcasecmp(name, "location")) {
		buf_reset(&h->location);
		r = buf_add_str(&h->location, value);
	} else if (!strcasecmp(name, "link")) {
		r = buf_addf(&h->link, "%s%s", h->link.len ? ", " : "", value);
	} else if (!strcasecmp(name, "www-authenticate")) {
		r = buf_addf(&h->challenges, "%s%s", h->challenges.len ? ", " : "", value);
	}
	return r == -EFBIG ? -EINVAL : r;
}

int http_head_add(struct http_head *h, const char *line, size_t len)
{
	char copy[HTTP_MAX_FIELD_BYTES + 64], *value, *end;

	h->bytes += len;
	if (h->bytes > HTTP_MAX_HEAD_BYTES)
		return -EINVAL;
	/* A field that is too long for us is none that we need, or a hostile one. */
	if (len >= sizeof(copy) || memchr(line, 0, len))
		return -EINVAL;
	memcpy(copy, line, len);
	copy[len] = 0;
	copy[strcspn(copy, "\r\n")] = 0;
	value = strchr(copy, ':');
	if (!value)
		return 0;
	*value++ = 0;
	value += strspn(value, " \t");
	end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = 0;
	return set_field(h, copy, value);
}

bool http_is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 ||
	       status == 308;
}
