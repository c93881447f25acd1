/* SPDX-License-Identifier: GPL-2.0-or-later */
/* timefmt.h - times as text, the way Go's time package writes them. Any thread. */
#ifndef LZ_ZTOC_TIMEFMT_H
#define LZ_ZTOC_TIMEFMT_H

#include <stddef.h>
#include <stdint.h>

#define TIMEFMT_SIZE 40

/*
 * RFC 3339 in a zone `utc_offset` seconds east of UTC: "2024-01-02T03:04:05.6789Z",
 * "1969-12-31T19:00:00-05:00". The fraction without trailing zeros, the zone in whole
 * minutes, "Z" for an offset of 0. Years outside 0..9999 give "". Returns the length.
 */
size_t timefmt_rfc3339(int64_t sec, uint32_t nsec, int32_t utc_offset,
		       char ret[TIMEFMT_SIZE]);

#endif
