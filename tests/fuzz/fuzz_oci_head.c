/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_oci_head.c - any bytes as response head, WWW-Authenticate, Content-Range, base64
 * and image reference. What parses stays within its caps.
 *
 * fuzz-sources: lib/oci/http_head.c lib/oci/auth.c lib/oci/ref.c lib/base/err.c lib/base/digest.c lib/base/buf.c
 * fuzz-libs: -lnettle
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "oci/auth.h"
#include "oci/http.h"
#include "oci/ref.h"

static void as_head(const char *data, size_t len)
{
	struct auth_challenge ch;
	struct http_head h;

	http_head_init(&h);
	while (len) {
		const char *nl = memchr(data, '\n', len);
		size_t n = nl ? (size_t)(nl - data) + 1 : len;

		if (http_head_add(&h, data, n) < 0)
			break;
		data += n;
		len -= n;
	}
	if (h.challenges.len)
		auth_parse((char *)h.challenges.data, &ch);
	if (h.range == HTTP_RANGE_OK && h.range_first > h.range_last)
		abort();
	http_head_done(&h);
}

static void as_ref(const char *text)
{
	struct oci_ref ref, again;
	char out[4700];

	if (oci_ref_parse(text, &ref, NULL) < 0)
		return;
	oci_ref_format(&ref, out, sizeof(out));
	if (oci_ref_parse(out, &again, NULL) < 0 || strcmp(ref.repo, again.repo) ||
	    strcmp(ref.tag, again.tag) || strcmp(ref.dir, again.dir))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint64_t first, last, total;
	struct auth_challenge ch;
	struct buf b = BUF_INIT(65536);
	char *text = malloc(len + 1);

	if (!text)
		return 0;
	memcpy(text, data, len);
	text[len] = 0;
	as_head(text, len);
	as_ref(text);
	auth_parse(text, &ch);
	http_parse_retry_after(text, 1000);
	if (http_parse_content_range(text, &first, &last, &total) == 0 &&
	    (first > last || (total != HTTP_UNKNOWN && last >= total)))
		abort();
	auth_base64_decode(text, &b);
	buf_done(&b);
	free(text);
	return 0;
}
