/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc_build_test.c - the builder's zTOCs are byte for byte those that `soci` made.
 *
 * For every zTOC in the fixtures its layer is built with the same span size, in pieces of
 * several sizes, with one thread and with two. And what `soci` refused is refused.
 */
#include "tests/unit/tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "tests/unit/tar_make.h"
#include "ztoc/build.h"

#define FIXTURES "tests/fixtures/soci"
#define MAX_BYTES (64u << 20)

static int read_all(const char *path, struct buf *b)
{
	b->max_bytes = MAX_BYTES;
	return io_read_file(AT_FDCWD, path, b);
}

/* "empty.main.ztoc" was made of the layer "empty". */
static int read_layer(const char *ztoc_name, struct buf *b, bool *ret_plain)
{
	char path[256];
	int n = (int)strcspn(ztoc_name, ".");

	snprintf(path, sizeof(path), FIXTURES "/layers/%.*s.tar.gz", n, ztoc_name);
	*ret_plain = false;
	if (read_all(tap_src(path), b) == 0)
		return 0;
	snprintf(path, sizeof(path), FIXTURES "/layers/%.*s.tar", n, ztoc_name);
	*ret_plain = true;
	return read_all(tap_src(path), b);
}

/* Span size of a fixture, from its decoded form; 0 where there is none. */
static uint64_t span_size_of(const char *set, const char *ztoc_name)
{
	static const char *const keys[] = { "\"span_size\": ", "\"span\": " };
	cleanup_buf struct buf b = { 0 };
	char path[256];
	const char *p;

	snprintf(path, sizeof(path), FIXTURES "/decoded/%s/%.*s.json", set,
		 (int)(strlen(ztoc_name) - strlen(".ztoc")), ztoc_name);
	if (read_all(tap_src(path), &b) < 0)
		return 0;
	for (int i = 0; i < 2; i++) {
		p = strstr((char *)b.data, keys[i]);
		if (p)
			return strtoull(p + strlen(keys[i]), NULL, 10);
	}
	return 0;
}

static int build(const struct ztoc_build_opts *opts, const struct buf *layer, size_t piece,
		 struct ztoc_built *ret, struct err *err)
{
	struct ztoc_builder *b = NULL;
	int r = ztoc_builder_new(opts, &b, err);

	for (size_t at = 0; r == 0 && at < layer->len; at += piece) {
		size_t n = layer->len - at < piece ? layer->len - at : piece;

		r = ztoc_builder_feed(b, layer->data + at, n, err);
	}
	if (r == 0)
		r = ztoc_builder_finish(b, ret, err);
	ztoc_builder_free(b);
	return r;
}

static void check_same(const char *what, const struct ztoc_build_opts *opts,
		       const struct buf *layer, size_t piece, const struct buf *want)
{
	struct ztoc_built built = { 0 };
	struct err err = ERR_INIT;
	int r = build(opts, layer, piece, &built, &err);

	if (!ok(r == 0 && built.len == want->len &&
			memcmp(built.bytes, want->data, want->len) == 0,
		"%s, pieces of %zu, %s", what, piece,
		opts->single_thread ? "one thread" : "two threads"))
		printf("#   %s (%zu bytes, want %zu)\n", r < 0 ? err.text : "bytes differ",
		       built.len, want->len);
	free(built.bytes);
}

static void test_fixture(const char *set, const char *name, const struct ztoc_build_opts *o,
			 bool thorough)
{
	struct ztoc_build_opts opts = *o;
	cleanup_buf struct buf layer = { 0 }, want = { 0 };
	char path[256], what[300];
	bool plain;

	snprintf(path, sizeof(path), FIXTURES "/ztoc/%s/%s", set, name);
	if (read_all(tap_src(path), &want) < 0 || read_layer(name, &layer, &plain) < 0)
		bail("cannot read %s or its layer", path);
	opts.compression = plain ? ZTOC_UNCOMPRESSED : ZTOC_GZIP;
	snprintf(what, sizeof(what), "%s/%s", set, name);
	opts.single_thread = false;
	check_same(what, &opts, &layer, layer.len, &want);
	opts.single_thread = true;
	check_same(what, &opts, &layer, 1000, &want);
	if (thorough)
		check_same(what, &opts, &layer, 1, &want);
}

static void test_set(const char *set, enum ztoc_build_compat compat)
{
	char path[256];
	struct dirent *e;
	unsigned int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), FIXTURES "/ztoc/%s", set);
	d = opendir(tap_src(path));
	if (!d)
		bail("no %s", path);
	while ((e = readdir(d))) {
		struct ztoc_build_opts opts = { .compat = compat, .strict = true };

		if (!strstr(e->d_name, ".ztoc"))
			continue;
		opts.span_size = span_size_of(set, e->d_name);
		if (!opts.span_size)
			bail("no span size for %s/%s", set, e->d_name);
		test_fixture(set, e->d_name, &opts, strncmp(e->d_name, "gzv-mm", 6) == 0);
		n++;
	}
	closedir(d);
	ok(n > 0, "%s: %u zTOCs compared", set, n);
}

static int32_t local_offset(void *arg, int64_t sec)
{
	struct tm tm;
	time_t t = (time_t)sec;

	(void)arg;
	return localtime_r(&t, &tm) ? (int32_t)tm.tm_gmtoff : 0;
}

/* Modification times are in the zone of the machine that built the zTOC. */
static void test_zone(const char *zone, const char *name, enum ztoc_build_compat compat)
{
	struct ztoc_build_opts opts = { .compat = compat, .span_size = 65536,
					.utc_offset = local_offset, .strict = true };
	char path[256];

	snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", zone);
	if (access(path, R_OK) < 0) {
		printf("ok %d - %s # SKIP no time zone data on this machine\n", ++tap_count,
		       zone);
		return;
	}
	setenv("TZ", zone, 1);
	tzset();
	test_fixture("timezone", name, &opts, false);
	setenv("TZ", "UTC", 1);
	tzset();
}

struct refusal {
	const char *layer;
	enum ztoc_build_compat compat;
	enum ztoc_compression compression;
	enum err_kind kind;
	const char *word;		/* of the reason */
};

static void test_refused(const struct refusal *c)
{
	struct ztoc_build_opts opts = { .compat = c->compat, .compression = c->compression,
					.strict = true };
	struct ztoc_built built = { 0 };
	struct err err = ERR_INIT;
	cleanup_buf struct buf layer = { 0 };
	char path[256];
	int r;

	snprintf(path, sizeof(path), FIXTURES "/layers/%s", c->layer);
	if (read_all(tap_src(path), &layer) < 0)
		bail("cannot read %s", path);
	r = build(&opts, &layer, 777, &built, &err);
	ok(r < 0 && err.kind == c->kind && strstr(err.text, c->word),
	   "%s, as soci 0.%d: refused", c->layer,
	   c->compat == ZTOC_BUILD_SOCI_0_1 ? 1 : 2);
	printf("#   %s: %s\n", err_kind_name(err.kind), err.text);
	free(built.bytes);
}

static const struct refusal refusals[] = {
	{ "globalhdr.tar.gz", ZTOC_BUILD_SOCI_0_1, ZTOC_GZIP, ERR_UNSUPPORTED, "'g'" },
	{ "globalhdr.tar.gz", ZTOC_BUILD_SOCI_0_2, ZTOC_GZIP, ERR_UNSUPPORTED, "'g'" },
	{ "contig.tar.gz", ZTOC_BUILD_SOCI_0_1, ZTOC_GZIP, ERR_UNSUPPORTED, "'7'" },
	{ "contig.tar.gz", ZTOC_BUILD_SOCI_0_2, ZTOC_GZIP, ERR_UNSUPPORTED, "'7'" },
	{ "sparsegnu.tar.gz", ZTOC_BUILD_SOCI_0_1, ZTOC_GZIP, ERR_UNSUPPORTED, "'S'" },
	{ "sparsegnu.tar.gz", ZTOC_BUILD_SOCI_0_2, ZTOC_GZIP, ERR_UNSUPPORTED, "'S'" },
	{ "mislabeled-plain-as-gzip.tar.gz", ZTOC_BUILD_SOCI_0_1, ZTOC_GZIP, ERR_CORRUPT,
	  "gzip" },
	{ "mislabeled-plain-as-gzip.tar.gz", ZTOC_BUILD_SOCI_0_2, ZTOC_GZIP, ERR_CORRUPT,
	  "gzip" },
	{ "gzv-lvl6.tar.gz", ZTOC_BUILD_SOCI_0_1, ZTOC_UNCOMPRESSED, ERR_CORRUPT, "tar" },
	{ "gzv-lvl6.tar.gz", ZTOC_BUILD_SOCI_0_2, ZTOC_UNCOMPRESSED, ERR_CORRUPT, "tar" },
	{ "gzv-trailjunk.tar.gz", ZTOC_BUILD_SOCI_0_2, ZTOC_GZIP, ERR_CORRUPT, "after" },
	{ "zstd.tar.zst", ZTOC_BUILD_SOCI_0_2, ZTOC_GZIP, ERR_UNSUPPORTED, "zstd" },
};

/* What can be served although soci refuses it: taken, and told. */
static void test_accepted(const char *name, enum ztoc_build_compat compat, unsigned int want)
{
	struct ztoc_build_opts opts = { .compression = ZTOC_GZIP, .compat = compat };
	struct ztoc_built built = { 0 };
	struct err err = ERR_INIT;
	cleanup_buf struct buf layer = { 0 };
	char path[256];

	snprintf(path, sizeof(path), FIXTURES "/layers/%s", name);
	if (read_all(tap_src(path), &layer) < 0)
		bail("cannot read %s", path);
	if (!is_int(build(&opts, &layer, 5000, &built, &err), 0, "%s, as soci 0.%d: accepted",
		    name, compat == ZTOC_BUILD_SOCI_0_1 ? 1 : 2))
		printf("#   %s\n", err.text);
	is_int((int)built.accepted, (int)want, "%s: and told", name);
	free(built.bytes);
}

/* zstd is named, however its bytes are cut; a plain tar may begin with the same four. */
static void test_zstd(enum ztoc_compression compression, size_t piece)
{
	struct ztoc_build_opts opts = { .compression = compression };
	cleanup_buf struct buf layer = { 0 }, tar = { 0 };
	struct ztoc_built built = { 0 };
	struct err err = ERR_INIT;

	if (read_all(tap_src(FIXTURES "/layers/zstd.tar.zst"), &layer) < 0)
		bail("cannot read the zstd layer");
	for (int i = 0; i < 2; i++) {
		ok(build(&opts, &layer, piece, &built, &err) == -EOPNOTSUPP &&
			   err.kind == ERR_UNSUPPORTED && strstr(err.text, "with zstd"),
		   "zstd, pieces of %zu%s: %s", piece, i ? ", cut short" : "", err.text);
		layer.len = 100;
	}
	if (compression == ZTOC_GZIP)
		return;
	tar_file(&tar, "\x28\xb5\x2f\xfd.txt", "hello", 5);
	tar_end(&tar);
	is_int(build(&opts, &tar, piece, &built, &err), 0,
	       "a name that begins like zstd, pieces of %zu", piece);
	free(built.bytes);
	tar.len = 513;
	ok(build(&opts, &tar, piece, &built, &err) == -EINVAL &&
		   strstr(err.text, "ends early"),
	   "and such a tar, cut short: %s", err.text);
}

/* The layer's digest and diff_id, which the caller compares with the manifest. */
static void test_digests(const char *layer_name)
{
	struct ztoc_build_opts opts = { .compression = ZTOC_GZIP };
	struct ztoc_built built = { 0 };
	cleanup_buf struct buf layer = { 0 }, truth = { 0 };
	char path[256], d[DIGEST_TEXT_SIZE], i[DIGEST_TEXT_SIZE];

	snprintf(path, sizeof(path), FIXTURES "/layers/%s.tar.gz", layer_name);
	if (read_all(tap_src(path), &layer) < 0)
		bail("cannot read %s", path);
	snprintf(path, sizeof(path), FIXTURES "/truth/%s.tsv", layer_name);
	if (read_all(tap_src(path), &truth) < 0)
		bail("cannot read %s", path);
	is_int(build(&opts, &layer, 4096, &built, NULL), 0, "%s: built", layer_name);
	digest_format(&built.layer, d);
	digest_format(&built.diff_id, i);
	/* The first line of the truth: layer digest, diff_id, ... */
	*strchrnul((char *)truth.data, '\n') = '\0';
	ok(strstr((char *)truth.data, d), "%s: layer digest", layer_name);
	ok(strstr((char *)truth.data, i), "%s: diff_id", layer_name);
	free(built.bytes);
}

/* What a hostile layer could make us hold or do has a limit. */
static void test_limits(void)
{
	struct ztoc_build_opts opts = { .compression = ZTOC_GZIP, .span_size = 65536 };
	struct ztoc_built built = { 0 };
	struct err err = ERR_INIT;
	cleanup_buf struct buf layer = { 0 };

	if (read_all(tap_src(FIXTURES "/layers/zeros.tar.gz"), &layer) < 0)
		bail("cannot read the layer of zeros");
	opts.max_tar_bytes = 1 << 20;
	is_int(build(&opts, &layer, 4096, &built, &err), -EFBIG, "a limit for the tar");
	opts.max_tar_bytes = 0;
	opts.max_ztoc_bytes = 100000;
	is_int(build(&opts, &layer, 4096, &built, &err), -EFBIG, "for the checkpoints");
	is_int(err.kind, ERR_UNSUPPORTED, "which is not corrupt");
	opts.max_ztoc_bytes = 0;
	is_int(build(&opts, &layer, 4096, &built, &err), 0, "48 MiB of zeros are fine");
	ok(built.tar_bytes > 48 << 20, "and counted");
	free(built.bytes);
}

/* Many small entries, or few with huge PAX headers. */
static void test_toc_bomb(const char *what, const struct buf *piece)
{
	struct ztoc_build_opts opts = { .compression = ZTOC_UNCOMPRESSED,
					.max_ztoc_bytes = 4 << 20 };
	struct ztoc_builder *b;
	struct err err = ERR_INIT;
	int r = 0;

	if (ztoc_builder_new(&opts, &b, &err) < 0)
		bail("%s", err.text);
	for (unsigned int fed = 0; r == 0 && fed < 256u << 20; fed += (unsigned int)piece->len)
		r = ztoc_builder_feed(b, piece->data, piece->len, &err);
	is_int(r, -EFBIG, "%s: refused", what);
	r = ztoc_builder_feed(b, piece->data, piece->len, &err);
	ok(r < 0 && err.kind == ERR_BUG, "%s: and nothing goes on after that", what);
	ztoc_builder_free(b);
}

static void test_toc_bombs(void)
{
	static char record[1 << 20];
	cleanup_buf struct buf piece = { 0 };

	tar_file(&piece, "x", NULL, 0);
	test_toc_bomb("a million entries", &piece);
	buf_reset(&piece);
	memset(record, 'v', sizeof(record));
	memcpy(record, "1048576 k=", 10);
	record[sizeof(record) - 1] = '\n';
	tar_special(&piece, 'x', record, sizeof(record));
	tar_file(&piece, "x", NULL, 0);
	test_toc_bomb("PAX headers of 1 MiB", &piece);
}

int main(void)
{
	test_set("soci-0.4.1-smallspan", ZTOC_BUILD_SOCI_0_1);
	test_set("soci-0.4.1-default", ZTOC_BUILD_SOCI_0_1);
	test_set("soci-head-smallspan", ZTOC_BUILD_SOCI_0_2);
	test_set("soci-head-default", ZTOC_BUILD_SOCI_0_2);
	test_zone("Asia/Kolkata", "nodot2.soci-0.4.1-TZ-Asia-Kolkata.ztoc",
		  ZTOC_BUILD_SOCI_0_1);
	test_zone("America/Los_Angeles", "nodot2.soci-head-TZ-America-Los_Angeles.ztoc",
		  ZTOC_BUILD_SOCI_0_2);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		test_refused(&refusals[i]);
	test_accepted("globalhdr.tar.gz", ZTOC_BUILD_SOCI_0_2, ZTOC_ACCEPTED_GLOBAL_PAX);
	test_accepted("contig.tar.gz", ZTOC_BUILD_SOCI_0_2, ZTOC_ACCEPTED_CONTIGUOUS);
	test_accepted("gzv-trailjunk.tar.gz", ZTOC_BUILD_SOCI_0_2, ZTOC_ACCEPTED_JUNK);
	/* soci before 0.10 takes it. */
	test_accepted("gzv-trailjunk.tar.gz", ZTOC_BUILD_SOCI_0_1, 0);
	test_accepted("base.tar.gz", ZTOC_BUILD_SOCI_0_2, 0);
	for (size_t piece = 1; piece < 10000; piece = 3 * piece + 1) {
		test_zstd(ZTOC_GZIP, piece);
		test_zstd(ZTOC_UNCOMPRESSED, piece);
	}
	test_digests("gzv-mm2");
	test_digests("base");
	test_limits();
	test_toc_bombs();
	return tap_done();
}
