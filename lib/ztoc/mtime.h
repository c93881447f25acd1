/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mtime.h - the mod_time text of a zTOC entry.
 *
 * Private to lib/ztoc. Go's RFC 3339 with nanoseconds, in the time zone of the machine
 * that built the zTOC: 2026-11-23T16:28:30.459647321Z, 1969-12-31T23:59:58.5-08:00. Empty
 * where Go could not write it (year over 9999). See kernel-notes/soci-format.md 1.3.
 */
#ifndef LZ_ZTOC_MTIME_H
#define LZ_ZTOC_MTIME_H

#include <stdint.h>

#include "ztoc/ztoc.h"

/* Seconds since 1970 (may be negative) and 0..999999999; empty text is 0, 0. -EINVAL. */
int ztoc_mtime_parse(struct ztoc_str text, int64_t *ret_sec, uint32_t *ret_nsec);

#endif
