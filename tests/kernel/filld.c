/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filld.c - the data path of the daemon without its control plane: the fanotify transport,
 * the real conductor, layers read from files.
 *
 *   filld CACHE RUN TARGET BOOTSTRAP [guardian=PROGRAM] [shards=N] [background=1] --
 *         MAP ZTOC BLOB [MAP ZTOC BLOB]...                      (bottom layer first)
 *
 * Mounts on TARGET unless something is mounted there; prints "ready" when it serves.
 * SIGTERM ends it in order, with its counters on stdout.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "daemon/fill/conductor.h"
#include "daemon/fill/sources.h"
#include "daemon/kernel/fanotify.h"

#define LAYERS_MAX 64

static struct loop *loop;
static struct layer *layers[LAYERS_MAX];
static uint32_t nlayers;

_Noreturn __attribute__((format(printf, 1, 2))) static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	exit(1);
}

static void on_term(int sig)
{
	(void)sig;
	loop_stop(loop);
}

static const char *option(char **argv, const char *key, const char *none)
{
	size_t n = strlen(key);

	for (int i = 5; argv[i] && strcmp(argv[i], "--"); i++)
		if (!strncmp(argv[i], key, n) && argv[i][n] == '=')
			return argv[i] + n + 1;
	return none;
}

static struct layer *layer_load(char **paths, struct pool *pool)
{
	struct buf b cleanup_buf = { 0 };
	struct err err = ERR_INIT;
	struct layer_map *map;
	struct source *source;
	struct layer *l;

	if (io_read_file(AT_FDCWD, paths[0], &b) < 0 ||
	    layer_map_decode(b.data, b.len, &map, &err) < 0 ||
	    source_file_new(open(paths[2], O_RDONLY | O_CLOEXEC), paths[2], pool, &source,
			    &err) < 0 ||
	    layer_new(map, open(paths[1], O_RDONLY | O_CLOEXEC), source, &l, &err) < 0)
		die("%s: %s", paths[0], err.text);
	return l;
}

static void layers_load(char **argv, struct transport *t, struct pool *pool)
{
	struct err err = ERR_INIT;
	int i = 5;

	while (argv[i] && strcmp(argv[i], "--"))
		i++;
	for (i++; argv[i] && nlayers < LAYERS_MAX; i += 3) {
		struct layer *l = layer_load(argv + i, pool);

		l->transport = t;
		l->refs = 1;
		if (t->ops->layer_open(t, l, &err) < 0)
			die("%s", err.text);
		layers[nlayers++] = l;
	}
}

static void image_mount(struct transport *t, char **argv)
{
	struct image_spec spec = { .image_id = "test", .bootstrap_path = argv[4],
				   .layers = layers, .nlayers = nlayers };
	struct err err = ERR_INIT;
	struct statx sx;

	if (statx(AT_FDCWD, argv[3], 0, STATX_BASIC_STATS, &sx) == 0 &&
	    (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return;
	if (t->ops->image_prepare(t, &spec, &err) < 0 ||
	    t->ops->mount(t, &spec, argv[3], &err) < 0)
		die("%s", err.text);
}

static void print_stats(const struct transport *t, const struct conductor *c)
{
	struct fanotify_stats f;
	struct conductor_stats s;

	fanotify_transport_stats(t, &f);
	conductor_stats_get(c, &s);
	printf("events=%llu ok=%llu error=%llu unknown=%llu overflows=%llu refused=%llu "
	       "fetched=%llu written=%llu mismatches=%llu requests=%llu\n",
	       (unsigned long long)f.events, (unsigned long long)f.answered_ok,
	       (unsigned long long)f.answered_error, (unsigned long long)f.unknown_files,
	       (unsigned long long)f.overflows, (unsigned long long)f.answer_failures,
	       (unsigned long long)s.fetched_bytes, (unsigned long long)s.written_bytes,
	       (unsigned long long)s.digest_mismatches, (unsigned long long)s.requests);
}

static void layer_removed(void *arg)
{
	(void)arg;
	if (--nlayers == 0)
		loop_stop(loop);
}

int main(int argc, char **argv)
{
	struct fanotify_opts fo = { 0 };
	struct conductor_opts co = { .memory_max_bytes = 64u << 20, .spool_bytes = 8u << 20,
				     .deadline_ms = 20000, .max_jobs = 4,
				     .background_jobs = 1 };
	struct guardian *g = NULL;
	struct err err = ERR_INIT;
	struct conductor *c;
	struct transport *t;
	struct pool *pool;
	uint32_t n;

	if (argc < 9)
		die("usage: filld CACHE RUN TARGET BOOTSTRAP [KEY=VALUE]... -- MAP ZTOC BLOB...");
	if (loop_new(&loop, &err) < 0)
		die("%s", err.text);
	if (option(argv, "guardian", NULL) &&
	    guardian_open(argv[2], option(argv, "guardian", NULL), 30000, &g, &err) < 0)
		die("%s", err.text);
	fo = (struct fanotify_opts){ .cache_dir = argv[1], .run_dir = argv[2], .loop = loop,
				     .guardian = g,
				     .shards = (uint32_t)atoi(option(argv, "shards", "1")) };
	if (fanotify_transport_new(&fo, &t, &err) < 0 || pool_new(loop, 2, &pool, &err) < 0)
		die("%s", err.text);
	co.loop = loop;
	co.pool = pool;
	co.spool_dirfd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (conductor_new(&co, &c, &err) < 0)
		die("%s", err.text);
	layers_load(argv, t, pool);
	n = nlayers;
	for (uint32_t i = 0; i < n; i++) {
		conductor_layer_add(c, layers[i]);
		conductor_background_set(c, layers[i], option(argv, "background", NULL) != NULL);
	}
	image_mount(t, argv);
	signal(SIGTERM, on_term);
	if (t->ops->start(t, c, &err) < 0)
		die("%s", err.text);
	printf("ready\n");
	fflush(stdout);
	if (loop_run(loop, &err) < 0)
		die("%s", err.text);
	t->ops->stop(t);
	for (uint32_t i = 0; i < n; i++)
		conductor_layer_remove(c, layers[i], layer_removed, NULL);
	if (nlayers && loop_run(loop, &err) < 0)
		die("%s", err.text);
	print_stats(t, c);
	conductor_free(c);
	for (uint32_t i = 0; i < n; i++) {
		t->ops->layer_close(t, layers[i]);
		layer_free(layers[i]);
	}
	pool_free(pool);
	loop_turn(loop, 0, &err);
	t->ops->free(t);
	loop_free(loop);
	close(co.spool_dirfd);
	guardian_close(g);
	return 0;
}
