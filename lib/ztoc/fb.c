/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fb.c - see fb.h. Pure functions of the bytes; any thread. */
#include "ztoc/fb.h"

#include <errno.h>
#include <stdbool.h>

#include "base/le.h"

static bool fits(const struct fb *fb, uint64_t pos, uint64_t len)
{
	return len <= fb->len && pos <= fb->len - len;
}

/* Follow the u32 offset stored at pos; offsets point forward. */
static int follow(const struct fb *fb, uint64_t pos, uint32_t *ret)
{
	uint64_t to;

	if (!fits(fb, pos, 4))
		return -EINVAL;
	to = pos + le32_get(fb->data + pos);
	if (to == pos || !fits(fb, to, 4))
		return -EINVAL;
	*ret = (uint32_t)to;
	return 0;
}

static int table_at(const struct fb *fb, uint32_t pos, struct fb_table *ret)
{
	uint16_t vtable_len, len;
	int64_t vtable;

	if (!fits(fb, pos, 4))
		return -EINVAL;
	vtable = (int64_t)pos - (int32_t)le32_get(fb->data + pos);
	if (vtable < 0 || !fits(fb, (uint64_t)vtable, 4))
		return -EINVAL;
	vtable_len = le16_get(fb->data + vtable);
	len = le16_get(fb->data + vtable + 2);
	if (vtable_len < 4 || vtable_len % 2 || !fits(fb, (uint64_t)vtable, vtable_len))
		return -EINVAL;
	if (len < 4 || !fits(fb, pos, len))
		return -EINVAL;
	*ret = (struct fb_table){ *fb, pos, (uint32_t)vtable, vtable_len, len };
	return 0;
}

int fb_root(const void *data, size_t len, struct fb_table *ret)
{
	struct fb fb = { data, (uint32_t)len };
	uint32_t pos;

	if (len > FB_MAX_BYTES || follow(&fb, 0, &pos) < 0)
		return -EINVAL;
	return table_at(&fb, pos, ret);
}

/* Where the field of `size` bytes lies: 1 and *ret, 0 when absent, -EINVAL. */
static int field(const struct fb_table *t, unsigned int slot, uint16_t size, uint32_t *ret)
{
	uint32_t at = 4 + 2 * slot;
	uint16_t off;

	if (at + 2 > t->vtable_len)
		return 0;
	off = le16_get(t->fb.data + t->vtable + at);
	if (off == 0)
		return 0;
	if (off < 4 || size > t->len || off > t->len - size)
		return -EINVAL;
	*ret = t->pos + off;
	return 1;
}

int fb_i8(const struct fb_table *t, unsigned int slot, int8_t def, int8_t *ret)
{
	uint32_t pos;
	int r = field(t, slot, 1, &pos);

	if (r < 0)
		return r;
	*ret = r ? (int8_t)t->fb.data[pos] : def;
	return r;
}

int fb_u32(const struct fb_table *t, unsigned int slot, uint32_t def, uint32_t *ret)
{
	uint32_t pos;
	int r = field(t, slot, 4, &pos);

	if (r < 0)
		return r;
	*ret = r ? le32_get(t->fb.data + pos) : def;
	return r;
}

int fb_i32(const struct fb_table *t, unsigned int slot, int32_t def, int32_t *ret)
{
	uint32_t v;
	int r = fb_u32(t, slot, (uint32_t)def, &v);

	if (r >= 0)
		*ret = (int32_t)v;
	return r;
}

int fb_i64(const struct fb_table *t, unsigned int slot, int64_t def, int64_t *ret)
{
	uint32_t pos;
	int r = field(t, slot, 8, &pos);

	if (r < 0)
		return r;
	*ret = r ? (int64_t)le64_get(t->fb.data + pos) : def;
	return r;
}

/* A string's bytes; pos is that of its length. */
static int string_at(const struct fb *fb, uint32_t pos, struct ztoc_str *ret)
{
	uint32_t len;

	if (!fits(fb, pos, 4))
		return -EINVAL;
	len = le32_get(fb->data + pos);
	if (!fits(fb, (uint64_t)pos + 4, (uint64_t)len + 1) || fb->data[pos + 4 + len] != 0)
		return -EINVAL;
	*ret = (struct ztoc_str){ (const char *)fb->data + pos + 4, len };
	return 0;
}

/* Follow the offset in a field: 1 and *ret, 0 when absent, -EINVAL. */
static int field_target(const struct fb_table *t, unsigned int slot, uint32_t *ret)
{
	uint32_t pos;
	int r = field(t, slot, 4, &pos);

	if (r <= 0)
		return r;
	r = follow(&t->fb, pos, ret);
	return r < 0 ? r : 1;
}

int fb_string(const struct fb_table *t, unsigned int slot, struct ztoc_str *ret)
{
	uint32_t pos;
	int r = field_target(t, slot, &pos);

	if (r == 0)
		*ret = (struct ztoc_str){ "", 0 };
	if (r <= 0)
		return r;
	r = string_at(&t->fb, pos, ret);
	return r < 0 ? r : 1;
}

int fb_subtable(const struct fb_table *t, unsigned int slot, struct fb_table *ret)
{
	uint32_t pos;
	int r = field_target(t, slot, &pos);

	if (r <= 0)
		return r;
	r = table_at(&t->fb, pos, ret);
	return r < 0 ? r : 1;
}

int fb_vector(const struct fb_table *t, unsigned int slot, uint32_t elem_size,
	      struct fb_vector *ret)
{
	uint32_t pos, count;
	int r = field_target(t, slot, &pos);

	if (r == 0)
		*ret = (struct fb_vector){ t->fb, 0, 0 };
	if (r <= 0)
		return r;
	count = le32_get(t->fb.data + pos);	/* follow() saw four bytes there */
	if (!fits(&t->fb, (uint64_t)pos + 4, (uint64_t)count * elem_size))
		return -EINVAL;
	*ret = (struct fb_vector){ t->fb, pos + 4, count };
	return 1;
}

int fb_vector_table(const struct fb_vector *v, uint32_t i, struct fb_table *ret)
{
	uint32_t pos;

	if (i >= v->count || follow(&v->fb, (uint64_t)v->pos + 4ull * i, &pos) < 0)
		return -EINVAL;
	return table_at(&v->fb, pos, ret);
}

int fb_vector_string(const struct fb_vector *v, uint32_t i, struct ztoc_str *ret)
{
	uint32_t pos;

	if (i >= v->count || follow(&v->fb, (uint64_t)v->pos + 4ull * i, &pos) < 0)
		return -EINVAL;
	return string_at(&v->fb, pos, ret);
}
