/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gojson.c - see gojson.h. Any thread. */
#include "oci/gojson.h"

#include <errno.h>
#include <string.h>

/* The letter after the backslash, or 0. */
static char short_escape(unsigned char c)
{
	switch (c) {
	case '"':
	case '\\':
		return (char)c;
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	}
	return 0;
}

int gojson_string(struct buf *out, const char *s, size_t len)
{
	int r = buf_add(out, "\"", 1);

	for (size_t i = 0; r == 0 && i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (short_escape(c))
			r = buf_addf(out, "\\%c", short_escape(c));
		else if (c < 0x20 || c == '<' || c == '>' || c == '&')
			r = buf_addf(out, "\\u%04x", c);
		else if (c == 0xe2 && len - i >= 3 && (unsigned char)s[i + 1] == 0x80 &&
			 ((unsigned char)s[i + 2] & 0xfe) == 0xa8)
			r = buf_addf(out, "\\u202%c", s[i += 2] & 1 ? '9' : '8');
		else
			r = buf_add(out, s + i, 1);
	}
	return r < 0 ? r : buf_add(out, "\"", 1);
}

int gojson_base64(struct buf *out, const char *s, size_t len)
{
	static const char digits[65] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = 0, pad = 0, last = 0;
	int r = buf_add(out, "\"", 1);

	for (size_t i = 0; r == 0 && i < len; i++) {
		const char *at;

		if (s[i] == '\r' || s[i] == '\n')
			continue;
		if (s[i] == '=') {
			pad++;
			continue;
		}
		at = memchr(digits, s[i], 64);
		if (!at || pad)
			return -EINVAL;
		if (n++)
			r = buf_add(out, digits + last, 1);
		last = (size_t)(at - digits);
	}
	if (pad > 2 || (n + pad) % 4 || (pad && n % 4 == 0))
		return -EINVAL;
	last &= pad == 2 ? 0x30 : pad == 1 ? 0x3c : 0x3f;
	if (r == 0 && n)
		r = buf_add(out, digits + last, 1);
	if (r == 0)
		r = buf_add(out, "==", pad);
	return r < 0 ? r : buf_add(out, "\"", 1);
}
