/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc_test.c - lib/ztoc: what ztoc_open() accepts and refuses, span by span and field by
 * field, on zTOCs made for the purpose (ztoc_make.h).
 */
#include "tests/unit/tap.h"

#include <errno.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/le.h"
#include "tests/unit/ztoc_make.h"
#include "ztoc/fb.h"
#include "ztoc/ztoc.h"

static const struct make_ckpt three[] = { { 10, 0, 0 }, { 500, 1000, 3 }, { 900, 2000, 0 } };
static const struct make_file two[] = {
	{ "./", "dir", .mode = 0755, .offset = 512 },
	{ "./a", "reg", .mode = 0100644, .offset = 1024, .size = 900,
	  .mod_time = "2023-11-14T22:13:20Z", .pax_key = "SCHILY.xattr.user.a",
	  .pax_value = "v" },
};

static struct make_ztoc usual(void)
{
	return (struct make_ztoc){ .comp_size = 1000, .out_size = 3000, .span_size = 900,
				   .ckpts = three, .nckpts = 3, .ndigests = 3, .max_span_id = 2,
				   .files = two, .nfiles = 2 };
}

/* Opens what m makes; err->kind must go with failure. */
static struct ztoc *open_made(struct make_ztoc *m, struct buf *b, struct err *err)
{
	struct ztoc *z = NULL;
	int r;

	buf_reset(b);
	make_ztoc(m, b);
	r = ztoc_open(b->data, b->len, &z, err);
	if ((r < 0) != (z == NULL) || (r < 0 && err->text[0] == '\0'))
		bail("error contract broken");
	return z;
}

static void accepted(struct make_ztoc m, const char *what)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct ztoc *z = open_made(&m, &b, &err);

	ok(z != NULL, "accepted: %s %s", what, err.text);
	ztoc_free(z);
}

static void refused(struct make_ztoc m, const char *what)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct ztoc *z = open_made(&m, &b, &err);

	ok(!z && err.kind == ERR_CORRUPT, "refused: %s (%s)", what, err.text);
	ztoc_free(z);
}

static void test_usual(void)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct make_ztoc m = usual();
	struct err err = ERR_INIT;
	struct ztoc *z = open_made(&m, &b, &err);
	struct ztoc_entry e;
	struct ztoc_span s;
	struct ztoc_xattr x;
	bool legacy;

	if (!z)
		bail("%s", err.text);
	ok(ztoc_span_count(z) == 3 && ztoc_entry_count(z) == 2, "counts");
	ztoc_span_get(z, 0, &s);
	ok(s.comp_start == 10 && s.comp_end == 500 && s.out_end == 1000 && !s.window,
	   "span 0 needs no window");
	ztoc_span_get(z, 1, &s);
	ok(s.comp_start == 499 && s.comp_end == 900 && s.bits == 3 && s.window,
	   "a span that starts within a byte includes that byte");
	ok(ztoc_window_offset(z, 1) == (uint64_t)(s.window - b.data), "its window's place");
	is_int(ztoc_window_offset(z, 0), UINT64_MAX, "span 0 has no window in the file");
	ztoc_span_get(z, 2, &s);
	ok(s.comp_end == 1000 && s.out_start == 2000 && s.out_end == 3000, "the last span");
	is_int(ztoc_span_find(z, 0), 0, "find 0");
	is_int(ztoc_span_find(z, 999), 0, "find 999");
	is_int(ztoc_span_find(z, 1000), 1, "find 1000");
	is_int(ztoc_span_find(z, 2999), 2, "find 2999");
	is_int(ztoc_span_find(z, UINT64_MAX), 2, "find past the end");
	ztoc_entry_get(z, 1, &e);
	ok(e.type == ZTOC_REG && e.mode == 0644 && e.size == 900 && e.nxattrs == 1 &&
	   e.mtime_sec == 1700000000, "an entry; only permission bits of the mode");
	ztoc_xattr_get(z, 1, 0, &x);
	ok(x.key.len == 19 && x.value.len == 1 && x.value.s[0] == 'v', "its xattr");
	is_int(ztoc_check_lazy(z, &err), 0, "can be loaded lazily");
	is_int(ztoc_checkpoints_offset(z, &legacy), m.ckpt, "offset of the checkpoints");
	ok(!legacy, "not legacy");
	ztoc_free(z);
}

static void test_legacy(void)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct make_ztoc m = usual();
	struct err err = ERR_INIT;
	struct ztoc_span s;
	struct ztoc *z;
	bool legacy;

	m.legacy = true;
	z = open_made(&m, &b, &err);
	if (!z)
		bail("%s", err.text);
	ztoc_span_get(z, 0, &s);
	ok(s.comp_start == 10 && s.comp_end == 500 && !s.window, "legacy: span 0 is implied");
	ztoc_span_get(z, 1, &s);
	ok(s.comp_start == 499 && s.out_start == 1000, "legacy: record 0 is span 1");
	ztoc_checkpoints_offset(z, &legacy);
	ok(legacy && ztoc_span_count(z) == 3, "legacy: recognised");
	ztoc_free(z);
	m = usual();
	m.legacy = true;
	m.nckpts = 1, m.ndigests = 1, m.max_span_id = 0;
	accepted(m, "legacy with one span: no records at all");
	m.comp_size = 9;
	refused(m, "legacy: a layer shorter than its gzip header");
}

static struct make_ztoc with_ckpts(const struct make_ckpt *c, uint32_t n)
{
	struct make_ztoc m = usual();

	m.ckpts = c;
	m.nckpts = m.ndigests = n;
	m.max_span_id = (int32_t)n - 1;
	return m;
}

static void test_spans(void)
{
	const struct make_ckpt past_end[] = { { 10, 0, 0 }, { 990, 3100, 0 } };
	const struct make_ckpt at_end[] = { { 10, 0, 0 }, { 1000, 3100, 0 } };
	const struct make_ckpt at_end_data[] = { { 10, 0, 0 }, { 1000, 2000, 0 } };
	const struct make_ckpt outside[] = { { 10, 0, 0 }, { 1001, 2000, 0 } };
	const struct make_ckpt bits8[] = { { 10, 0, 0 }, { 500, 1000, 8 } };
	const struct make_ckpt in_equal[] = { { 10, 0, 0 }, { 10, 1000, 0 } };
	const struct make_ckpt out_equal[] = { { 10, 0, 0 }, { 500, 0, 0 } };
	const struct make_ckpt out_back[] = { { 10, 0, 0 }, { 500, 1000, 0 }, { 600, 900, 0 } };
	const struct make_ckpt not_zero[] = { { 10, 1, 0 } };
	const struct make_ckpt bits_first[] = { { 10, 0, 1 } };
	const struct make_ckpt negative[] = { { -1, 0, 0 } };
	const struct make_ckpt bits_at_zero[] = { { 0, 0, 0 }, { 0, 10, 3 } };
	const struct make_ckpt bomb[] = { { 10, 0, 0 }, { 20, 20000, 0 } };
	const struct make_ckpt out_negative[] = { { 10, 0, 0 }, { 20, INT64_MIN, 0 } };

	accepted(with_ckpts(past_end, 2), "a last span past the end of the tar");
	accepted(with_ckpts(at_end, 2), "a last span of no bytes at all");
	refused(with_ckpts(at_end_data, 2), "data out of no bytes");
	refused(with_ckpts(outside, 2), "a checkpoint past the end of the layer");
	refused(with_ckpts(bits8, 2), "8 bits of a byte");
	refused(with_ckpts(in_equal, 2), "two checkpoints at one byte");
	refused(with_ckpts(out_equal, 2), "two checkpoints at one tar offset");
	refused(with_ckpts(out_back, 3), "tar offsets that go back");
	refused(with_ckpts(not_zero, 1), "a first checkpoint not at 0");
	refused(with_ckpts(bits_first, 1), "a first checkpoint within a byte");
	refused(with_ckpts(negative, 1), "a negative offset");
	refused(with_ckpts(bits_at_zero, 2), "bits of the byte before the layer");
	refused(with_ckpts(bomb, 2), "more output than deflate can pack");
	refused(with_ckpts(out_negative, 2), "a negative tar offset");
}

static void test_past_end(void)
{
	const struct make_ckpt past_end[] = { { 10, 0, 0 }, { 990, 3100, 0 } };
	cleanup_buf struct buf b = BUF_INIT(0);
	struct make_ztoc m = with_ckpts(past_end, 2);
	struct err err = ERR_INIT;
	struct ztoc *z = open_made(&m, &b, &err);
	struct ztoc_span s;

	if (!z)
		bail("%s", err.text);
	ztoc_span_get(z, 1, &s);
	ok(s.out_start == 3100 && s.out_end == 3100, "a last span past the end is empty");
	ztoc_span_get(z, 0, &s);
	ok(s.out_end == 3100, "the one before reaches up to it");
	ztoc_free(z);
}

static void test_counts(void)
{
	struct make_ztoc m = usual();

	m.ndigests = 2;
	refused(m, "fewer digests than spans");
	m.ndigests = 4;
	refused(m, "more digests than spans");
	m = usual();
	m.max_span_id = 3;
	refused(m, "max_span_id too large");
	m.max_span_id = -1;
	refused(m, "max_span_id negative");
	m = usual();
	m.digest = "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
	refused(m, "a digest in upper case");
	m.digest = "sha512:00";
	refused(m, "another digest");
	m = usual();
	m.nckpts = m.ndigests = 0;
	m.max_span_id = -1;
	refused(m, "data in a layer without spans");
	m.nfiles = 0;
	accepted(m, "no spans and no data");
	m = usual();
	m.comp_size = -1;
	refused(m, "a negative layer size");
	m = usual();
	m.out_size = -1;
	refused(m, "a negative tar size");
	m = usual();
	m.algorithm = 3;
	refused(m, "an unknown compression");
}

static void refused_patch(size_t where_off, int64_t value, int nbytes, const char *what)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct make_ztoc m = usual();
	struct ztoc *z = NULL;
	struct err err = ERR_INIT;
	int r;

	make_ztoc(&m, &b);
	make_put(&b, m.ckpt + where_off, (uint64_t)value, nbytes);
	r = ztoc_open(b.data, b.len, &z, &err);
	ok(r < 0 && err.kind == ERR_CORRUPT, "refused: %s (%s)", what, err.text);
	ztoc_free(z);
}

static void test_blob(void)
{
	refused_patch(0, 4, 4, "one record less than the count, and not the legacy form's size");
	refused_patch(0, 2, 4, "a record too many");
	refused_patch(0, -1, 4, "a negative count");
	refused_patch(0, 0x7fffffff, 4, "a count whose size overflows 32 bits");
	refused_patch(0, 131022, 4, "a count whose size is right modulo 2^32");
	refused_patch(4, -1, 8, "a negative span size");
	refused_patch(-4, 11, 4, "eleven bytes of checkpoints");
	refused_patch(-4, 0x7fffffff, 4, "checkpoints longer than the file");
}

static void test_plain(void)
{
	struct make_ztoc m = usual();

	m.algorithm = ZTOC_UNCOMPRESSED;
	m.comp_size = 3500;
	m.span_size = 1000;
	m.ndigests = 4;
	m.max_span_id = 3;
	accepted(m, "an uncompressed layer with padding");
	m.out_size = 2900;
	accepted(m, "one whose last span is padding only");
	m.out_size = 3501;
	refused(m, "a tar larger than its uncompressed layer");
	m.out_size = 3000;
	m.span_size = 0;
	refused(m, "a span size of 0");
	m.span_size = 1;
	refused(m, "spans without digests");
	m.span_size = -1000;
	refused(m, "a negative span size");
}

static void test_plain_spans(void)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	struct make_ztoc m = usual();
	struct err err = ERR_INIT;
	struct ztoc_span s;
	struct ztoc *z;

	m.algorithm = ZTOC_UNCOMPRESSED;
	m.comp_size = 3500;
	m.span_size = 1000;
	m.ndigests = 4;
	m.max_span_id = 3;
	z = open_made(&m, &b, &err);
	if (!z)
		bail("%s", err.text);
	ztoc_span_get(z, 3, &s);
	ok(s.comp_start == 3000 && s.comp_end == 3500 && s.out_start == 3000 &&
	   s.out_end == 3000 && !s.window && s.bits == 0, "a last span of padding is empty");
	ztoc_span_get(z, 2, &s);
	ok(s.comp_start == 2000 && s.comp_end == 3000 && s.out_end == 3000, "a full span");
	is_int(ztoc_window_offset(z, 2), UINT64_MAX, "no windows");
	ztoc_free(z);
}

static struct make_ztoc with_file(const struct make_file *f)
{
	struct make_ztoc m = usual();

	m.files = f;
	m.nfiles = 1;
	return m;
}

static void test_entries(void)
{
	static const struct make_file
		past = { "f", .offset = 2000, .size = 1001 },
		offset_past = { "f", "dir", .offset = 3001 },
		wraps = { "f", .offset = 3000, .size = INT64_MAX },
		neg_size = { "f", .size = -1 }, neg_off = { "f", .offset = -1 },
		neg_mode = { "f", .mode = -1 }, type = { "f", "socket" },
		mtime = { "f", .mod_time = "yesterday" }, no_name = { "" },
		major = { "f", "char", .devmajor = 1ll << 32 },
		minor = { "f", "block", .devminor = -1 },
		major_reg = { "f", .devmajor = 1ll << 40 },
		hlsize = { "f", "hardlink", .offset = 2560, .size = 1500, .linkname = "a" },
		at_end = { "f", "dir", .offset = 3000 },
		sparse = { "s", .offset = 512, .size = 1ll << 40,
			   .pax_key = "GNU.sparse.major", .pax_value = "1" };

	refused(with_file(&past), "data past the end of the tar");
	refused(with_file(&offset_past), "an offset past the end of the tar");
	refused(with_file(&wraps), "a range that wraps");
	refused(with_file(&neg_size), "a negative size");
	refused(with_file(&neg_off), "a negative offset");
	refused(with_file(&neg_mode), "a negative mode");
	refused(with_file(&type), "an unknown type");
	refused(with_file(&mtime), "a bad time");
	refused(with_file(&no_name), "an empty name");
	refused(with_file(&major), "a device number over 32 bits");
	refused(with_file(&minor), "a negative device number");
	accepted(with_file(&major_reg), "an odd device number of a regular file");
	accepted(with_file(&hlsize), "a hardlink with a size");
	accepted(with_file(&at_end), "an entry without data at the very end");
	accepted(with_file(&sparse), "a sparse file larger than the tar");
}

static void test_sparse(void)
{
	static const struct make_file files[] = {
		{ "a", .offset = 512 },
		{ "b\n", .offset = 512, .size = 1 << 20, .pax_key = "GNU.sparse.realsize",
		  .pax_value = "1" },
	};
	cleanup_buf struct buf b = BUF_INIT(0);
	struct make_ztoc m = usual();
	struct err err = ERR_INIT;
	struct ztoc *z;

	m.files = files;
	z = open_made(&m, &b, &err);
	if (!z)
		bail("%s", err.text);
	is_int(ztoc_check_lazy(z, &err), -EOPNOTSUPP, "a sparse file makes a layer non-lazy");
	ok(err.kind == ERR_UNSUPPORTED && strstr(err.text, "\"b\\x0a\""), "it is named: %s",
	   err.text);
	ok(!ztoc_entry_is_sparse(z, 0) && ztoc_entry_is_sparse(z, 1), "and it alone");
	ztoc_free(z);
}

enum { SHARERS = 2000 };

/* SHARERS entries that are all the last one; returns its table. */
static size_t make_shared(struct buf *b, struct make_file *files)
{
	struct make_ztoc m = usual();
	size_t last;

	for (int i = 0; i < SHARERS; i++)
		files[i] = (struct make_file){ "f", .offset = 512 };
	m.files = files;
	m.nfiles = SHARERS;
	make_ztoc(&m, b);
	last = m.entries + 4 * (SHARERS - 1);
	last += le32_get(b->data + last);
	for (size_t i = 0; i < SHARERS; i++)
		make_put(b, m.entries + 4 * i, last - (m.entries + 4 * i), 4);
	return last;
}

/* Sharing is legal, but may not multiply the work. */
static void test_sharing(void)
{
	cleanup_free struct make_file *files = calloc(SHARERS, sizeof(*files));
	cleanup_buf struct buf b = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct ztoc *z = NULL;
	size_t table = make_shared(&b, files), first, xattr;

	is_int(ztoc_open(b.data, b.len, &z, &err), 0, "entries may share a table");
	ztoc_free(TAKE_PTR(z));
	first = make_vector(&b, make_slot(table, ZF_FILE_XATTRS), 3000);
	xattr = make_table(&b, 0);
	for (size_t i = 0; i < 3000; i++)
		make_put(&b, first + 4 * i, xattr - (first + 4 * i), 4);
	ok(ztoc_open(b.data, b.len, &z, &err) < 0 && strstr(err.text, "xattrs: more in total"),
	   "but not multiply xattrs: %s", err.text);

	buf_reset(&b);
	table = make_shared(&b, files);
	make_link(&b, make_slot(table, ZF_FILE_NAME));
	make_add(&b, 1 << 20, 4);
	for (int i = 0; i <= 1 << 17; i++)
		make_add(&b, i < 1 << 17 ? 0x6161616161616161 : 0, 8);
	ok(ztoc_open(b.data, b.len, &z, &err) < 0 && strstr(err.text, "names: more text"),
	   "nor one long name: %s", err.text);
}

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Many entries cost linear time: a million opened in 0.06 s when this was written. */
static void test_many(void)
{
	enum { N = 250000 };
	cleanup_buf struct buf b = BUF_INIT(0);
	struct make_ztoc m = usual();
	struct make_file *files = calloc(N, sizeof(*files));
	struct err err = ERR_INIT;
	struct ztoc *z;
	double start;

	for (int i = 0; i < N; i++)
		files[i] = (struct make_file){ "./usr/share/doc/package/file", .offset = 512,
					       .mod_time = "2023-11-14T22:13:20.123456789Z" };
	m.files = files;
	m.nfiles = N;
	make_ztoc(&m, &b);
	start = cpu_seconds();
	if (ztoc_open(b.data, b.len, &z, &err) < 0)
		bail("%s", err.text);
	start = cpu_seconds() - start;
	ok(start < 2, "%d entries open in %.3f s of CPU (%zu bytes)", N, start, b.len);
	ztoc_free(z);
	free(files);
}

int main(void)
{
	test_usual();
	test_legacy();
	test_spans();
	test_past_end();
	test_counts();
	test_blob();
	test_plain();
	test_plain_spans();
	test_entries();
	test_sparse();
	test_sharing();
	test_many();
	return tap_done();
}
