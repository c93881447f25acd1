/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc_hostile_test.c - zTOCs with defects: a clean error, or a zTOC all of whose accessors
 * work. Named defects (should-fail/ztoc) must give their error; then every truncation,
 * every flipped bit, and hostile values at every offset of real zTOCs.
 *
 * Each input is copied to an allocation of its own size: sanitizers see a byte too far.
 */
#include "tests/unit/tap.h"

#include <errno.h>
#include <fcntl.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "tests/unit/ztoc_walk.h"

#define DIR "tests/golden/should-fail/ztoc"

enum outcome { REFUSED, WALKED };

static uint64_t walked_sum;	/* keeps the reads from being optimised away */

static enum outcome try_open(const uint8_t *data, size_t len, struct err *err)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct ztoc *z = NULL;
	int r;

	memcpy(copy, data, len);
	*err = (struct err)ERR_INIT;
	r = ztoc_open(copy, len, &z, err);
	if (r == 0) {
		walked_sum += ztoc_walk(z);
		ztoc_free(z);
	} else if (z || r != -err->num || !err->text[0] ||
		   (err->kind != ERR_CORRUPT && err->kind != ERR_UNSUPPORTED)) {
		bail("error contract broken: %d '%s'", r, err->text);
	}
	for (const char *p = err->text; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			bail("control character in an error text");
	free(copy);
	return r == 0 ? WALKED : REFUSED;
}

static void load(const char *path, struct buf *b)
{
	if (io_read_file(AT_FDCWD, tap_src(path), b) < 0)
		bail("cannot read %s", path);
}

static void test_named(void)
{
	cleanup_fclose FILE *in = fopen(tap_src(DIR "/errors.tsv"), "re");
	char *line = NULL;
	size_t cap = 0;
	int n = 0;

	if (!in)
		bail("no errors.tsv");
	while (getline(&line, &cap, in) > 0) {
		cleanup_buf struct buf b = BUF_INIT(0);
		char *tab = strchr(line, '\t'), path[256];
		struct err err;

		line[strcspn(line, "\n")] = '\0';
		if (!tab)
			bail("errors.tsv: %s", line);
		*tab = '\0';
		snprintf(path, sizeof(path), DIR "/%s", line);
		load(path, &b);
		ok(try_open(b.data, b.len, &err) == REFUSED && !strcmp(err.text, tab + 1), "%s: %s",
		   line, err.text);
		n++;
	}
	ok(n >= 38, "%d named inputs", n);
	free(line);
}

static void test_truncated(const char *path)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct err err;
	size_t opened = 0;

	load(path, &b);
	for (size_t len = 0; len < b.len; len++)
		opened += try_open(b.data, len, &err) == WALKED;
	is_int(opened, 0, "%s: cut anywhere, it is refused", path);
	is_int(try_open(b.data, b.len, &err), WALKED, "%s: uncut, it opens", path);
}

static void test_flipped(const char *path, size_t step)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	size_t refused = 0, walked = 0;
	struct err err;

	load(path, &b);
	for (size_t bit = 0; bit < 8 * b.len; bit += step) {
		b.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		if (try_open(b.data, b.len, &err) == REFUSED)
			refused++;
		else
			walked++;
		b.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	ok(refused > 0 && walked > 0, "%s: a flipped bit: %zu refused, %zu readable", path, refused,
	   walked);
}

static void test_hostile_values(const char *path, size_t step)
{
	static const uint64_t values[] = {
		0,	    1,		 0x7f,	     0xffff,	  0x7fffffff,
		0x80000000, 0xffffffff, 0xfffffffc, 1ull << 32, INT64_MAX,
		1ull << 63, UINT64_MAX,
	};
	cleanup_buf struct buf b = BUF_INIT(0);
	size_t refused = 0, walked = 0;
	struct err err;

	load(path, &b);
	for (size_t at = 0; at + 8 <= b.len; at += step)
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			size_t n = values[i] >> 32 ? 8 : 4;
			uint8_t saved[8];

			memcpy(saved, b.data + at, 8);
			for (size_t k = 0; k < n; k++)
				b.data[at + k] = (uint8_t)(values[i] >> (8 * k));
			if (try_open(b.data, b.len, &err) == REFUSED)
				refused++;
			else
				walked++;
			memcpy(b.data + at, saved, 8);
		}
	ok(refused > 0, "%s: hostile numbers: %zu refused, %zu readable", path, refused, walked);
}

int main(void)
{
	static const char plain[] = "tests/fixtures/soci/ztoc/soci-head-smallspan/plain.ztoc";
	static const char gzip[] = "tests/fixtures/soci/ztoc/soci-0.4.1-smallspan/nodot2.ztoc";
	static const char legacy[] = "tests/fixtures/soci/synthetic/synthetic-v1-gzv-lvl6.ztoc";

	test_named();
	test_truncated(plain);
	test_truncated(gzip);
	test_flipped(plain, 1);
	test_flipped(gzip, 61);
	test_flipped(legacy, 509);
	test_hostile_values(plain, 2);
	test_hostile_values(gzip, 52);
	printf("# sum %llu\n", (unsigned long long)walked_sum);
	return tap_done();
}
