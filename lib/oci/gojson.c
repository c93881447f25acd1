/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gojson.c - see gojson.h. Any thread. */
#include "oci/gojson.h"

int gojson_string(struct buf *out, const char *s, size_t len)
{
	int r = buf_add(out, "\"", 1);

	for (size_t i = 0; r == 0 && i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			r = buf_addf(out, "\\%c", c);
		else if (c == '\n' || c == '\r' || c == '\t')
			r = buf_addf(out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
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
