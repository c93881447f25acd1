/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every fixture layer, at every span size there is, through the whole fill path: the fake
 * transport compares each byte with the truth when it is written and when it is answered.
 */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "daemon/fill/sources.h"
#include "tests/func/fill_bed.h"
#include "tests/unit/tap.h"

static const char *const sets[] = { "soci-0.4.1-default", "soci-0.4.1-smallspan",
				    "soci-head-default", "soci-head-smallspan" };
static struct bed b;
static uint32_t seed = 7;

static uint32_t rnd(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 4;
}

/* The bytes that one pass over the layer needs: each span once. */
static uint64_t one_pass(const struct bed_layer *bl)
{
	return bl->map->nspans ? bl->comp_size + bl->map->nspans : 0;
}

/* Concurrent reads of any place and length, until the layer is complete. */
static void random_reads(struct layer *l)
{
	uint64_t blob = l->map->blob_size;

	for (int burst = 0; burst < 40 && !layer_is_complete(l); burst++) {
		for (int i = 0; i < 8; i++) {
			uint64_t off = rnd() % blob;
			uint64_t len = 1 + rnd() % (burst % 2 ? 4096 : 300000);

			fake_read(&b.fake, l, off, len < blob - off ? len : blob - off);
		}
		if (burst % 3 == 0 && !bed_settle(&b))
			return;
		bed_turns(&b, (int)(rnd() % 4));
	}
	fake_read(&b.fake, l, 0, blob);
	bed_settle(&b);
}

static void test_random(const struct bed_layer *bl, const struct conductor_opts *opts,
			const char *what)
{
	struct scripted src;
	struct layer *l;

	bed_init(&b, opts);
	scripted_init(&src, b.loop, bl->comp, bl->comp_size);
	src.seed = rnd();
	l = bed_add(&b, bl, &src.source, NULL);
	if (bl->map->blob_size)
		random_reads(l);
	bool complete = layer_is_complete(l);
	uint64_t errors = b.fake.answered_error;
	struct conductor_stats st;

	bed_remove(&b, l);
	conductor_stats_get(b.conductor, &st);
	ok(bed_done(&b) == 0 && errors == 0 && complete && st.pending == 0 &&
		   st.memory_bytes == 0 && st.job_failures == 0,
	   "%s: random reads, %s", bl->name, what);
}

/* A reader from front to back fetches nothing twice. */
static void test_sequential(const struct bed_layer *bl)
{
	const uint64_t piece = 128 << 10;
	struct scripted src;
	struct layer *l;

	bed_init(&b, NULL);
	scripted_init(&src, b.loop, bl->comp, bl->comp_size);
	l = bed_add(&b, bl, &src.source, NULL);
	for (uint64_t off = 0; off < bl->map->blob_size; off += piece) {
		uint64_t left = bl->map->blob_size - off;

		fake_read(&b.fake, l, off, left < piece ? left : piece);
		if (!bed_settle(&b))
			break;
	}
	bool complete = layer_is_complete(l);
	uint64_t errors = b.fake.answered_error, served = src.served_bytes;

	bed_remove(&b, l);
	ok(bed_done(&b) == 0 && errors == 0 && complete && served <= one_pass(bl),
	   "%s: front to back, each span fetched once", bl->name);
}

static void test_background(const struct bed_layer *bl, uint32_t jobs, uint64_t slack)
{
	struct conductor_opts opts = {
		.memory_max_bytes = 64u << 20, .spool_bytes = 1u << 20, .deadline_ms = 20000,
		.max_jobs = 4, .background_jobs = jobs,
	};
	struct scripted src;
	struct layer *l;

	bed_init(&b, &opts);
	scripted_init(&src, b.loop, bl->comp, bl->comp_size);
	l = bed_add(&b, bl, &src.source, NULL);
	conductor_background_set(b.conductor, l, true);
	bool complete = bed_until_complete(&b, l);
	uint64_t served = src.served_bytes;

	bed_remove(&b, l);
	ok(bed_done(&b) == 0 && complete && served <= one_pass(bl) + slack,
	   "%s: background fill with %u jobs, spans fetched once", bl->name, jobs);
}

/* Stop in the middle, start again with what a restart leaves: lengths, but no carry. */
static void test_restart(const struct bed_layer *bl)
{
	uint32_t n = bl->map->nsegments;
	uint64_t *lens = calloc(n + 1, sizeof(*lens));
	bool good = true;

	for (int round = 0; round < 4 && good; round++) {
		struct scripted src;
		struct layer *l;

		bed_init(&b, NULL);
		scripted_init(&src, b.loop, bl->comp, bl->comp_size);
		src.piece_max = 3000;
		l = bed_add(&b, bl, &src.source, lens);
		if (bl->map->blob_size) {
			uint64_t off = rnd() % bl->map->blob_size;

			fake_read(&b.fake, l, off, 1);
			if (round == 3)
				fake_read(&b.fake, l, 0, bl->map->blob_size);
			bed_turns(&b, (int)(rnd() % 50));
			if (round == 3)
				good = bed_settle(&b) && layer_is_complete(l);
		}
		conductor_free(b.conductor);	/* in the middle of whatever it does */
		b.conductor = NULL;
		for (uint32_t i = 0; i < n; i++) {
			lens[i] = fake_segment_len(l, i);
			/* any block boundary may be where a file system cut it */
			if (round == 1 && lens[i])
				lens[i] = rnd() % lens[i];
		}
		fake_layer_done(l);
		layer_free(l);
		good = bed_done(&b) == 0 && good;
	}
	free(lens);
	ok(good, "%s: stopped and started again", bl->name);
}

static void test_file_source(const struct bed_layer *bl)
{
	struct err err = ERR_INIT;
	struct source *s;
	struct layer *l;

	bed_init(&b, NULL);
	if (source_file_new(open(bl->blob_path, O_RDONLY | O_CLOEXEC), bl->blob_path, b.pool, &s,
			    &err) < 0)
		bail("%s", err.text);
	l = bed_add(&b, bl, s, NULL);
	if (bl->map->blob_size)
		random_reads(l);
	bool complete = layer_is_complete(l);
	uint64_t errors = b.fake.answered_error;

	bed_remove(&b, l);
	ok(bed_done(&b) == 0 && errors == 0 && complete, "%s: from a file", bl->name);
}

static void test_layer(const struct bed_layer *bl)
{
	const struct conductor_opts tiny = {
		.memory_max_bytes = 64u << 10, .spool_bytes = 4096, .deadline_ms = 20000,
		.max_jobs = 4,
	};

	test_random(bl, NULL, "generous memory");
	test_random(bl, &tiny, "hardly any memory, spooled");
	test_sequential(bl);
	test_background(bl, 1, 0);
	/* A second job starts in the middle: one span at the seam may be fetched twice. */
	test_background(bl, 2, UINT64_MAX / 2);
	test_restart(bl);
	test_file_source(bl);
}

/* Many segments, nearly all of which end inside a file and share spans with the next. */
static void test_made_layers(void)
{
	static const struct {
		uint64_t span_bytes;
		enum ztoc_compression compression;
	} kinds[] = {
		{ 4u << 20, ZTOC_GZIP }, { 1u << 20, ZTOC_GZIP }, { 100000, ZTOC_GZIP },
		{ 4u << 20, ZTOC_UNCOMPRESSED }, { 12u << 20, ZTOC_GZIP },
	};
	char dir[] = "/tmp/fill_truth.XXXXXX";

	if (!mkdtemp(dir))
		bail("no temporary directory");
	for (uint32_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct bed_layer bl;

		bed_layer_make(dir, 48u << 20, kinds[k].span_bytes, k + 1,
			       kinds[k].compression, &bl);
		printf("# %s: %u segments, %u spans\n", bl.name, bl.map->nsegments, bl.map->nspans);
		test_layer(&bl);
		bed_layer_done(&bl);
	}
	rmdir(dir);
}

int main(int argc, char **argv)
{
	unsigned layers = 0;

	if (argc == 1 || strcmp(argv[1], "made") == 0)
		test_made_layers();

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		char rel[128];
		struct dirent *d;
		DIR *dir;

		snprintf(rel, sizeof(rel), "tests/fixtures/soci/ztoc/%s", sets[i]);
		dir = opendir(tap_src(rel));
		if (!dir)
			bail("no %s", rel);
		while ((d = readdir(dir))) {
			char name[64];
			struct bed_layer bl;
			size_t len = strlen(d->d_name);

			if (len < 6 || strcmp(d->d_name + len - 5, ".ztoc") != 0)
				continue;
			snprintf(name, sizeof(name), "%.*s", (int)len - 5, d->d_name);
			if (argc > 1 && strcmp(name, argv[1]) != 0)
				continue;
			if (bed_layer_load(sets[i], name, &bl) < 0) {
				printf("# %s/%s is not one to serve\n", sets[i], name);
				continue;
			}
			test_layer(&bl);
			bed_layer_done(&bl);
			layers++;
		}
		closedir(dir);
	}
	if (argc == 1)
		ok(layers >= 40, "%u layers and zTOCs", layers);
	return tap_done();
}
