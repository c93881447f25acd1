/* SPDX-License-Identifier: GPL-2.0-or-later */
/* oci_http_test.c - response heads, Content-Range, Retry-After, URLs. */
#include "tests/unit/tap.h"

#include "oci/http.h"

static void range(const char *s, int want, uint64_t f, uint64_t l, uint64_t t)
{
	uint64_t first = 1, last = 2, total = 3;

	is_int(http_parse_content_range(s, &first, &last, &total), want, "Content-Range: %s", s);
	if (want == 0)
		ok(first == f && last == l && total == t, "and its numbers");
	else
		ok(first == 1 && last == 2 && total == 3, "and nothing is written");
}

static void test_range(void)
{
	range("bytes 0-0/1", 0, 0, 0, 1);
	range("bytes 5-9/100", 0, 5, 9, 100);
	range("Bytes 5-9/*", 0, 5, 9, HTTP_UNKNOWN);
	range("bytes 18446744073709551613-18446744073709551614/*", 0,
	      18446744073709551613u, 18446744073709551614u, HTTP_UNKNOWN);
	range("bytes 5-4/100", -EINVAL, 0, 0, 0);
	range("bytes 5-100/100", -EINVAL, 0, 0, 0);
	range("bytes */100", -EINVAL, 0, 0, 0);
	range("bytes 5-/100", -EINVAL, 0, 0, 0);
	range("bytes -5-9/100", -EINVAL, 0, 0, 0);
	range("bytes +5-9/100", -EINVAL, 0, 0, 0);
	range("bytes 5-9/100x", -EINVAL, 0, 0, 0);
	range("bytes 5-9", -EINVAL, 0, 0, 0);
	range("bytes=5-9/100", -EINVAL, 0, 0, 0);
	range("bytes 0-18446744073709551615/*", -EINVAL, 0, 0, 0);
	range("bytes 0-18446744073709551616/*", -EINVAL, 0, 0, 0);
	range("", -EINVAL, 0, 0, 0);
}

static void test_retry_after(void)
{
	is_int(http_parse_retry_after("120", 0), 120000, "seconds");
	is_int(http_parse_retry_after("0", 0), 0, "none");
	is_int(http_parse_retry_after("-1", 0), -1, "negative is nothing");
	is_int(http_parse_retry_after("99999999999999999999", 0), -1, "nor is overflow");
	is_int(http_parse_retry_after("soon", 0), -1, "nor a word");
	is_int(http_parse_retry_after("Fri, 31 Dec 1999 23:59:59 GMT", 946684789), 10000,
	       "a date");
	is_int(http_parse_retry_after("Fri, 31 Dec 1999 23:59:59 GMT", 1700000000), 0,
	       "a date gone by");
}

static int add(struct http_head *h, const char *line)
{
	return http_head_add(h, line, strlen(line));
}

static void test_head(void)
{
	static char big[HTTP_MAX_FIELD_BYTES + 200];
	struct http_head h;
	int r = 0;

	http_head_init(&h);
	add(&h, "Content-Length:  42 \r\n");
	add(&h, "content-type: Application/JSON; charset=x\r\n");
	add(&h, "WWW-Authenticate: Basic realm=\"a\"\r\n");
	add(&h, "www-authenticate: Bearer realm=\"b\"\r\n");
	add(&h, "OCI-Subject: sha256:x\r\n");
	add(&h, "no colon here\r\n");
	add(&h, "Content-Range: bytes 1-2/3\r\n");
	is_int(h.length, 42, "Content-Length");
	is_str(h.content_type, "application/json", "Content-Type");
	is_str((char *)h.challenges.data, "Basic realm=\"a\", Bearer realm=\"b\"",
	       "challenges are joined");
	ok(h.has_subject && h.range == HTTP_RANGE_OK && !h.is_encoded, "the others");
	add(&h, "Content-Range: bytes 1-2/3\r\n");
	is_int(h.range, HTTP_RANGE_BAD, "two Content-Ranges are none");
	is_int(add(&h, "Content-Length: 43\r\n"), -EINVAL, "two lengths");
	is_int(add(&h, "Content-Length: -1\r\n"), -EINVAL, "negative length");
	is_int(add(&h, "Content-Length: 1x\r\n"), -EINVAL, "malformed length");
	is_int(http_head_add(&h, "a: \0b", 5), -EINVAL, "NUL in a header");
	add(&h, "Content-Encoding: gzip\r\n");
	ok(h.is_encoded, "encoding is seen");
	memset(big, 'x', sizeof(big) - 1);
	is_int(add(&h, big), -EINVAL, "one line too long");
	for (int i = 0; i < 100 && r == 0; i++)
		r = http_head_add(&h, big, 10000);
	is_int(r, -EINVAL, "a head too long");
	http_head_done(&h);
}

static void resolve(const char *base, const char *loc, const char *want)
{
	char *url = NULL;
	int r = http_url_resolve(base, loc, &url);

	if (want)
		is_str(url, want, "%s + %s", base, loc);
	else
		ok(r < 0 && !url, "refused: %s + %s", base, loc);
	free(url);
}

static void test_urls(void)
{
	char text[128], *url;

	resolve("https://r/v2/a/blobs/x?q=1", "/y?z=2#f", "https://r/y?z=2");
	resolve("https://r/v2/a/", "b", "https://r/v2/a/b");
	resolve("https://r/v2/a", "//other:1/b", "https://other:1/b");
	resolve("https://r/v2/a", "http://s/b", "http://s/b");
	resolve("https://r/v2/a", "file:///etc/passwd", NULL);
	resolve("https://r/v2/a", "gopher://x/", NULL);
	resolve("https://r/v2/a", "https://u:p@x/", NULL);
	resolve("https://r/v2/a", "https://u@x/", NULL);
	resolve("https://r/v2/a", "/a b", NULL);
	resolve("https://r/v2/a", "/a\r\nX: y", NULL);
	http_url_redact("https://u:p@h/a?sig=secret#f", text, sizeof(text));
	is_str(text, "https://h/a", "redacted");
	http_url_redact("https://h/a@b\x01", text, sizeof(text));
	is_str(text, "https://h/a@b?", "an @ in the path stays, control characters do not");
	ok(http_url_same_origin("https://h/a", "https://H:443/b"), "default port, case");
	ok(!http_url_same_origin("https://h/a", "http://h:443/a"), "other scheme");
	ok(!http_url_same_origin("https://h/a", "https://h.evil/a"), "other host");
	ok(!http_url_same_origin("https://h:1/a", "https://h:2/a"), "other port");
	ok(!http_url_same_origin("nonsense", "nonsense"), "not URLs");
	is_int(http_url_add_query("https://h/a?x=1", "digest", "sha256:ab", &url), 0, "query");
	is_str(url, "https://h/a?x=1&digest=sha256%3Aab", "added");
	free(url);
	ok(http_host_is_loopback("localhost") && http_host_is_loopback("a.localhost") &&
	   http_host_is_loopback("127.3.2.1") && http_host_is_loopback("::1") &&
	   http_host_is_loopback("[::1]"), "loopback");
	ok(!http_host_is_loopback("127.0.0.1.evil") && !http_host_is_loopback("128.0.0.1") &&
	   !http_host_is_loopback("localhost.evil") && !http_host_is_loopback("") &&
	   !http_host_is_loopback("mylocalhost"), "not loopback");
}

int main(void)
{
	test_range();
	test_retry_after();
	test_head();
	test_urls();
	return tap_done();
}
