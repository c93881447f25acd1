/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fill_bed.c - see fill_bed.h. */
#include "tests/func/fill_bed.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/io.h"
#include "tests/unit/tap.h"
#include "ztoc/build.h"

#define PATIENCE_MS 30000u

static uint8_t *slurp(const char *path, uint64_t *ret_len)
{
	struct buf b = { 0 };
	size_t len;
	uint8_t *data;

	if (io_read_file(AT_FDCWD, path, &b) < 0) {
		buf_done(&b);
		return NULL;
	}
	data = buf_take(&b, &len);
	*ret_len = len;
	return data;
}

/* zlib's gz interface crosses members and passes plain tars through. */
static uint8_t *whole_tar(const char *path, uint64_t *ret_len)
{
	gzFile gz = gzopen(path, "rb");
	struct buf b = { 0 };
	uint8_t piece[65536];
	size_t len;
	int n;

	if (!gz)
		bail("cannot open %s", path);
	while ((n = gzread(gz, piece, sizeof(piece))) > 0)
		if (buf_add(&b, piece, (size_t)n) < 0)
			bail("out of memory");
	gzclose(gz);
	uint8_t *tar = buf_take(&b, &len);

	*ret_len = len;
	return tar;
}

static void make_truth(struct bed_layer *bl)
{
	const struct layer_map *m = bl->map;
	uint64_t tar_len;
	uint8_t *tar = whole_tar(bl->blob_path, &tar_len);

	bl->truth = calloc(1, m->blob_size ? m->blob_size : 1);
	if (!bl->truth)
		bail("out of memory");
	for (uint64_t i = 0; i < m->nextents; i++) {
		const struct map_extent *e = &m->extents[i];

		if (e->tar_off + e->len > tar_len)
			bail("%s: extent outside the tar", bl->name);
		memcpy(bl->truth + e->blob_off, tar + e->tar_off, e->len);
	}
	free(tar);
}

/* Each regular file of the table must be in the blob, under its digest. */
static void check_truth(const struct bed_layer *bl, const char *table)
{
	FILE *f = fopen(table, "re");
	char line[8192], hex[80], type[16];
	uint64_t size, off, blob_off;
	unsigned files = 0;

	if (!f)
		bail("no truth table %s", table);
	while (fgets(line, sizeof(line), f)) {
		struct digest d;
		char got[DIGEST_HEX_LEN + 1];

		if (line[0] == '#' ||
		    sscanf(line, "%79s\t%" SCNu64 "\t%" SCNu64 "\t%15s", hex, &size, &off, type) != 4 ||
		    strcmp(type, "reg") != 0 || size == 0)
			continue;
		if (layer_map_file_offset(bl->map, off, &blob_off) < 0)
			bail("%s: no file at tar offset %" PRIu64, bl->name, off);
		digest_of(bl->truth + blob_off, size, &d);
		digest_format_hex(&d, got);
		if (strcmp(got, hex) != 0)
			bail("%s: truth of the file at %" PRIu64 " differs", bl->name, off);
		files++;
	}
	fclose(f);
	if (files < bl->map->nextents)
		bail("%s: %u files in the truth, %" PRIu64 " extents", bl->name, files,
		     bl->map->nextents);
}

static int load_map(struct bed_layer *bl)
{
	struct err err = ERR_INIT;
	struct digest d;
	struct ztoc *z;
	uint64_t len;
	uint8_t *data = slurp(bl->ztoc_path, &len);
	int r;

	if (!data)
		return -ENOENT;
	r = ztoc_open(data, len, &z, &err);
	if (r == 0) {
		r = ztoc_check_lazy(z, &err);
		if (r == 0) {
			digest_of(data, len, &d);
			r = layer_map_build(z, &d, &bl->map, &err);
		}
		ztoc_free(z);
	}
	free(data);
	if (r < 0)
		printf("# %s: %s\n", bl->name, err.text);
	return r;
}

int bed_layer_load(const char *set, const char *name, struct bed_layer *ret)
{
	static const char *const endings[] = { ".tar.gz", ".tar" };
	char base[64], rel[256];

	*ret = (struct bed_layer){ 0 };
	snprintf(ret->name, sizeof(ret->name), "%s/%s", set, name);
	snprintf(rel, sizeof(rel), "tests/fixtures/soci/ztoc/%s/%s.ztoc", set, name);
	snprintf(ret->ztoc_path, sizeof(ret->ztoc_path), "%s", tap_src(rel));
	/* empty.main.ztoc and the like are further zTOCs of the layer empty. */
	snprintf(base, sizeof(base), "%.*s", (int)strcspn(name, "."), name);
	for (int i = 0; i < 2 && !ret->comp; i++) {
		snprintf(rel, sizeof(rel), "tests/fixtures/soci/layers/%s%s", base, endings[i]);
		snprintf(ret->blob_path, sizeof(ret->blob_path), "%s", tap_src(rel));
		ret->comp = slurp(ret->blob_path, &ret->comp_size);
	}
	if (!ret->comp || load_map(ret) < 0) {
		bed_layer_done(ret);
		return -ENOENT;
	}
	make_truth(ret);
	snprintf(rel, sizeof(rel), "tests/fixtures/soci/truth/%s.tsv", base);
	check_truth(ret, tap_src(rel));
	return 0;
}

static uint32_t next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed >> 3;
}

static void tar_header(struct buf *tar, unsigned n, uint64_t size)
{
	char h[512] = "";
	unsigned sum = 0;

	snprintf(h, 100, "file%06u", n);
	memcpy(h + 100, "0000644\0000000000\0000000000", 24);
	snprintf(h + 124, 12, "%011" PRIo64, size);
	memcpy(h + 136, "00000000000", 12);
	memset(h + 148, ' ', 8);
	h[156] = '0';
	memcpy(h + 257, "ustar\00000", 8);
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 8, "%06o", sum);
	if (buf_add(tar, h, sizeof(h)) < 0)
		bail("out of memory");
}

/* Mostly small files, some of several MiB; text that compresses about by half. */
static void make_tar(struct buf *tar, uint64_t bytes, uint32_t *seed)
{
	static const char zeros[1024];

	for (unsigned n = 0; tar->len < bytes; n++) {
		uint64_t size = next(seed) % (n % 7 == 3 ? 9u << 20 : n % 3 ? 30000 : 900000);
		char piece[4096];

		tar_header(tar, n, size);
		for (uint64_t left = size; left;) {
			uint64_t k = left < sizeof(piece) ? left : sizeof(piece);

			for (uint64_t i = 0; i < k; i++)
				piece[i] = "0123456789abcdef"[next(seed) & 15];
			if (buf_add(tar, piece, k) < 0)
				bail("out of memory");
			left -= k;
		}
		if (buf_add(tar, zeros, (512 - size % 512) % 512) < 0)
			bail("out of memory");
	}
	if (buf_add(tar, zeros, sizeof(zeros)) < 0)
		bail("out of memory");
}

static void write_layer(const struct bed_layer *bl, const struct buf *tar, bool gzip)
{
	gzFile gz = gzopen(bl->blob_path, gzip ? "wb1" : "wbT");

	if (!gz || gzwrite(gz, tar->data, (unsigned)tar->len) != (int)tar->len ||
	    gzclose(gz) != Z_OK)
		bail("cannot write %s", bl->blob_path);
}

static void write_ztoc(const struct bed_layer *bl, uint64_t span_bytes,
		       enum ztoc_compression compression)
{
	struct ztoc_build_opts opts = { .compression = compression, .span_size = span_bytes };
	struct ztoc_builder *zb;
	struct ztoc_built built;
	struct err err = ERR_INIT;

	if (ztoc_builder_new(&opts, &zb, &err) < 0 ||
	    ztoc_builder_feed(zb, bl->comp, bl->comp_size, &err) < 0 ||
	    ztoc_builder_finish(zb, &built, &err) < 0 ||
	    io_write_file_atomic(AT_FDCWD, bl->ztoc_path, built.bytes, built.len, 0600) < 0)
		bail("cannot build a zTOC: %s", err.text);
	ztoc_builder_free(zb);
	free(built.bytes);
}

void bed_layer_make(const char *dir, uint64_t tar_bytes, uint64_t span_bytes, uint32_t seed,
		    enum ztoc_compression compression, struct bed_layer *ret)
{
	struct buf tar = { 0 };

	*ret = (struct bed_layer){ .made = true };
	snprintf(ret->name, sizeof(ret->name), "made %u/%llu%s", seed,
		 (unsigned long long)span_bytes, compression == ZTOC_GZIP ? "" : "/plain");
	snprintf(ret->blob_path, sizeof(ret->blob_path), "%s/layer", dir);
	snprintf(ret->ztoc_path, sizeof(ret->ztoc_path), "%s/ztoc", dir);
	make_tar(&tar, tar_bytes, &seed);
	write_layer(ret, &tar, compression == ZTOC_GZIP);
	buf_done(&tar);
	ret->comp = slurp(ret->blob_path, &ret->comp_size);
	if (!ret->comp)
		bail("cannot read %s", ret->blob_path);
	write_ztoc(ret, span_bytes, compression);
	if (load_map(ret) < 0)
		bail("%s: no map", ret->name);
	make_truth(ret);
}

void bed_layer_done(struct bed_layer *bl)
{
	if (bl->made) {
		unlink(bl->blob_path);
		unlink(bl->ztoc_path);
	}
	bl->made = false;
	free(bl->comp);
	free(bl->truth);
	layer_map_free(bl->map);
	bl->comp = bl->truth = NULL;
	bl->map = NULL;
}

void bed_init(struct bed *b, const struct conductor_opts *opts)
{
	static const struct conductor_opts generous = {
		.memory_max_bytes = 256u << 20, .spool_bytes = 8u << 20, .deadline_ms = 20000,
		.max_jobs = 8,
	};
	struct err err = ERR_INIT;

	alarm(300);	/* a test that hangs is killed, whatever it waits for */
	*b = (struct bed){ .opts = opts ? *opts : generous };
	fake_init(&b->fake);
	if (loop_new(&b->loop, &err) < 0) {
		printf("1..0 # SKIP %s\n", err.text);
		exit(0);
	}
	if (pool_new(b->loop, 3, &b->pool, &err) < 0)
		bail("%s", err.text);
	b->opts.loop = b->loop;
	b->opts.pool = b->pool;
	b->opts.spool_dirfd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (conductor_new(&b->opts, &b->conductor, &err) < 0)
		bail("%s", err.text);
	b->fake.transport.ops->start(&b->fake.transport, b->conductor, &err);
}

unsigned bed_done(struct bed *b)
{
	unsigned violations;

	conductor_free(b->conductor);
	pool_free(b->pool);
	bed_turns(b, 3);
	loop_free(b->loop);
	close(b->opts.spool_dirfd);
	violations = fake_done(&b->fake);
	if (violations)
		printf("# first of %u violations: %s\n", violations, b->fake.first_violation);
	return violations;
}

struct layer *bed_add(struct bed *b, const struct bed_layer *bl, struct source *source,
		      const uint64_t *lens)
{
	struct bed_layer again = *bl;
	struct err err = ERR_INIT;
	struct layer *l;

	if (load_map(&again) < 0)
		bail("%s: cannot be loaded again", bl->name);
	if (layer_new(again.map, open(bl->ztoc_path, O_RDONLY | O_CLOEXEC), source, &l, &err) < 0)
		bail("%s: %s", bl->name, err.text);
	if (fake_layer_truth(&b->fake, l, bl->truth) < 0)
		bail("out of memory");
	if (lens)
		fake_layer_preset(l, lens);
	b->fake.transport.ops->layer_open(&b->fake.transport, l, &err);
	conductor_layer_add(b->conductor, l);
	return l;
}

static void removed(void *arg)
{
	*(uint64_t *)arg = 1;
}

void bed_remove(struct bed *b, struct layer *l)
{
	uint64_t gone = 0;

	conductor_layer_remove(b->conductor, l, removed, &gone);
	if (!bed_until(b, &gone, 1))
		bail("a layer cannot be removed");
	fake_layer_done(l);
	layer_free(l);
}

void bed_turns(struct bed *b, int n)
{
	struct err err = ERR_INIT;

	for (int i = 0; i < n; i++)
		if (loop_turn(b->loop, 0, &err) < 0)
			bail("%s", err.text);
}

bool bed_until(struct bed *b, const uint64_t *counter, uint64_t want)
{
	uint64_t end = io_now_ms() + PATIENCE_MS;
	struct err err = ERR_INIT;

	while (*counter < want && io_now_ms() < end)
		if (loop_turn(b->loop, 100, &err) < 0)
			bail("%s", err.text);
	return *counter >= want;
}

bool bed_settle(struct bed *b)
{
	uint64_t end = io_now_ms() + PATIENCE_MS;
	struct conductor_stats st;
	struct err err = ERR_INIT;

	for (;;) {
		conductor_stats_get(b->conductor, &st);
		if (st.pending == 0 || io_now_ms() >= end)
			return st.pending == 0;
		if (loop_turn(b->loop, 100, &err) < 0)
			bail("%s", err.text);
	}
}

bool bed_until_complete(struct bed *b, const struct layer *l)
{
	return bed_until(b, &l->present_bytes, l->map->blob_size);
}
