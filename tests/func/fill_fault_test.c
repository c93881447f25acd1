/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What goes wrong, one thing at a time: each request is answered exactly once and in
 * time, no wrong byte is written or answered (the fake watches), a failure is over when
 * its cause is, and nothing spins or grows.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "tests/func/fill_bed.h"
#include "tests/unit/tap.h"

#define HOUR_MS 3600000u

static struct bed b;
static struct bed_layer base, large, zeros;
static struct scripted src;
static struct conductor_stats st;

static struct conductor_opts opts(void)
{
	return (struct conductor_opts){
		.memory_max_bytes = 64u << 20, .spool_bytes = 8u << 20, .deadline_ms = HOUR_MS,
		.max_jobs = 4,
	};
}

static struct layer *begin_with(const struct conductor_opts *o, const struct bed_layer *bl)
{
	bed_init(&b, o);
	scripted_init(&src, b.loop, bl->comp, bl->comp_size);
	return bed_add(&b, bl, &src.source, NULL);
}

static struct layer *begin(void)
{
	struct conductor_opts o = opts();

	return begin_with(&o, &base);
}

static void stats(void)
{
	conductor_stats_get(b.conductor, &st);
}

/* All requests answered, all memory given back, nothing wrong seen. */
static void end(struct layer *l, const char *what)
{
	bed_remove(&b, l);
	stats();
	is_int(st.memory_bytes, 0, "%s: memory is given back", what);
	is_int(st.pending, 0, "%s: nothing is pending", what);
	is_int(src.under_way, 0, "%s: no read is left", what);
	is_int(bed_done(&b), 0, "%s: answered once, no wrong byte", what);
}

/* Until a read of the source stands where its script holds it. */
static void until_held(struct scripted *s)
{
	uint64_t end_ms = io_now_ms() + 10000;
	struct err err = ERR_INIT;

	while (list_is_empty(&s->held) && io_now_ms() < end_ms)
		if (loop_turn(b.loop, 100, &err) < 0)
			bail("%s", err.text);
	if (list_is_empty(&s->held))
		bail("the source never got there");
}

static void read_all(struct layer *l)
{
	fake_read(&b.fake, l, 0, l->map->blob_size);
	bed_settle(&b);
}

/* The first read of the source goes wrong: EIO; the next request is served. */
static void test_once(enum act act, uint64_t at, bool hidden, const char *what)
{
	struct layer *l = begin();

	src.script[0] = (struct script){ act, at };
	fake_read(&b.fake, l, 1 << 20, 4096);
	bed_settle(&b);
	is_int(b.fake.answered_ok, hidden, "%s: %s", what, hidden ? "hidden" : "EIO");
	read_all(l);
	ok(layer_is_complete(l) && b.fake.answered_ok == 1u + hidden, "%s: then all is served", what);
	end(l, what);
}

static void test_flips(void)
{
	const struct layer_map *m = base.map;
	uint64_t last = m->segments[0].nspans;
	uint64_t end_off = m->spans[last - 1].comp_end - m->spans[0].comp_start;
	uint64_t second = m->spans[1].comp_start - m->spans[0].comp_start;
	/* first byte, the byte shared by two spans, its neighbours, the last byte */
	uint64_t at[] = { 0, second - 1, second, second + 1, end_off - 1 };

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct layer *l = begin();

		src.script[0] = (struct script){ ACT_FLIP, at[i] };
		fake_read(&b.fake, l, 0, m->segments[0].size - (1 << 20));
		read_all(l);
		stats();
		ok(b.fake.answered_ok == 2 && st.digest_mismatches == 1 && layer_is_complete(l),
		   "a flipped bit at %llu: fetched again once, then right",
		   (unsigned long long)at[i]);
		end(l, "a flipped bit");
	}
}

static void test_flip_always(void)
{
	struct layer *l = begin();

	src.script[0] = (struct script){ ACT_FLIP, 300000 };
	src.script[1] = (struct script){ ACT_FLIP, 0 };
	fake_read(&b.fake, l, 0, 4096);
	fake_read(&b.fake, l, l->map->segments[0].size / 2, 4096);
	bed_settle(&b);
	stats();
	is_int(b.fake.answered_ok, 1, "wrong twice: what lies before is served");
	is_int(b.fake.answered_error, 1, "what needs the wrong span is EIO");
	ok(st.digest_mismatches == 2 && src.reads == 2, "after one fresh fetch");
	ok(layer_has(l, 0, 4096) && !layer_has(l, l->map->segments[0].size / 2, 4096),
	   "nothing unverified is present");
	read_all(l);
	ok(layer_is_complete(l), "and it is served when the source has mended");
	end(l, "wrong twice");
}

static void test_stall(void)
{
	struct conductor_opts o = opts();
	struct layer *l;
	uint64_t start = io_now_ms();

	o.deadline_ms = 150;
	l = begin_with(&o, &base);
	src.script[0] = (struct script){ ACT_STALL, 100 };
	fake_read(&b.fake, l, 0, 4096);
	fake_read(&b.fake, l, 8192, 4096);
	bed_settle(&b);
	is_int(b.fake.answered_error, 2, "a source that hangs: EIO");
	ok(io_now_ms() - start >= 150, "not before the deadline");
	fake_read(&b.fake, l, 0, 4096);
	bed_settle(&b);
	stats();
	ok(b.fake.answered_ok == 1 || b.fake.answered_error == 3, "a later read is answered");
	fake_read(&b.fake, l, 0, 4096);
	bed_settle(&b);
	ok(b.fake.answered_ok >= 1, "and served once the hung fetch was given up");
	end(l, "a source that hangs");
}

static void test_no_space(void)
{
	struct layer *l = begin();

	fake_set_space(&b.fake, 200000);
	fake_read(&b.fake, l, 0, 4096);
	fake_read(&b.fake, l, 2 << 20, 4096);
	bed_settle(&b);
	ok(b.fake.answered_error >= 1, "disk full: EIO");
	uint64_t errors = b.fake.answered_error;

	for (int i = 0; i < 20; i++)
		fake_read(&b.fake, l, 2 << 20, 4096);
	bed_settle(&b);
	is_int(b.fake.answered_error, errors + 20, "EIO for each, in time");
	fake_set_space(&b.fake, UINT64_MAX);
	read_all(l);
	ok(layer_is_complete(l), "space is back: all is served");
	end(l, "disk full");
}

static void test_always_failing(void)
{
	struct conductor_opts o = opts();
	struct layer *l;

	o.background_jobs = 2;
	l = begin_with(&o, &base);
	src.always = true;
	src.script[0].act = ACT_REFUSE;
	for (uint64_t i = 0; i < 200; i++)
		fake_read(&b.fake, l, i * 4096 * 13 % (l->map->blob_size - 4096), 4096);
	bed_settle(&b);
	is_int(b.fake.answered_error, 200, "a source that always fails: EIO for each");
	unsigned reads = src.reads;
	uint64_t end_ms = io_now_ms() + 300;
	struct err err = ERR_INIT;

	conductor_background_set(b.conductor, l, true);
	while (io_now_ms() < end_ms)
		if (loop_turn(b.loop, (int)(end_ms - io_now_ms()), &err) < 0)
			bail("%s", err.text);
	ok(src.reads - reads <= 4, "background fill backs off (%u tries in 300 ms)",
	   src.reads - reads);
	end(l, "always failing");
}

static void count_up(void *arg)
{
	++*(uint64_t *)arg;
}

static void test_remove(void)
{
	struct layer *l = begin();
	uint64_t gone = 0;

	src.script[0] = (struct script){ ACT_HOLD, 200000 };
	fake_read(&b.fake, l, 0, 4096);
	fake_read(&b.fake, l, l->map->blob_size - 4096, 4096);
	fake_block_writes(&b.fake, true);
	uint64_t end_ms = io_now_ms() + 10000;
	struct err err = ERR_INIT;

	while (!fake_writes_blocked(&b.fake) && io_now_ms() < end_ms)
		if (loop_turn(b.loop, 10, &err) < 0)
			bail("%s", err.text);
	ok(fake_writes_blocked(&b.fake) > 0, "a worker is in the middle of a write");
	conductor_layer_remove(b.conductor, l, count_up, &gone);
	is_int(b.fake.answered_error, 2, "removed: what waits gets EIO at once");
	fake_read(&b.fake, l, 0, 4096);
	is_int(b.fake.answered_error, 3, "and so does what comes after");
	bed_turns(&b, 5);
	is_int(gone, 0, "not done while a worker writes");
	fake_block_writes(&b.fake, false);
	ok(bed_until(&b, &gone, 1), "done when it has ended");
	conductor_layer_add(b.conductor, l);
	read_all(l);
	ok(layer_is_complete(l), "added again, it is served");
	end(l, "removed");
}

static void test_stop(void)
{
	struct layer *l = begin();

	src.script[0] = (struct script){ ACT_HOLD, 200000 };
	for (uint64_t i = 0; i < 10; i++)
		fake_read(&b.fake, l, i << 20, 4096);
	until_held(&src);
	uint64_t early = b.fake.answered_ok;

	conductor_free(b.conductor);
	b.conductor = NULL;
	is_int(b.fake.answered_ok + b.fake.answered_error, 10, "stopped: each is answered");
	ok(b.fake.answered_error >= 10 - early, "with EIO");
	is_int(src.under_way, 0, "stopped: no read is left");
	fake_layer_done(l);
	layer_free(l);
	ok(src.freed, "the source is freed with its layer");
	is_int(bed_done(&b), 0, "stopped: answered once, no wrong byte");
}

/* Peak of the memory counter while the whole layer is read. */
static void test_memory(const struct bed_layer *bl, uint64_t memory, const char *what)
{
	struct conductor_opts o = opts();
	struct err err = ERR_INIT;
	struct layer *l;
	uint64_t peak = 0, end_ms = io_now_ms() + 30000;

	o.memory_max_bytes = memory;
	o.spool_bytes = 64 << 10;
	l = begin_with(&o, bl);
	fake_read(&b.fake, l, 0, l->map->blob_size);
	do {
		if (loop_turn(b.loop, 100, &err) < 0)
			bail("%s", err.text);
		stats();
		if (st.memory_bytes > peak)
			peak = st.memory_bytes;
	} while (st.pending && io_now_ms() < end_ms);
	ok(layer_is_complete(l), "%s: served", what);
	ok(peak <= (memory < 1 << 20 ? 1 << 20 : memory), "%s: within %llu KiB (%llu)", what,
	   (unsigned long long)memory >> 10, (unsigned long long)peak >> 10);
	end(l, what);
}

static void test_drop(void)
{
	struct layer *l = begin();
	struct fake_request *r;

	src.script[0] = (struct script){ ACT_HOLD, 10 };
	r = fake_read(&b.fake, l, 0, 4096);
	until_held(&src);
	conductor_request_drop(b.conductor, &r->kreq);
	is_int(r->answers, 1, "a reader that went away is answered at once");
	scripted_release(&src);
	read_all(l);
	ok(layer_is_complete(l), "what it had asked for is still filled");
	end(l, "dropped");
}

static void test_offline(void)
{
	struct conductor_opts o = opts();
	uint64_t lens[64] = { 1 << 20 };
	struct layer *l;

	o.background_jobs = 1;
	bed_init(&b, &o);
	scripted_init(&src, b.loop, base.comp, base.comp_size);
	l = bed_add(&b, &base, NULL, lens);
	conductor_background_set(b.conductor, l, true);
	fake_read(&b.fake, l, 4096, 8192);
	is_int(b.fake.answered_ok, 1, "without a source: what is present is served");
	fake_read(&b.fake, l, 2 << 20, 4096);
	bed_settle(&b);
	is_int(b.fake.answered_error, 1, "what is not is EIO");
	end(l, "offline");
}

static void test_early_answer(void)
{
	struct layer *l = begin();
	struct fake_request *first, *later;

	src.script[0] = (struct script){ ACT_HOLD, l->map->spans[2].comp_end };
	first = fake_read(&b.fake, l, 0, 4096);
	later = fake_read(&b.fake, l, l->map->segments[0].size / 2, 4096);
	ok(bed_until(&b, &b.fake.answered_ok, 1) && first->answers == 1,
	   "answered when its span is through");
	until_held(&src);
	ok(later->answers == 0 && src.under_way == 1, "while the rest is still under way");
	scripted_release(&src);
	bed_settle(&b);
	ok(later->answers == 1 && src.reads == 1, "the rest comes in the same request");
	end(l, "early answer");
}

static void test_single_flight(void)
{
	struct conductor_opts o = opts();
	struct layer *l;

	o.max_jobs = 1;
	l = begin_with(&o, &base);
	src.script[0] = (struct script){ ACT_HOLD, 10 };
	for (int i = 0; i < 50; i++)
		fake_read(&b.fake, l, 4096, 4096);
	for (uint32_t i = 0; i < l->map->nsegments; i++)
		fake_read(&b.fake, l, l->map->segments[i].blob_off, 4096);
	until_held(&src);
	ok(src.reads == 1 && src.under_way == 1, "fifty readers of one place: one fetch; no "
	   "more fetches than allowed");
	scripted_release(&src);
	bed_settle(&b);
	is_int(b.fake.answered_ok, 50 + l->map->nsegments, "all are served");
	is_int(src.reads, l->map->nsegments, "with one fetch per segment");
	end(l, "single flight");
}

static void test_background_yields(void)
{
	struct conductor_opts o = opts();
	struct scripted other;
	struct layer *l, *l2;

	o.background_jobs = 1;
	l = begin_with(&o, &base);
	scripted_init(&other, b.loop, base.comp, base.comp_size);
	l2 = bed_add(&b, &base, &other.source, NULL);
	src.piece_max = 500;
	conductor_background_set(b.conductor, l, true);
	bed_turns(&b, 5);
	other.script[0] = (struct script){ ACT_HOLD, 1000 };
	fake_read(&b.fake, l2, 0, 4096);
	until_held(&other);
	uint64_t served = src.served_bytes;

	bed_turns(&b, 50);
	ok(src.under_way == 1 && src.served_bytes == served,
	   "background fill holds still while a reader waits");
	fake_read(&b.fake, l, 4096, 4096);
	ok(bed_until(&b, &b.fake.answered_ok, 1), "a reader that needs its segment releases it");
	scripted_release(&other);
	ok(bed_until_complete(&b, l), "and it goes on when nobody waits");
	bed_remove(&b, l2);
	end(l, "background yields");
}

static void test_rate(void)
{
	struct conductor_opts o = opts();
	struct layer *l;
	uint64_t start = io_now_ms(), ms;

	o.background_jobs = 2;
	o.background_rate = 4u << 20;
	l = begin_with(&o, &base);
	conductor_background_set(b.conductor, l, true);
	ok(bed_until_complete(&b, l), "background fill at 4 MiB/s ends");
	ms = io_now_ms() - start;
	/* 1 MiB of burst, and one window per job on top */
	ok(ms + 10 >= (base.comp_size - (2u << 20)) * 1000 / o.background_rate,
	   "not too soon (%llu ms)", (unsigned long long)ms);
	end(l, "rate");
}

static void test_promotion(void)
{
	struct conductor_opts o = opts();
	struct layer *l;

	o.background_jobs = 1;
	o.background_rate = 1000;
	l = begin_with(&o, &base);
	conductor_background_set(b.conductor, l, true);
	bed_turns(&b, 50);
	uint64_t start = io_now_ms();

	fake_read(&b.fake, l, 1 << 20, 4096);
	bed_settle(&b);
	ok(b.fake.answered_ok == 1 && io_now_ms() - start < 10000,
	   "a fault takes over a background job that is throttled");
	is_int(src.reads, 1, "without another fetch");
	end(l, "promotion");
}

static void test_failed_background_is_not_the_readers(void)
{
	struct conductor_opts o = opts();
	struct layer *l;

	o.background_jobs = 1;
	l = begin_with(&o, &base);
	src.script[0] = (struct script){ ACT_HOLD, 1000 };
	conductor_background_set(b.conductor, l, true);
	until_held(&src);
	fake_read(&b.fake, l, 0, 4096);
	/* the held read now fails instead of going on */
	scripted_fail_held(&src);
	bed_settle(&b);
	is_int(b.fake.answered_ok, 1, "a reader that joined a failing background job is served "
	       "by a fetch of its own");
	end(l, "background failure");
}

static void test_prefetch(void)
{
	struct conductor_opts o = opts();
	struct layer *l;
	uint32_t last;

	o.background_jobs = 1;
	l = begin_with(&o, &base);
	last = l->map->nsegments - 1;
	is_int(conductor_prefetch(b.conductor, l, l->map->segments[last].blob_off, 1), 0,
	       "prefetch of the last segment");
	ok(bed_until(&b, &l->segments[last].len, l->map->segments[last].size), "is done");
	bed_turns(&b, 20);
	is_int(src.reads, 1, "and nothing else");
	is_int(conductor_prefetch(b.conductor, l, l->map->blob_size, 1), -EINVAL,
	       "outside of the layer");
	end(l, "prefetch");
}

static void test_durable(void)
{
	struct conductor_opts o = opts();
	struct layer *l;
	uint64_t syncs;

	o.sync_ms = 20;
	l = begin_with(&o, &base);
	fake_read(&b.fake, l, 0, 4096);
	bed_settle(&b);
	uint64_t end_ms = io_now_ms() + 10000;
	struct err err = ERR_INIT;

	while (fake_segment_synced(l, 0) == 0 && io_now_ms() < end_ms)
		if (loop_turn(b.loop, 100, &err) < 0)
			bail("%s", err.text);
	ok(fake_segment_synced(l, 0) >= 4096, "what was filled is made durable after a while");
	bed_turns(&b, 3);
	pthread_mutex_lock(&b.fake.lock);
	syncs = b.fake.syncs;
	b.fake.sync_error = EIO;
	pthread_mutex_unlock(&b.fake.lock);
	read_all(l);
	for (int i = 0; i < 5; i++)
		if (loop_turn(b.loop, 20, &err) < 0)
			bail("%s", err.text);
	pthread_mutex_lock(&b.fake.lock);
	b.fake.sync_error = 0;
	ok(b.fake.syncs - syncs < 20, "a sync that fails is not tried without pause");
	pthread_mutex_unlock(&b.fake.lock);
	while (fake_segment_synced(l, 0) < l->map->segments[0].size && io_now_ms() < end_ms)
		if (loop_turn(b.loop, 100, &err) < 0)
			bail("%s", err.text);
	is_int(fake_segment_synced(l, 0), l->map->segments[0].size, "but tried again");
	end(l, "durable");
}

/* A window steers the inflater, and no span's digest covers it. */
static void test_damaged_ztoc(void)
{
	char path[] = "/tmp/fill_fault.XXXXXX";
	struct bed_layer damaged = base;
	struct buf z = { 0 };
	struct conductor_opts o = opts();
	struct layer *l;
	int fd = mkstemp(path);

	if (fd < 0 || io_read_file(AT_FDCWD, base.ztoc_path, &z) < 0 ||
	    io_write_full(fd, z.data, z.len) < 0)
		bail("cannot copy the zTOC");
	l = begin_with(&o, &damaged);
	close(l->ztoc_fd);
	z.data[base.map->spans[3].window_off + 32000] ^= 1;
	if (io_pwrite_full(fd, z.data, z.len, 0) < 0)
		bail("cannot damage the zTOC");
	l->ztoc_fd = fd;
	read_all(l);
	is_int(b.fake.answered_error, 1, "a damaged window: EIO, not other bytes");
	end(l, "damaged zTOC");
	unlink(path);
	buf_done(&z);
}

/*
 * All of it at once, by chance: fetches and writes that fail, readers everywhere, some of
 * which go away, layers that are taken out and put back. The fake watches every byte.
 */
static void test_storm(const struct bed_layer *bl, uint32_t seed)
{
	struct conductor_opts o = opts();
	struct layer *l;
	uint64_t blob = bl->map->blob_size, gone;

	o.background_jobs = 1 + seed % 2;
	o.memory_max_bytes = seed % 3 ? 8u << 20 : 1u << 20;
	o.spool_bytes = seed % 2 ? 4096 : 1u << 20;
	o.sync_ms = 5;
	l = begin_with(&o, bl);
	src.seed = b.fake.seed = seed;
	src.trouble_one_in = 3;
	src.piece_max = 20000;
	b.fake.fail_write_one_in = 4;
	for (int step = 0; step < 150; step++) {
		struct fake_request *r;
		uint64_t off = (uint64_t)rand() % blob, len = 1 + (uint64_t)rand() % 200000;

		r = fake_read(&b.fake, l, off, len < blob - off ? len : blob - off);
		bed_turns(&b, rand() % 3);
		if (rand() % 16 == 0 && r->answers == 0)
			conductor_request_drop(b.conductor, &r->kreq);
		if (rand() % 8 == 0)
			conductor_background_set(b.conductor, l, rand() % 2);
		if (rand() % 32 == 0) {
			gone = 0;
			conductor_layer_remove(b.conductor, l, count_up, &gone);
			bed_until(&b, &gone, 1);
			conductor_layer_add(b.conductor, l);
		}
	}
	bed_settle(&b);
	src.trouble_one_in = 0;
	pthread_mutex_lock(&b.fake.lock);
	b.fake.fail_write_one_in = 0;
	pthread_mutex_unlock(&b.fake.lock);
	conductor_background_set(b.conductor, l, false);
	/* a background job that still fails on what went before may cost the first one */
	read_all(l);
	read_all(l);
	ok(layer_is_complete(l), "storm %u: in the end all is served", seed);
	end(l, "storm");
}

static void test_bad_requests(void)
{
	struct layer *l = begin();

	fake_read(&b.fake, l, 0, 0);
	fake_read(&b.fake, l, l->map->blob_size, 4096);
	fake_read(&b.fake, l, l->map->blob_size - 4096, 8192);
	fake_read(&b.fake, l, 4096, UINT64_MAX - 100);
	is_int(b.fake.answered_error, 4, "requests outside of the blob: EIO");
	is_int(src.reads, 0, "and no fetch");
	end(l, "bad requests");
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/fill_fault.XXXXXX";

	if (bed_layer_load("soci-0.4.1-smallspan", "base", &base) < 0 ||
	    bed_layer_load("soci-0.4.1-smallspan", "zeros", &zeros) < 0)
		bail("no fixtures");
	test_once(ACT_REFUSE, 0, false, "refused");
	test_once(ACT_ERROR, 0, false, "an error at once");
	test_once(ACT_ERROR, 50000, false, "an error in the middle");
	test_once(ACT_SHORT, 50000, false, "a short body");
	test_once(ACT_LONG, 0, true, "a byte too many");
	test_once(ACT_INSIDE, 0, true, "all from inside read()");
	test_flips();
	test_flip_always();
	test_stall();
	test_no_space();
	test_always_failing();
	test_remove();
	test_stop();
	test_memory(&base, 256 << 10, "hardly any memory");
	test_memory(&base, 4 << 20, "little memory");
	test_memory(&zeros, 2 << 20, "giant spans in little memory");
	test_drop();
	test_offline();
	test_early_answer();
	test_single_flight();
	test_background_yields();
	test_rate();
	test_promotion();
	test_failed_background_is_not_the_readers();
	test_prefetch();
	test_durable();
	test_damaged_ztoc();
	test_bad_requests();
	srand(1);
	if (!mkdtemp(dir))
		bail("no temporary directory");
	/* spans of more than one write, segments of more than one span */
	bed_layer_make(dir, 16u << 20, 1u << 20, 5, ZTOC_GZIP, &large);
	for (uint32_t seed = 1; seed <= (argc > 1 ? (uint32_t)atoi(argv[1]) : 6); seed++)
		test_storm(seed % 2 ? &base : &large, seed);
	bed_layer_done(&base);
	bed_layer_done(&large);
	rmdir(dir);
	bed_layer_done(&zeros);
	return tap_done();
}
