/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc_verify_test.c - lib/ztoc/verify and extract: a layer and a zTOC that do not go
 * together are told apart, whatever the difference; nothing unverified reaches a sink.
 */
#include "tests/unit/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/le.h"
#include "tests/unit/tar_make.h"
#include "tests/unit/ztoc_make.h"
#include "ztoc/build.h"
#include "ztoc/verify.h"

#define FIXTURES "tests/fixtures/soci"

struct pair {
	struct buf ztoc, layer;
};

static void pair_load(struct pair *p, const char *ztoc, const char *layer)
{
	char rel[512];

	*p = (struct pair){ 0 };
	snprintf(rel, sizeof(rel), FIXTURES "/ztoc/soci-head-smallspan/%s", ztoc);
	if (io_read_file(AT_FDCWD, tap_src(rel), &p->ztoc) < 0)
		bail("cannot read %s", rel);
	snprintf(rel, sizeof(rel), FIXTURES "/layers/%s", layer);
	if (io_read_file(AT_FDCWD, tap_src(rel), &p->layer) < 0)
		bail("cannot read %s", rel);
}

static void pair_done(struct pair *p)
{
	buf_done(&p->ztoc);
	buf_done(&p->layer);
}

/* An fd of a file with the layer's bytes. */
static int layer_fd(const struct pair *p)
{
	int fd = memfd_create("layer", MFD_CLOEXEC);

	if (fd < 0 || io_write_full(fd, p->layer.data, p->layer.len) < 0)
		bail("memfd");
	return fd;
}

static int verify(const struct pair *p, struct err *err)
{
	struct verify_totals totals;
	struct ztoc *z;
	int fd, r;

	*err = (struct err)ERR_INIT;
	r = ztoc_open(p->ztoc.data, p->ztoc.len, &z, err);
	if (r < 0)
		bail("the zTOC does not open: %s", err->text);
	fd = layer_fd(p);
	r = verify_layer(&(struct extract){ z, fd, INFLATE_BEST }, &totals, err);
	close(fd);
	ztoc_free(z);
	return r;
}

static void differs(const struct pair *p, const char *want, const char *what)
{
	struct err err;

	ok(verify(p, &err) < 0 && err.kind == ERR_CORRUPT && strstr(err.text, want), "%s: %s", what,
	   err.text);
}

/* Put `to` over the only place where `from` stands. */
static void replace(struct buf *b, const void *from, const void *to, size_t len)
{
	uint8_t *at = memmem(b->data, b->len, from, len);

	if (!at || memmem(at + 1, b->len - (size_t)(at + 1 - b->data), from, len))
		bail("the bytes to replace are not there once");
	memcpy(at, to, len);
}

static void replace_u64(struct buf *b, uint64_t from, uint64_t to)
{
	uint8_t x[8], y[8];

	le64_put(x, from);
	le64_put(y, to);
	replace(b, x, y, 8);
}

/* Fields of ./dir0/f03 in plain.ztoc, which no digest covers but the zTOC's own. */
static void test_toc(void)
{
	struct ztoc_entry e = { .size = 0 };
	struct pair p;
	struct ztoc *z;
	struct err err;

	pair_load(&p, "plain.ztoc", "plain.tar");
	is_int(verify(&p, &err), 0, "the true pair verifies %s", err.text);
	if (ztoc_open(p.ztoc.data, p.ztoc.len, &z, &err) < 0)
		bail("%s", err.text);
	ztoc_entry_get(z, 3, &e);
	ztoc_free(z);

	replace(&p.ztoc, "./dir0/f03", "./dir0/f0X", 10);
	differs(&p, "another name", "a name");
	replace(&p.ztoc, "./dir0/f0X", "./dir0/f03", 10);
	replace_u64(&p.ztoc, e.offset, e.offset - 512);
	differs(&p, "another offset", "an offset");
	replace_u64(&p.ztoc, e.offset - 512, e.offset);
	replace_u64(&p.ztoc, e.size, e.size - 1);
	differs(&p, "another size", "a size");
	replace_u64(&p.ztoc, e.size - 1, e.size);
	replace_u64(&p.ztoc, 519168, 519168 - 512);
	differs(&p, "tar ends", "the tar's end");
	replace_u64(&p.ztoc, 519168 - 512, 519168);
	is_int(verify(&p, &err), 0, "and put right again it verifies %s", err.text);
	pair_done(&p);
}

static int no_sink(void *arg, const uint8_t *data, size_t len)
{
	(void)data;
	*(uint64_t *)arg += len;
	return 0;
}

static void test_layer(void)
{
	struct pair p;
	struct ztoc *z;
	struct err err;
	uint64_t got = 0;
	int fd;

	pair_load(&p, "gzv-mm2.ztoc", "gzv-mm2.tar.gz");
	is_int(verify(&p, &err), 0, "gzip: the true pair verifies %s", err.text);
	p.layer.data[100000] ^= 1;
	differs(&p, "have digest", "gzip: a bit of the layer");
	if (ztoc_open(p.ztoc.data, p.ztoc.len, &z, &err) < 0)
		bail("%s", err.text);
	fd = layer_fd(&p);
	struct extract x = { z, fd, INFLATE_BEST };
	struct ztoc_span s;
	uint32_t i = 0;

	for (ztoc_span_get(z, 0, &s); s.comp_end <= 100000; i++)
		ztoc_span_get(z, i + 1, &s);
	ok(extract_range(&x, s.out_start, 1, no_sink, &got, &err) < 0 && got == 0,
	   "gzip: no byte of the damaged span comes out: %s", err.text);
	ok(extract_range(&x, 0, s.out_start, no_sink, &got, &err) == 0 && got == s.out_start,
	   "gzip: the spans before it are readable");
	got = 0;
	ok(extract_range(&x, s.out_start - 10, 20, no_sink, &got, &err) < 0 && got == 10,
	   "gzip: a range into it ends where it begins");
	is_int(extract_range(&x, ztoc_out_size(z), 1, no_sink, &got, &err), -EINVAL,
	       "a range past the end is refused");
	close(fd);
	ztoc_free(z);
	p.layer.data[100000] ^= 1;
	p.layer.len--;
	differs(&p, "bytes, but the zTOC is for", "gzip: a byte short");
	p.layer.len++;
	buf_add(&p.layer, "", 1);
	differs(&p, "bytes, but the zTOC is for", "gzip: a byte long");
	pair_done(&p);
}

static void test_window(void)
{
	struct pair p;
	struct ztoc *z;
	struct err err;
	uint64_t at;

	pair_load(&p, "gzv-mm2.ztoc", "gzv-mm2.tar.gz");
	if (ztoc_open(p.ztoc.data, p.ztoc.len, &z, &err) < 0)
		bail("%s", err.text);
	at = ztoc_window_offset(z, 2);
	ztoc_free(z);
	p.ztoc.data[at + 77] ^= 0x20;
	differs(&p, "span 2: its window", "a byte of a window");
	pair_done(&p);
}

/* The zTOC of p's layer; returns what was accepted. */
static unsigned int build(struct pair *p, enum ztoc_build_compat compat)
{
	const struct ztoc_build_opts opts = { .compression = ZTOC_GZIP, .compat = compat };
	struct ztoc_builder *b = NULL;
	struct ztoc_built built;
	struct err err = ERR_INIT;

	if (ztoc_builder_new(&opts, &b, &err) < 0 ||
	    ztoc_builder_feed(b, p->layer.data, p->layer.len, &err) < 0 ||
	    ztoc_builder_finish(b, &built, &err) < 0)
		bail("%s", err.text);
	ztoc_builder_free(b);
	buf_add(&p->ztoc, built.bytes, built.len);
	free(built.bytes);
	return built.accepted;
}

/* What the builder takes although soci does not is right in the zTOC as well. */
static void test_accepted(const char *layer, unsigned int want)
{
	struct pair p = { 0 };
	struct err err = ERR_INIT;
	char rel[256];

	snprintf(rel, sizeof(rel), FIXTURES "/layers/%s", layer);
	if (io_read_file(AT_FDCWD, tap_src(rel), &p.layer) < 0)
		bail("cannot read %s", rel);
	is_int((int)build(&p, ZTOC_BUILD_SOCI_0_2), (int)want, "%s: built", layer);
	is_int(verify(&p, &err), 0, "%s: verifies %s", layer, err.text);
	pair_done(&p);
}

/* A gzip member of one stored block; without its end where `is_open`. */
static void add_stored(struct buf *b, const char *name, const struct buf *data, bool is_open)
{
	uint8_t head[10] = { 0x1f, 0x8b, 8, *name ? 8 : 0 }, block[5], trailer[8];

	block[0] = !is_open;
	le16_put(block + 1, (uint16_t)data->len);
	le16_put(block + 3, (uint16_t)~data->len);
	le32_put(trailer, (uint32_t)crc32(0, data->data, (uInt)data->len));
	le32_put(trailer + 4, (uint32_t)data->len);
	buf_add(b, head, sizeof(head));
	buf_add(b, name, *name ? strlen(name) + 1 : 0);
	buf_add(b, block, sizeof(block));
	buf_add(b, data->data, data->len);
	buf_add(b, trailer, is_open ? 0 : sizeof(trailer));
}

static void test_gzip_name(void)
{
	cleanup_buf struct buf tar = { 0 };
	char name[700] = "";
	struct pair p = { 0 };
	struct err err = ERR_INIT;

	memset(name, 'n', sizeof(name) - 1);
	tar_file(&tar, "a", "hello", 5);
	tar_end(&tar);
	add_stored(&p.layer, name, &tar, false);
	is_int((int)build(&p, ZTOC_BUILD_SOCI_0_2), ZTOC_ACCEPTED_GZIP_NAME,
	       "a gzip header with a long name: built");
	is_int(verify(&p, &err), 0, "a gzip header with a long name: verifies %s", err.text);
	pair_done(&p);
}

/* Deflate data that breaks off right behind the tar's end, in a later member. */
static void test_broken_rest(void)
{
	cleanup_buf struct buf tar = { 0 }, end = { 0 };
	struct pair p = { 0 };

	tar_file(&tar, "a", "hello", 5);
	tar_end(&end);
	add_stored(&p.layer, "", &tar, false);
	add_stored(&p.layer, "", &end, true);
	buf_add(&p.layer, "\7\7\7\7\7\7\7\7\7\7", 10);
	build(&p, ZTOC_BUILD_SOCI_0_1);
	differs(&p, "invalid deflate data, after 1024 good bytes", "broken behind the tar's end");
	pair_done(&p);
}

/* A checkpoint moved: the output before it is longer or shorter than the zTOC says. */
static void test_checkpoint(void)
{
	struct pair p;
	struct ztoc *z;
	struct err err;
	uint64_t at, out;

	pair_load(&p, "gzv-mm2.ztoc", "gzv-mm2.tar.gz");
	if (ztoc_open(p.ztoc.data, p.ztoc.len, &z, &err) < 0)
		bail("%s", err.text);
	at = ztoc_window_offset(z, 1) - 9;
	ztoc_free(z);
	out = le64_get(p.ztoc.data + at);
	le64_put(p.ztoc.data + at, out - 1);
	differs(&p, "longer than the zTOC says", "a checkpoint a byte early");
	le64_put(p.ztoc.data + at, out + 1);
	differs(&p, "1 of ", "a checkpoint a byte late");
	pair_done(&p);
}

static int hash_sink(void *arg, const uint8_t *data, size_t len)
{
	digest_update(arg, data, len);
	return 0;
}

/* A span over the size that is held in memory is read twice. */
static void test_large_span(void)
{
	enum { LEN = 20 << 20 };
	const struct make_file file = { "big", .offset = 512, .size = LEN - 512 };
	struct make_ztoc m = { .comp_size = LEN, .out_size = LEN, .span_size = 32 << 20,
			       .algorithm = ZTOC_UNCOMPRESSED, .ndigests = 1, .files = &file,
			       .nfiles = 1 };
	cleanup_buf struct buf b = BUF_INIT(0);
	struct pair p = { 0 };
	char text[DIGEST_TEXT_SIZE];
	struct digest_ctx ctx;
	struct digest want, got;
	struct err err = ERR_INIT;
	struct extract x = { .backend = INFLATE_BEST };
	struct ztoc *z;
	uint64_t n = 0;

	for (uint32_t i = 0; i < LEN / 4; i++) {
		uint32_t v = i * 2654435761u;

		buf_add(&p.layer, &v, 4);
	}
	digest_of(p.layer.data, LEN, &got);
	digest_format(&got, text);
	digest_of(p.layer.data + 512, LEN - 512, &want);
	m.digest = text;
	make_ztoc(&m, &b);
	if (ztoc_open(b.data, b.len, &z, &err) < 0)
		bail("%s", err.text);
	x.ztoc = z;
	x.layer_fd = layer_fd(&p);
	digest_init(&ctx);
	is_int(extract_entry(&x, 0, hash_sink, &ctx, &err), 0, "large span: readable");
	digest_final(&ctx, &got);
	ok(digest_is_equal(&got, &want), "large span: the right bytes");
	if (pwrite(x.layer_fd, "x", 1, LEN - 1) != 1)
		bail("pwrite");
	ok(extract_entry(&x, 0, no_sink, &n, &err) < 0 && err.kind == ERR_CORRUPT && n == 0,
	   "large span: damaged at its end, no byte of it comes out: %s", err.text);
	close(x.layer_fd);
	ztoc_free(z);
	pair_done(&p);
}

/* A file that holds spans 1 and 2 alone is no layer with zeros around them. */
static void test_part(void)
{
	struct extract x = { .backend = INFLATE_BEST };
	struct ztoc_span s[4];
	struct err err = ERR_INIT;
	uint64_t got = 0;
	struct pair p;
	struct ztoc *z;

	pair_load(&p, "gzv-mm2.ztoc", "gzv-mm2.tar.gz");
	if (ztoc_open(p.ztoc.data, p.ztoc.len, &z, &err) < 0)
		bail("%s", err.text);
	for (uint32_t i = 0; i < 4; i++)
		ztoc_span_get(z, i, &s[i]);
	x.ztoc = z;
	x.part_start = s[1].comp_start;
	x.part_end = s[2].comp_end;
	memmove(p.layer.data, p.layer.data + x.part_start, x.part_end - x.part_start);
	p.layer.len = x.part_end - x.part_start;
	x.layer_fd = layer_fd(&p);
	is_int(extract_range(&x, s[1].out_start, s[2].out_end - s[1].out_start, no_sink, &got, &err),
	       0, "part: its spans are readable %s", err.text);
	ok(got == s[2].out_end - s[1].out_start, "part: all of them");
	got = 0;
	ok(extract_range(&x, s[0].out_start, 1, no_sink, &got, &err) == -EIO && got == 0,
	   "part: not the span before it: %s", err.text);
	ok(extract_range(&x, s[3].out_start, 1, no_sink, &got, &err) == -EIO && got == 0,
	   "part: nor the one after it: %s", err.text);
	x.part_end++;
	ok(extract_range(&x, s[1].out_start, 1, no_sink, &got, &err) < 0 && got == 0,
	   "part: a file that is shorter than said is refused: %s", err.text);
	close(x.layer_fd);
	ztoc_free(z);
	pair_done(&p);
}

int main(void)
{
	test_toc();
	test_layer();
	test_window();
	test_checkpoint();
	test_large_span();
	test_gzip_name();
	test_broken_rest();
	test_part();
	test_accepted("globalhdr.tar.gz", ZTOC_ACCEPTED_GLOBAL_PAX);
	test_accepted("contig.tar.gz", ZTOC_ACCEPTED_CONTIGUOUS);
	test_accepted("gzv-trailjunk.tar.gz", ZTOC_ACCEPTED_JUNK);
	return tap_done();
}
