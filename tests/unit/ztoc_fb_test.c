/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ztoc_fb_test.c - lib/ztoc/fb: reads what is there, refuses what points outside. */
#include "tests/unit/tap.h"

#include <errno.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/le.h"
#include "tests/unit/ztoc_make.h"
#include "ztoc/fb.h"

/* Root table: slot 0 string "abc", 1 i64, 2 i32, 3 vector of 2 tables, 4 bytes, 5 absent. */
static size_t make(struct buf *b, size_t *ret_tables)
{
	size_t root, v, t;

	make_add(b, 0, 4);
	root = make_table(b, 5);
	make_put(b, 0, root, 4);
	make_str(b, make_slot(root, 0), "abc");
	make_put(b, make_slot(root, 1), (uint64_t)-5, 8);
	make_put(b, make_slot(root, 2), (uint32_t)-7, 4);
	v = make_vector(b, make_slot(root, 3), 2);
	for (int i = 0; i < 2; i++) {
		t = make_table(b, 1);
		make_put(b, v + 4 * (size_t)i, t - (v + 4 * (size_t)i), 4);
		make_put(b, make_slot(t, 0), (uint64_t)(40 + i), 4);
	}
	make_link(b, make_slot(root, 4));
	make_add(b, 3, 4);
	buf_add(b, "xyz", 3);
	*ret_tables = v;
	return root;
}

static void test_reads(void)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct fb_table t, sub;
	struct fb_vector v;
	struct ztoc_str s;
	size_t tables;
	int64_t i64;
	int32_t i32;
	uint32_t u32;

	make(&b, &tables);
	is_int(fb_root(b.data, b.len, &t), 0, "root is found");
	is_int(fb_string(&t, 0, &s), 1, "a string is there");
	ok(s.len == 3 && !memcmp(s.s, "abc", 3), "and reads right");
	ok(fb_i64(&t, 1, 0, &i64) == 1 && i64 == -5, "an i64");
	ok(fb_i32(&t, 2, 0, &i32) == 1 && i32 == -7, "an i32");
	ok(fb_vector(&t, 3, 4, &v) == 1 && v.count == 2, "a vector of tables");
	ok(fb_vector_table(&v, 1, &sub) == 0 && fb_u32(&sub, 0, 0, &u32) == 1 && u32 == 41,
	   "its last element");
	is_int(fb_vector_table(&v, 2, &sub), -EINVAL, "no element past the end");
	ok(fb_vector(&t, 4, 1, &v) == 1 && v.count == 3 && !memcmp(v.fb.data + v.pos, "xyz", 3),
	   "a vector of bytes");
	ok(fb_i64(&t, 5, 9, &i64) == 0 && i64 == 9, "an absent field gives the default");
	ok(fb_string(&t, 5, &s) == 0 && s.len == 0, "an absent string is empty");
	ok(fb_vector(&t, 5, 4, &v) == 0 && v.count == 0, "an absent vector is empty");
	is_int(fb_subtable(&t, 5, &sub), 0, "an absent table says so");
}

/* Change nbytes at pos to v and read everything; returns the first error. */
static int read_patched(size_t pos, uint64_t value, int nbytes)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct fb_table t, sub;
	struct fb_vector v;
	struct ztoc_str s;
	size_t tables;
	int64_t i64;
	int32_t i32;
	int r;

	make(&b, &tables);
	make_put(&b, pos, value, nbytes);
	r = fb_root(b.data, b.len, &t);
	if (r == 0)
		r = fb_string(&t, 0, &s);
	if (r >= 0)
		r = fb_i64(&t, 1, 0, &i64);
	if (r >= 0)
		r = fb_i32(&t, 2, 0, &i32);
	if (r >= 0)
		r = fb_vector(&t, 4, 1, &v);
	if (r >= 0)
		r = fb_vector(&t, 3, 4, &v);
	for (uint32_t i = 0; r >= 0 && i < v.count; i++)
		r = fb_vector_table(&v, i, &sub);
	return r < 0 ? r : 0;
}

static void test_refuses(void)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	size_t tables, root = make(&b, &tables), vtable = 4, str;
	uint64_t end = b.len;

	str = make_slot(root, 0) + le32_get(b.data + make_slot(root, 0));
	is_int(read_patched(0, root, 4), 0, "unpatched, all reads");
	is_int(read_patched(0, end, 4), -EINVAL, "root offset at the end");
	is_int(read_patched(0, 0xffffffff, 4), -EINVAL, "root offset far outside");
	is_int(read_patched(0, 0, 4), -EINVAL, "root offset zero");
	is_int(read_patched(root, 0x80000000, 4), -EINVAL, "vtable far after the end");
	is_int(read_patched(root, root + 1, 4), -EINVAL, "vtable before the start");
	is_int(read_patched(vtable, 3, 2), -EINVAL, "vtable of 3 bytes");
	is_int(read_patched(vtable, 7, 2), -EINVAL, "vtable of odd length");
	is_int(read_patched(vtable, 0xfffe, 2), -EINVAL, "vtable longer than the file");
	is_int(read_patched(vtable + 2, 0xffff, 2), -EINVAL, "table longer than the file");
	is_int(read_patched(vtable + 2, 0, 2), -EINVAL, "table of no bytes");
	is_int(read_patched(vtable + 4, 2, 2), -EINVAL, "field inside the table's head");
	is_int(read_patched(vtable + 6, 4 + 8 * 5 - 7, 2), -EINVAL, "i64 across the table's end");
	is_int(read_patched(make_slot(root, 0), 0xfffffff0, 4), -EINVAL, "string outside");
	is_int(read_patched(make_slot(root, 0), 0, 4), -EINVAL, "offset that points at itself");
	is_int(read_patched(str, 0xffffffff, 4), -EINVAL, "string of 4 GiB");
	is_int(read_patched(str, 2, 4), -EINVAL, "string without a NUL behind it");
	is_int(read_patched(tables - 4, 0x40000000, 4), -EINVAL, "a billion elements");
	is_int(read_patched(tables + 4, end, 4), -EINVAL, "an element outside");
	is_int(read_patched(b.len - 7, 4, 4), -EINVAL, "a byte vector one byte too long");
}

static void test_truncated(void)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	bool refused = true;
	size_t tables;

	make(&b, &tables);
	for (size_t len = 0; len < b.len && refused; len++) {
		/* exact allocation, so that a sanitizer sees a byte too many */
		uint8_t *copy = malloc(len ? len : 1);
		struct fb_table t;
		struct fb_vector v;

		memcpy(copy, b.data, len);
		refused = fb_root(copy, len, &t) < 0 || fb_vector(&t, 4, 1, &v) < 0;
		free(copy);
	}
	ok(refused, "every truncation is refused");
	ok(fb_root(b.data, (size_t)FB_MAX_BYTES + 1, &(struct fb_table){ 0 }) < 0,
	   "more than 2 GiB is refused unread");
}

int main(void)
{
	test_reads();
	test_refuses();
	test_truncated();
	return tap_done();
}
