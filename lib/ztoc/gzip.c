/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gzip.c - see gzip.h. */
#include "ztoc/gzip.h"

#include <errno.h>
#include <stdbool.h>

#define FIXED_BYTES 10u
#define FLAG_HCRC 0x02u
#define FLAG_EXTRA 0x04u
#define FLAG_NAME 0x08u
#define FLAG_COMMENT 0x10u
#define FLAG_RESERVED 0xe0u

static bool fixed_byte_is_valid(struct gzip_header *h, uint8_t byte)
{
	switch (h->pos) {
	case 0:
		return byte == 0x1f;
	case 1:
		return byte == 0x8b;
	case 2:
		return byte == 8;
	case 3:
		h->flags = byte;
		return !(byte & FLAG_RESERVED);
	default:
		return true;	/* time, extra flags, system */
	}
}

/* The part after `part` that the flags announce. */
static enum gzip_part next_part(const struct gzip_header *h)
{
	switch (h->part) {
	case GZIP_FIXED:
		if (h->flags & FLAG_EXTRA)
			return GZIP_EXTRA_LEN;
		/* fall through */
	case GZIP_EXTRA:
		if (h->flags & FLAG_NAME)
			return GZIP_NAME;
		/* fall through */
	case GZIP_NAME:
		if (h->flags & FLAG_COMMENT)
			return GZIP_COMMENT;
		/* fall through */
	case GZIP_COMMENT:
		if (h->flags & FLAG_HCRC)
			return GZIP_HEADER_CRC;
		/* fall through */
	default:
		return GZIP_DONE;
	case GZIP_EXTRA_LEN:
		return GZIP_EXTRA;
	}
}

/* Is the part complete with this byte? */
static bool part_is_over(struct gzip_header *h, uint8_t byte)
{
	switch (h->part) {
	case GZIP_FIXED:
		return h->pos + 1 == FIXED_BYTES;
	case GZIP_EXTRA_LEN:
		h->extra_len |= (uint32_t)byte << (8 * h->pos);
		return h->pos == 1;
	case GZIP_EXTRA:
		return h->pos + 1 == h->extra_len;
	case GZIP_NAME:
	case GZIP_COMMENT:
		return byte == 0;
	case GZIP_HEADER_CRC:
		return h->pos == 1;
	case GZIP_DONE:
		break;
	}
	return true;
}

int gzip_header_feed(struct gzip_header *h, uint8_t byte)
{
	if (h->part == GZIP_DONE)
		return -EINVAL;
	if (h->part == GZIP_FIXED && !fixed_byte_is_valid(h, byte))
		return -EINVAL;
	if (!part_is_over(h, byte)) {
		if (h->pos < UINT32_MAX)
			h->pos++;
		return 0;
	}
	h->part = next_part(h);
	if (h->part == GZIP_EXTRA && h->extra_len == 0)
		h->part = next_part(h);
	h->pos = 0;
	return h->part == GZIP_DONE;
}
