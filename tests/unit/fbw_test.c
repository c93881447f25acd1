/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fbw_test.c - the FlatBuffers builder: layout, shared vtables, limits. */
#include "tests/unit/tap.h"

#include <errno.h>

#include "ztoc/fbw.h"

static bool is_bytes(const uint8_t *got, size_t len, const char *hex)
{
	char text[1024];

	for (size_t i = 0; i < len && i < sizeof(text) / 2 - 1; i++)
		sprintf(text + 2 * i, "%02x", got[i]);
	if (len * 2 == strlen(hex) && memcmp(text, hex, len * 2) == 0)
		return true;
	printf("#   got %.*s\n", (int)(2 * len), text);
	return false;
}

static void test_layout(void)
{
	const uint8_t *data;
	struct fbw w;
	fbw_ref s;
	size_t len;

	fbw_init(&w, 0, 0);
	s = fbw_string(&w, "hi", 2);
	fbw_table_begin(&w, 4);
	fbw_add_i64(&w, 0, 5, 0);
	fbw_add_i8(&w, 1, 1, 1);	/* the default: left out */
	fbw_add_ref(&w, 2, s);
	is_int(fbw_finish(&w, fbw_table_end(&w), &data, &len), 0, "a table");
	/*
	 * root offset, padding, vtable (10 bytes: 4 words of head and three slots, the last
	 * slot trimmed), table: soffset, string offset, i64; string
	 */
	ok(is_bytes(data, len,
		    "10000000" "0000" "0a00" "1000" "0800" "0000" "0400" "0a000000"
		    "0c000000" "0500000000000000" "02000000" "6869" "0000"),
	   "laid down as Go does");
	fbw_done(&w);
}

static void test_shared_vtable(void)
{
	const uint8_t *data;
	fbw_ref t[3];
	struct fbw w;
	size_t len, before;

	fbw_init(&w, 64, 0);
	for (int i = 0; i < 3; i++) {
		fbw_table_begin(&w, 2);
		fbw_add_u32(&w, 0, 7, 0);
		if (i == 1)
			fbw_add_u32(&w, 1, 8, 0);
		before = w.nvtables;
		t[i] = fbw_table_end(&w);
		is_int(w.nvtables - before, i < 2, "table %d: %s vtable", i,
		       i < 2 ? "a new" : "an old");
	}
	is_int(fbw_finish(&w, fbw_ref_vector(&w, t, 3), &data, &len), 0, "in a vector");
	fbw_done(&w);
}

/* Strings, a vector in parts, tables with shared and new vtables. */
static fbw_ref make_some(struct fbw *w)
{
	fbw_ref tables[9], parts, vector;

	for (unsigned int i = 0; i < 9; i++) {
		fbw_ref s = fbw_string(w, "some text", i);

		fbw_table_begin(w, 4);
		fbw_add_ref(w, 0, s);
		fbw_add_i64(w, 1 + i % 3, 7, 0);
		fbw_add_i8(w, 3, (int8_t)i, 0);
		tables[i] = fbw_table_end(w);
	}
	fbw_vector_begin(w, 5);
	fbw_vector_bytes(w, "de", 2);
	fbw_vector_bytes(w, "abc", 3);
	parts = fbw_vector_end(w, 5);
	fbw_vector_begin(w, 9 * 4);
	for (int i = 8; i >= 0; i--)
		fbw_vector_ref(w, tables[i]);
	vector = fbw_vector_end(w, 9);
	fbw_table_begin(w, 2);
	fbw_add_ref(w, 0, vector);
	fbw_add_ref(w, 1, parts);
	return fbw_table_end(w);
}

/* The length is known before; then nothing grows and nothing is left over. */
static void test_measure(void)
{
	const uint8_t *data, *exact_data;
	size_t want, len, exact_len;
	struct fbw w, exact;

	fbw_init_measure(&w, 0);
	is_int(fbw_finish(&w, make_some(&w), &data, &want), 0, "measured");
	ok(!data && !w.bytes && w.cap == 0, "without memory");
	fbw_done(&w);
	fbw_init(&w, 0, 0);
	is_int(fbw_finish(&w, make_some(&w), &data, &len), 0, "written");
	is_int((int)len, (int)want, "as long as measured");
	fbw_init(&exact, want, want);
	is_int(fbw_finish(&exact, make_some(&exact), &exact_data, &exact_len), 0,
	       "and into exactly so much memory");
	ok(exact.bytes == exact_data && exact_len == len && memcmp(data, exact_data, len) == 0,
	   "the same bytes, in front");
	free(fbw_take(&exact));
	fbw_done(&exact);
	fbw_done(&w);
	fbw_init_measure(&w, want - 1);
	is_int(fbw_finish(&w, make_some(&w), &data, &len), -EFBIG, "a limit of one byte less");
	fbw_done(&w);
}

static void test_limits(void)
{
	static const char text[4096];
	const uint8_t *data;
	struct fbw w;
	size_t len;

	fbw_init(&w, 0, 10000);
	for (int i = 0; i < 10; i++)
		fbw_string(&w, text, sizeof(text));
	is_int(fbw_finish(&w, 1, &data, &len), -EFBIG, "the limit holds, and the error stays");
	ok(w.cap <= 16384, "no more memory was taken");
	fbw_done(&w);
	fbw_done(&w);
}

int main(void)
{
	test_layout();
	test_shared_vtable();
	test_measure();
	test_limits();
	return tap_done();
}
