/* SPDX-License-Identifier: GPL-2.0-or-later */
/* oci_gojson_test.c - strings and base64 as Go's encoder writes them. */
#include "tests/unit/tap.h"

#include "oci/gojson.h"

static void string(const char *in, const char *want)
{
	struct buf out = BUF_INIT(1000);

	if (gojson_string(&out, in, strlen(in)) < 0 || buf_add(&out, "", 1) < 0)
		bail("%s", want);
	is_str((char *)out.data, want, "%s", want);
	buf_done(&out);
}

static void base64(const char *in, const char *want)
{
	struct buf out = BUF_INIT(1000);
	int r = gojson_base64(&out, in, strlen(in));

	if (r == 0 && buf_add(&out, "", 1) < 0)
		bail("%s", want);
	is_str(r < 0 ? "refused" : (char *)out.data, want, "base64 of %zu characters: %s",
	       strlen(in), want);
	buf_done(&out);
}

int main(void)
{
	string("", "\"\"");
	string("a/b", "\"a/b\"");
	string("\b\f\n\r\t\"\\", "\"\\b\\f\\n\\r\\t\\\"\\\\\"");
	string("\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\"");
	string("<a>&'", "\"\\u003ca\\u003e\\u0026'\"");
	string("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", "\"\\u2028\\u2029\xe2\x80\xaa\"");
	string("\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80", "\"\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80\"");

	base64("", "\"\"");
	base64("QUJD", "\"QUJD\"");
	base64("QUJDRA==", "\"QUJDRA==\"");
	base64("QUJDREU=", "\"QUJDREU=\"");
	base64("QUJD\nREVG\r\n", "\"QUJDREVG\"");
	base64("Q\nQ=\n=", "\"QQ==\"");
	base64("QR==", "\"QQ==\"");
	base64("+/9=", "\"+/8=\"");
	base64("\r\n", "\"\"");
	base64("QUJ", "refused");
	base64("QUJD=", "refused");
	base64("QUJD====", "refused");
	base64("Q===", "refused");
	base64("====", "refused");
	base64("QQ=Q", "refused");
	base64("QQ==QQ==", "refused");
	base64("!!!", "refused");
	base64("-_8=", "refused");
	return tap_done();
}
