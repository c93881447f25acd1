/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fb.h - reading FlatBuffers that nobody has verified.
 *
 * Private to lib/ztoc. Every step is bounds-checked against the buffer, none allocates,
 * none follows more than one offset, so hostile bytes cost at most an -EINVAL. Layout:
 * FlatBuffers internals document ("table", "vtable", "vector", "string").
 *
 * A table is found once (its vtable is checked then); its fields are read by slot number.
 * Readers of a field return 1 present, 0 absent (default given), -EINVAL out of bounds.
 * Alignment is not required, as Go's reader requires none.
 */
#ifndef LZ_ZTOC_FB_H
#define LZ_ZTOC_FB_H

#include <stddef.h>
#include <stdint.h>

#include "ztoc/ztoc.h"

/* Offsets are 32 bits and signed in places: no conforming buffer is larger. */
#define FB_MAX_BYTES 0x7fffffffu

struct fb {
	const uint8_t *data;
	uint32_t len;
};

struct fb_table {
	struct fb fb;
	uint32_t pos;		/* of the table in fb */
	uint32_t vtable;	/* of its vtable */
	uint16_t vtable_len;	/* bytes, at least 4 */
	uint16_t len;		/* bytes of the table, fields included */
};

struct fb_vector {
	struct fb fb;
	uint32_t pos;		/* of element 0 */
	uint32_t count;
};

/* -EINVAL also when len is over FB_MAX_BYTES. */
int fb_root(const void *data, size_t len, struct fb_table *ret);

int fb_i8(const struct fb_table *t, unsigned int slot, int8_t def, int8_t *ret);
int fb_i32(const struct fb_table *t, unsigned int slot, int32_t def, int32_t *ret);
int fb_u32(const struct fb_table *t, unsigned int slot, uint32_t def, uint32_t *ret);
int fb_i64(const struct fb_table *t, unsigned int slot, int64_t def, int64_t *ret);
/* Absent: the empty string. The NUL after the bytes must be there. */
int fb_string(const struct fb_table *t, unsigned int slot, struct ztoc_str *ret);
/* Absent: *ret is not written. */
int fb_subtable(const struct fb_table *t, unsigned int slot, struct fb_table *ret);
/* Absent: a vector of nothing. elem_size: 1 for bytes, 4 for tables and strings. */
int fb_vector(const struct fb_table *t, unsigned int slot, uint32_t elem_size,
	      struct fb_vector *ret);

/* Element i < count; 0 or -EINVAL. */
int fb_vector_table(const struct fb_vector *v, uint32_t i, struct fb_table *ret);
int fb_vector_string(const struct fb_vector *v, uint32_t i, struct ztoc_str *ret);

#endif
