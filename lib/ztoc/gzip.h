/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gzip.h - the frame around deflate data: RFC 1952 header and trailer.
 *
 * Private to lib/ztoc. A header is fed byte by byte, so that pieces may end anywhere.
 * Header and data checksums are not looked at: what is fed is covered by span digests.
 */
#ifndef LZ_ZTOC_GZIP_H
#define LZ_ZTOC_GZIP_H

#include <stdint.h>

#define GZIP_TRAILER_BYTES 8u

enum gzip_part {
	GZIP_FIXED,
	GZIP_EXTRA_LEN,
	GZIP_EXTRA,
	GZIP_NAME,
	GZIP_COMMENT,
	GZIP_HEADER_CRC,
	GZIP_DONE,
};

/* Zeroed: nothing fed yet. */
struct gzip_header {
	enum gzip_part part;
	uint32_t pos;		/* bytes of this part already fed */
	uint32_t extra_len;
	uint8_t flags;
};

/* 1: that was the header's last byte; 0: go on; -EINVAL: not a gzip header. */
int gzip_header_feed(struct gzip_header *h, uint8_t byte);

#endif
