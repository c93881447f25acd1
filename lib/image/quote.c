/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quote.c - see quote.h. */
#include "image/quote.h"

#include <stdio.h>

const char *image_quote(struct ztoc_str s, char buf[IMAGE_QUOTE_SIZE])
{
	size_t o = 0;
	uint32_t i;

	buf[o++] = '\'';
	for (i = 0; i < s.len && o < 160; i++) {
		unsigned char c = (unsigned char)s.s[i];

		if (c >= 0x20 && c < 0x7f && c != '\'' && c != '\\')
			buf[o++] = (char)c;
		else
			o += (size_t)snprintf(buf + o, IMAGE_QUOTE_SIZE - o, "\\x%02x", c);
	}
	snprintf(buf + o, IMAGE_QUOTE_SIZE - o, "'%s", i < s.len ? "..." : "");
	return buf;
}
