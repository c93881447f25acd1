/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tarpax_test.c - PAX records: syntax, order, numbers, times, sparse maps. */
#include "tests/unit/tap.h"

#include <errno.h>

#include "base/buf.h"
#include "ztoc/keyhash.h"
#include "ztoc/tarhdr.h"
#include "ztoc/tarpax.h"

#define STR(s) ((struct ztoc_str){ (s), sizeof(s) - 1 })

static int parse(struct tarpax *p, const char *data, size_t len)
{
	int r = tarpax_parse(p, data, len);

	return r < 0 ? r : tarpax_order(p);
}

static bool is_value(const struct tarpax *p, const char *key, const char *want)
{
	struct ztoc_str v = tarpax_get(p, key);

	return v.len == strlen(want) && memcmp(v.s, want, v.len) == 0;
}

static void test_records(void)
{
	static const char text[] = "6 b=1\n6 a=2\n6 b=3\n10 aa==x=\n";
	struct tarpax p = { 0 };

	is_int(parse(&p, text, strlen(text)), 0, "four records");
	is_int(p.nrecords, 3, "one of them twice");
	ok(p.records[0].key.len == 1 && p.records[0].key.s[0] == 'a' &&
		   p.records[1].key.len == 2 && p.records[2].key.s[0] == 'b',
	   "sorted by key, the shorter first");
	ok(is_value(&p, "b", "3"), "the last of equal keys counts");
	ok(is_value(&p, "aa", "=x="), "the first = separates");
	ok(is_value(&p, "none", ""), "an absent key is empty");
	is_int(parse(&p, "", 0), 0, "no records at all");
	is_int(p.nrecords, 0, "replace the ones before");
	tarpax_done(&p);
}

/* 40000 records with 1000 keys, in an order of their own: each key's last one is kept. */
static void test_duplicates(void)
{
	struct tarpax p = { 0 };
	struct buf b = { 0 };
	uint32_t last[1000] = { 0 }, key = 1;
	bool right = true;
	char want[16];

	for (uint32_t i = 10000; i < 50000; i++) {
		key = (key * 621 + 7) % 1000;
		last[key] = i;
		buf_addf(&b, "19 key-%03u-x=%05u\n", key, i);
	}
	is_int(parse(&p, (char *)b.data, b.len), 0, "40000 records");
	is_int(p.nrecords, 1000, "1000 keys");
	for (uint32_t i = 0; i < p.nrecords; i++) {
		snprintf(want, sizeof(want), "key-%03u-x", i);
		right &= p.records[i].key.len == strlen(want) &&
			 !memcmp(p.records[i].key.s, want, strlen(want));
		snprintf(want, sizeof(want), "%05u", last[i]);
		right &= p.records[i].value.len == 5 && !memcmp(p.records[i].value.s, want, 5);
	}
	ok(right, "in order, each with its last value");
	is_int(tarpax_order(&p), 0, "putting them in order again");
	is_int(p.nrecords, 1000, "changes nothing");
	tarpax_reset(&p);
	ok(p.nrecords == 0 && is_value(&p, "key-001-x", ""), "a reset forgets them");
	is_int(parse(&p, "6 b=1\n", 6), 0, "and fewer records");
	ok(p.nrecords == 1 && is_value(&p, "b", "1"), "are not disturbed by what was there");
	buf_done(&b);
	tarpax_done(&p);
}

/* Strings that differ in a byte, in length, by zeros at the end. */
static void test_keyhash(void)
{
	uint64_t seen[64 * 8], point = 0, other = 0;
	uint8_t text[64] = { 0 };
	unsigned int n = 0;
	bool differ = true;

	is_int(keyhash_point(&point) | keyhash_point(&other), 0, "random points");
	ok(point && other && point != other, "are not always the same");
	for (size_t len = 0; len < 64; len++)
		for (unsigned int k = 0; k < 8 && (len || !k); k++) {
			text[len ? len * k / 8 : 0] = (uint8_t)(k ? 0xff : 0);
			seen[n++] = keyhash(point, text, len);
			text[len ? len * k / 8 : 0] = 0;
			if (len * k / 8 == len * (k - 1) / 8 && k > 1)
				n--;	/* the same place again */
		}
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int k = 0; k < i; k++)
			differ &= seen[i] != seen[k];
	ok(differ && n > 300, "%u strings have as many hashes", n);
	memset(text, 0xff, sizeof(text));
	ok(keyhash(point, text, 64) == keyhash(point, text, 64) &&
		   keyhash(point, text, 64) < (UINT64_C(1) << 61) - 1,
	   "one string has one");
}

static void test_bad_records(void)
{
	static const char *const bad[] = {
		"4 a=",	   "5 a=b\n", "6 a=b",	    "7 a=b\n",	  "x a=b\n",
		" 6 a=b\n", "6a=b\n", "6 =ab\n",    "6 abc\n",	  "-6 a=b\n",
		"2 a=b\n", "1 a=b\n", "6 a=b\n6 a", "99999999999999999999 a=b\n",
	};
	struct tarpax p = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		is_int(parse(&p, bad[i], strlen(bad[i])), -EINVAL, "refused: %zu", i);
	is_int(parse(&p, "12 path=a\0b\n", 12), -EINVAL, "no NUL in a path");
	is_int(parse(&p, "7 k\0=v\n", 7), -EINVAL, "no NUL in a key");
	is_int(parse(&p, "8 k=\0\n\n\n", 8), 0, "but in a value, and newlines");
	tarpax_done(&p);
}

static void test_numbers(void)
{
	int64_t v = 0;

	is_int(tarpax_int(STR("-9223372036854775808"), &v), 0, "the smallest number");
	ok(v == INT64_MIN, "is INT64_MIN");
	is_int(tarpax_int(STR("9223372036854775807"), &v), 0, "the largest number");
	ok(v == INT64_MAX, "is INT64_MAX");
	is_int(tarpax_int(STR("9223372036854775808"), &v), -EINVAL, "one more is refused");
	is_int(tarpax_int(STR("-9223372036854775809"), &v), -EINVAL, "one less, too");
	is_int(tarpax_int(STR("+7"), &v), 0, "a plus sign is fine");
	is_int(v, 7, "and means nothing");
	is_int(tarpax_int(STR("0012"), &v), 0, "leading zeros are fine");
	is_int(v, 12, "and decimal");
	is_int(tarpax_int(STR("-"), &v), -EINVAL, "a sign alone is not");
	is_int(tarpax_int(STR(""), &v), -EINVAL, "nothing is not");
	is_int(tarpax_int(STR("1 "), &v), -EINVAL, "a space is not");
}

static void check_time(struct ztoc_str text, int64_t sec, uint32_t nsec)
{
	int64_t s = 0;
	uint32_t n = 0;

	ok(tarpax_time(text, &s, &n) == 0 && s == sec && n == nsec, "time %.*s", (int)text.len,
	   text.s);
}

static void test_times(void)
{
	int64_t s;
	uint32_t n;

	check_time(STR("5"), 5, 0);
	check_time(STR("5."), 5, 0);
	check_time(STR("1.5"), 1, 500000000);
	check_time(STR("-1.5"), -2, 500000000);
	check_time(STR("-0.25"), -1, 750000000);
	check_time(STR("1.1234567899"), 1, 123456789);
	check_time(STR("-1.0000000009"), -1, 0);
	is_int(tarpax_time(STR(".5"), &s, &n), -EINVAL, "no seconds");
	is_int(tarpax_time(STR("1.x"), &s, &n), -EINVAL, "a bad fraction");
	is_int(tarpax_time(STR("1.-5"), &s, &n), -EINVAL, "a signed fraction");
}

static void test_sparse_0(void)
{
	static const char v00[] = "26 GNU.sparse.numblocks=2\n" "23 GNU.sparse.offset=0\n"
				  "25 GNU.sparse.numbytes=5\n" "24 GNU.sparse.offset=10\n"
				  "25 GNU.sparse.numbytes=5\n";
	static const char swapped[] = "25 GNU.sparse.numbytes=5\n";
	struct tarpax p = { 0 };

	is_int(parse(&p, v00, strlen(v00)), 0, "sparse format 0.0");
	ok(is_value(&p, "GNU.sparse.map", "0,5,10,5"), "becomes the map of 0.1");
	is_int(tarpax_sparse(&p), TAR_SPARSE_0, "and is one");
	is_int(tarpax_check_sparse_0(&p, 15), 0, "it fits its size");
	is_int(tarpax_check_sparse_0(&p, 14), -EINVAL, "and no smaller one");
	is_int(parse(&p, swapped, strlen(swapped)), -EINVAL, "a length before an offset");
	tarpax_done(&p);
}

static int feed_map(const char *text, int64_t size, unsigned int *ret_blocks)
{
	struct tar_sparse_1_0 s;
	size_t len = strlen(text);
	bool done = false;

	tar_sparse_1_0_init(&s, size);
	*ret_blocks = 0;
	while (!done && *ret_blocks < 20) {
		uint8_t block[TAR_BLOCK_BYTES] = { 0 };
		size_t at = *ret_blocks * sizeof(block);
		size_t n = at >= len ? 0 : len - at;

		memcpy(block, text + (n ? at : 0), n < sizeof(block) ? n : sizeof(block));
		++*ret_blocks;
		if (tar_sparse_1_0_block(&s, block, &done) < 0)
			return -EINVAL;
	}
	return done ? 0 : -EAGAIN;
}

/* Twenty blocks of empty pieces after the count. */
static int feed_zeros(const char *count)
{
	char text[20 * TAR_BLOCK_BYTES + 1] = "";
	unsigned int n;

	strcpy(text, count);
	for (size_t at = strlen(text); at + 2 < sizeof(text); at += 2)
		strcpy(text + at, "0\n");
	return feed_map(text, 5, &n);
}

static void test_sparse_1_0(void)
{
	char many[4096] = "100\n";
	unsigned int n;

	for (int i = 0; i < 100; i++)
		sprintf(many + strlen(many), "%d\n1\n", 10 * i);
	is_int(feed_map("2\n0\n5\n10\n5\n", 15, &n), 0, "sparse format 1.0");
	is_int(n, 1, "its map is one block");
	is_int(feed_map(many, 1000, &n), 0, "a long map");
	is_int(n, (strlen(many) + 511) / 512, "takes as many blocks as it needs");
	is_int(feed_map("0\n", 5, &n), 0, "an empty map");
	is_int(feed_map("1\n0\n6\n", 5, &n), -EINVAL, "a piece beyond the end");
	is_int(feed_map("2\n0\n5\n4\n5\n", 50, &n), -EINVAL, "pieces that overlap");
	is_int(feed_map("-1\n", 5, &n), -EINVAL, "a negative count");
	is_int(feed_zeros("1048577\n"), -EAGAIN, "a million pieces are not too many");
	is_int(feed_zeros("4611686018427387903\n"), -EAGAIN, "nor the largest number");
	is_int(feed_zeros("4611686018427387904\n"), -EINVAL, "one more is");
	is_int(feed_map("x\n", 5, &n), -EINVAL, "no number");
	memset(many, '0', 1500);
	strcpy(many + 1500, "1\n+0\n5\n");
	is_int(feed_map(many, 5, &n), 0, "1500 leading zeros");
	memcpy(many, "+", 1);
	is_int(feed_map(many, 5, &n), 0, "behind a sign");
	memcpy(many, "-", 1);
	is_int(feed_map(many, 5, &n), -EINVAL, "behind a minus sign");
	memcpy(many, "0-", 2);
	is_int(feed_map(many, 5, &n), -EINVAL, "a sign among them");
	memset(many, '1', 1500);
	is_int(feed_map(many, 5, &n), -EINVAL, "1500 other digits");
}

int main(void)
{
	test_records();
	test_duplicates();
	test_keyhash();
	test_bad_records();
	test_numbers();
	test_times();
	test_sparse_0();
	test_sparse_1_0();
	return tap_done();
}
