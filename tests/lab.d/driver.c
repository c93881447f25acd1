/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * driver.c - the cachefiles transport under a conductor that can be told to misbehave.
 *
 *	driver --dir DIR [--guardian RUN_DIR PROGRAM] [--fault MODE] [--any-kernel] [--no-seeding]
 *	       --layer BLOB_ID FILE ... --image IMAGE_ID BOOTSTRAP ...
 *
 * A layer's data is FILE itself (the blob, not a tar), in segments of 4 MiB. Commands come
 * line by line on stdin, each is answered with one line, "ok ..." or "error ...":
 *	mount IMAGE_ID DIR | sync BLOB_ID | stats | fault MODE | quit
 *
 * Modes: none; noread (complete without data), eio (say so), partial (4 KiB, then
 * complete), hang (never answer), slow (wait 20 ms before each fill).
 *
 * It replaces the conductor's functions at link time; everything else is the daemon's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "daemon/fill/conductor.h"
#include "daemon/kernel/cachefiles.h"
#include "daemon/log.h"

#define SEGMENT_BYTES (4u << 20)
#define PIECE_BYTES (256u << 10)
#define MAX 32

struct conductor {
	struct loop *loop;
	struct pool *pool;
	struct transport *transport;
	struct layer *layers[MAX];
	int data[MAX];
	unsigned nlayers;
	struct image_spec images[MAX];
	unsigned nimages;
	struct list pending;
	const char *volatile fault;
	/* the one fill under way */
	bool busy;
	struct pool_job job;
	unsigned layer_index;
	uint32_t segment;
	uint64_t from, to;
	int result;
};

static struct conductor con = { .fault = "none" };

static bool fault_is(const char *mode)
{
	return strcmp(con.fault, mode) == 0;
}

bool layer_has(const struct layer *l, uint64_t off, uint64_t len)
{
	for (uint32_t i = 0; i < l->map->nsegments; i++) {
		const struct map_segment *seg = &l->map->segments[i];
		uint64_t end = off + len;

		if (seg->blob_off + seg->size <= off || seg->blob_off >= end)
			continue;
		if (end > seg->blob_off + seg->size)
			end = seg->blob_off + seg->size;
		if (seg->blob_off + l->segments[i].len < end)
			return false;
	}
	return true;
}

struct layer *conductor_layer_find(struct conductor *c, const char *blob_id)
{
	for (unsigned i = 0; i < c->nlayers; i++)
		if (strcmp(c->layers[i]->blob_id, blob_id) == 0)
			return c->layers[i];
	return NULL;
}

static void fill_work(struct pool_job *job)
{
	static _Alignas(4096) uint8_t buf[PIECE_BYTES];
	struct layer *l = con.layers[con.layer_index];
	uint64_t base = l->map->segments[con.segment].blob_off, len;
	struct err err = ERR_INIT;

	(void)job;
	if (fault_is("slow"))
		usleep(20000);
	con.result = 0;
	for (uint64_t at = con.from; at < con.to && con.result == 0; at += len) {
		len = con.to - at < PIECE_BYTES ? con.to - at : PIECE_BYTES;
		memset(buf, 0, sizeof(buf));
		if (pread(con.data[con.layer_index], buf, len, (off_t)(base + at)) < 0)
			con.result = -errno;
		else
			con.result = con.transport->ops->segment_write(con.transport, l, con.segment,
								       at, buf, len, &err);
	}
	if (con.result < 0)
		log_warning("fill: %s", err.text);
}

static void pump(void);

static void answer(struct kreq *req, int status)
{
	list_del(&req->link);
	con.transport->ops->answer(con.transport, req, status);
}

static void fill_done(struct pool_job *job)
{
	struct layer *l = con.layers[con.layer_index];
	struct segment *seg = &l->segments[con.segment];
	struct kreq *req, *tmp;

	(void)job;
	con.busy = false;
	seg->job = NULL;
	if (con.result == 0) {
		l->present_bytes += con.to - seg->len;
		seg->len = con.to;
	} else {
		list_for_each_safe(req, tmp, &con.pending, link)
			if (req->layer == l)
				answer(req, con.result);
	}
	pump();
}

/* Start the fill that the oldest request needs; answer those that need none. */
static void pump(void)
{
	while (!con.busy && !list_is_empty(&con.pending)) {
		struct kreq *req = list_first(&con.pending, struct kreq, link);
		struct layer *l = req->layer;
		uint64_t need;
		uint32_t i;

		if (fault_is("hang"))
			return;
		if (fault_is("noread") || fault_is("eio") || layer_has(l, req->off, req->len)) {
			answer(req, fault_is("eio") ? -EIO : 0);
			continue;
		}
		i = layer_map_segment_find(l->map, req->off);
		while (l->map->segments[i].blob_off + l->segments[i].len >= req->off + req->len ||
		       l->segments[i].len == l->map->segments[i].size)
			i++;
		need = req->off + req->len - l->map->segments[i].blob_off;
		need = io_round_up(need, fault_is("partial") ? 4096 : PIECE_BYTES);
		if (need > l->map->segments[i].size)
			need = l->map->segments[i].size;
		con.from = l->segments[i].len;
		if (fault_is("partial") && need > con.from + 4096 &&
		    l->map->segments[i].blob_off + con.from >= req->off)
			need = con.from + 4096;
		con.to = need;
		con.segment = i;
		for (con.layer_index = 0; con.layers[con.layer_index] != l;)
			con.layer_index++;
		con.busy = true;
		l->segments[i].job = (struct fill_job *)&con.job;
		con.job = (struct pool_job){ .work = fill_work, .done = fill_done };
		pool_submit(con.pool, &con.job);
		if (fault_is("partial") && need == con.from + 4096 &&
		    l->map->segments[i].blob_off + con.from >= req->off)
			list_del(&req->link), list_add_tail(&con.pending, &req->link);
	}
}

void conductor_request(struct conductor *c, struct kreq *req)
{
	list_add_tail(&c->pending, &req->link);
	pump();
}

void conductor_request_drop(struct conductor *c, struct kreq *req)
{
	(void)c;
	answer(req, -EIO);
}

/* --- set-up --------------------------------------------------------------------------- */
static void die(const char *what, const struct err *err)
{
	printf("error %s: %s\n", what, err ? err->text : strerror(errno));
	exit(1);
}

static struct layer_map *map_make(uint64_t size)
{
	struct layer_map *m = calloc(1, sizeof(*m));

	size = io_round_up(size, 4096);
	m->blob_size = size;
	m->nsegments = (uint32_t)((size + SEGMENT_BYTES - 1) / SEGMENT_BYTES);
	m->segments = calloc(m->nsegments + 1, sizeof(*m->segments));
	for (uint32_t i = 0; i < m->nsegments; i++) {
		m->segments[i].blob_off = (uint64_t)i * SEGMENT_BYTES;
		m->segments[i].size = size - m->segments[i].blob_off;
		if (m->segments[i].size > SEGMENT_BYTES)
			m->segments[i].size = SEGMENT_BYTES;
	}
	return m;
}

uint32_t layer_map_segment_find(const struct layer_map *m, uint64_t blob_off)
{
	(void)m;
	return (uint32_t)(blob_off / SEGMENT_BYTES);
}

static void layer_add(const char *id, const char *file)
{
	struct layer *l = calloc(1, sizeof(*l));
	struct stat st;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		die(file, NULL);
	snprintf(l->blob_id, sizeof(l->blob_id), "%s", id);
	l->map = map_make((uint64_t)st.st_size);
	l->segments = calloc(l->map->nsegments + 1, sizeof(*l->segments));
	con.data[con.nlayers] = fd;
	con.layers[con.nlayers++] = l;
}

static void state_open(void)
{
	struct err err = ERR_INIT;

	for (unsigned i = 0; i < con.nlayers; i++) {
		con.layers[i]->transport = con.transport;
		if (con.transport->ops->layer_open(con.transport, con.layers[i], &err) < 0)
			die("layer", &err);
		printf("layer %.8s present %llu of %llu\n", con.layers[i]->blob_id,
		       (unsigned long long)con.layers[i]->present_bytes,
		       (unsigned long long)con.layers[i]->map->blob_size);
	}
	for (unsigned i = 0; i < con.nimages; i++)
		if (con.transport->ops->image_prepare(con.transport, &con.images[i], &err) < 0)
			die("image", &err);
}

static void command(char *line)
{
	struct cachefiles_stats s;
	struct err err = ERR_INIT;
	char a[256] = "", b[256] = "", c[256] = "";
	int rc = 0;

	sscanf(line, "%255s %255s %255s", a, b, c);
	if (strcmp(a, "mount") == 0) {
		struct image_spec spec = { .image_id = b };

		rc = con.transport->ops->mount(con.transport, &spec, c, &err);
	} else if (strcmp(a, "sync") == 0) {
		struct layer *l = conductor_layer_find(&con, b);

		rc = con.transport->ops->layer_sync(con.transport, l, &err);
	} else if (strcmp(a, "fault") == 0) {
		con.fault = strdup(b);
	} else if (strcmp(a, "stats") == 0) {
		cachefiles_stats_get(con.transport, &s);
		printf("ok opens %llu closes %llu reads %llu bootstrap %llu lost %llu adopted %d "
		       "seeding %d\n", (unsigned long long)s.opens, (unsigned long long)s.closes,
		       (unsigned long long)s.reads, (unsigned long long)s.bootstrap_reads,
		       (unsigned long long)s.lost_blocks, s.adopted, s.seeding);
		return;
	} else {
		printf("error no such command\n");
		return;
	}
	if (rc < 0)
		printf("error %s\n", err.text);
	else
		printf("ok\n");
}

static void *commands_run(void *arg)
{
	char line[1024];

	(void)arg;
	while (fgets(line, sizeof(line), stdin) && strncmp(line, "quit", 4) != 0)
		command(line);
	loop_stop(con.loop);
	return NULL;
}

static void arguments_parse(int argc, char **argv, struct cachefiles_opts *opts)
{
	struct err err = ERR_INIT;

	for (int i = 1; i < argc; i++) {
		int left = argc - 1 - i;

		if (strcmp(argv[i], "--any-kernel") == 0) {
			opts->any_kernel = true;
		} else if (strcmp(argv[i], "--no-seeding") == 0) {
			opts->no_seeding = true;
		} else if (strcmp(argv[i], "--dir") == 0 && left >= 1) {
			opts->dir = argv[++i];
		} else if (strcmp(argv[i], "--fault") == 0 && left >= 1) {
			con.fault = argv[++i];
		} else if (strcmp(argv[i], "--layer") == 0 && left >= 2) {
			layer_add(argv[i + 1], argv[i + 2]);
			i += 2;
		} else if (strcmp(argv[i], "--image") == 0 && left >= 2) {
			con.images[con.nimages].image_id = argv[i + 1];
			con.images[con.nimages++].bootstrap_path = argv[i + 2];
			i += 2;
		} else if (strcmp(argv[i], "--guardian") == 0 && left >= 2) {
			if (guardian_open(argv[i + 1], argv[i + 2], 60000, &opts->guardian, &err) < 0)
				die("guardian", &err);
			i += 2;
		} else {
			die(argv[i], NULL);
		}
	}
}

int main(int argc, char **argv)
{
	struct cachefiles_opts opts = { 0 };
	struct err err = ERR_INIT;
	pthread_t thread;

	setvbuf(stdout, NULL, _IOLBF, 0);
	list_init(&con.pending);
	arguments_parse(argc, argv, &opts);
	if (loop_new(&con.loop, &err) < 0 || pool_new(con.loop, 2, &con.pool, &err) < 0)
		die("loop", &err);
	opts.loop = con.loop;
	if (cachefiles_transport_new(&opts, &con.transport, &err) < 0)
		die("transport", &err);
	state_open();
	if (con.transport->ops->start(con.transport, &con, &err) < 0)
		die("start", &err);
	printf("ready %d\n", getpid());
	pthread_create(&thread, NULL, commands_run, NULL);
	loop_run(con.loop, &err);
	pthread_join(thread, NULL);
	con.transport->ops->stop(con.transport);
	for (unsigned i = 0; i < con.nlayers; i++)
		con.transport->ops->layer_close(con.transport, con.layers[i]);
	con.transport->ops->free(con.transport);
	printf("bye\n");
	return 0;
}
