/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * toyd.c - the fanotify transport with a toy in the conductor's place: the regular files of
 * a directory are a layer, one segment each, and "fetching" is reading them.
 *
 *   toyd CACHE RUN SRC TARGET [guardian=PROGRAM] [grace=MS] [delay=MS] [step=BYTES]
 *        [shards=N] [complete=0] [mode=fill|hold|deny|nolayer]
 *
 * Mounts the image on TARGET unless something is mounted there; prints "ready" when it
 * serves. complete=0: full files go on raising events. hold: never answers. deny: answers EIO. nolayer: knows no file. SIGTERM ends it
 * in order, with its counters on stdout.
 */
#include <dirent.h>
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
#include "daemon/kernel/fanotify.h"
#include "daemon/kernel/tiny_erofs.h"
#include "daemon/log.h"

#define FILES_MAX 64

enum toy_mode { MODE_FILL, MODE_HOLD, MODE_DENY, MODE_NOLAYER };

struct conductor {
	struct loop *loop;
	struct layer layer;
	struct list waiting;		/* struct kreq.link, by arrival */
	struct loop_timer timer;
	enum toy_mode mode;
	uint64_t delay_ms, step;
	bool tell_complete;
	int src_dirfd;
	char *names[FILES_MAX];
	struct tiny_file files[FILES_MAX];
	uint32_t nfiles;
	uint64_t filled;
};

static struct conductor toy;
static struct loop *the_loop;

_Noreturn __attribute__((format(printf, 1, 2))) static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	exit(1);
}

/* Append to the segment until its first `end` bytes are present. */
static int segment_fill(struct conductor *c, uint32_t index, uint64_t end)
{
	struct transport *t = c->layer.transport;
	struct segment *s = &c->layer.segments[index];
	uint64_t size = c->layer.map->segments[index].size;
	struct err err = ERR_INIT;
	int r = 0, fd;

	end = io_round_up(end, c->step);
	end = end < size ? end : size;
	fd = openat(c->src_dirfd, c->names[index], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (r == 0 && s->len < end) {
		uint64_t n = end - s->len < (1u << 20) ? end - s->len : 1u << 20;
		uint8_t *buf = calloc(1, n);

		if (pread(fd, buf, n, (off_t)s->len) < 0)
			r = -errno;
		if (r == 0)
			r = t->ops->segment_write(t, &c->layer, index, s->len, buf, n, &err);
		free(buf);
		if (r == 0) {
			s->len += n;
			c->filled += n;
		}
	}
	close(fd);
	if (r == 0 && s->len == size && !s->complete_told && c->tell_complete) {
		r = t->ops->segment_complete(t, &c->layer, index, &err);
		s->complete_told = true;
	}
	if (r < 0)
		log_error("%s", err.text);
	return r;
}

static void serve(struct conductor *c, struct kreq *req)
{
	const struct map_segment *segs = c->layer.map->segments;
	uint32_t i = 0;
	int r = -EIO;

	while (req->off >= segs[i].blob_off + segs[i].size)
		i++;
	if (c->mode == MODE_FILL)
		r = segment_fill(c, i, req->off - segs[i].blob_off + req->len);
	req->transport->ops->answer(req->transport, req, r);
}

static void timer_fired(struct loop_timer *t)
{
	struct conductor *c = container_of(t, struct conductor, timer);

	while (!list_is_empty(&c->waiting)) {
		struct kreq *req = list_first(&c->waiting, struct kreq, link);

		list_del(&req->link);
		serve(c, req);
	}
}

void conductor_request(struct conductor *c, struct kreq *req)
{
	if (c->mode == MODE_HOLD || c->delay_ms) {
		list_add_tail(&c->waiting, &req->link);
		if (c->mode != MODE_HOLD && !c->timer.loop)
			loop_timer_set(c->loop, &c->timer, io_now_ms() + c->delay_ms);
		return;
	}
	serve(c, req);
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void source_scan(struct conductor *c, const char *src)
{
	struct layer_map *m = calloc(1, sizeof(*m));
	DIR *d = opendir(src);
	struct dirent *e;
	struct stat st;

	if (!d || !m)
		die("%s: %s", src, strerror(errno));
	c->src_dirfd = open(src, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while ((e = readdir(d)) && c->nfiles < FILES_MAX)
		if (fstatat(c->src_dirfd, e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode) &&
		    st.st_size > 0)
			c->names[c->nfiles++] = strdup(e->d_name);
	closedir(d);
	qsort(c->names, c->nfiles, sizeof(*c->names), name_compare);
	m->nsegments = c->nfiles;
	m->segments = calloc(FILES_MAX, sizeof(*m->segments));
	c->layer.segments = calloc(FILES_MAX, sizeof(*c->layer.segments));
	for (uint32_t i = 0; i < c->nfiles; i++) {
		if (fstatat(c->src_dirfd, c->names[i], &st, 0) < 0)
			die("%s: %s", c->names[i], strerror(errno));
		c->files[i] = (struct tiny_file){ .name = c->names[i],
						  .size = (uint64_t)st.st_size,
						  .mode = st.st_mode & 0777 };
		m->segments[i].blob_off = m->blob_size;
		m->segments[i].size = io_round_up((uint64_t)st.st_size, 4096);
		m->blob_size += m->segments[i].size;
	}
	c->layer.map = m;
	memset(c->layer.blob_id, 'a', DIGEST_HEX_LEN);
}

static void image_mount(struct conductor *c, const char *cache, const char *target)
{
	static char id[DIGEST_HEX_LEN + 1], boot[4096];
	struct layer *layers[1] = { &c->layer };
	struct image_spec spec = { .image_id = id, .bootstrap_path = boot, .layers = layers,
				   .nlayers = 1 };
	struct transport *t = c->layer.transport;
	struct buf b cleanup_buf = BUF_INIT(1 << 24);
	struct err err = ERR_INIT;
	struct statx sx;

	if (statx(AT_FDCWD, target, 0, STATX_BASIC_STATS, &sx) == 0 &&
	    (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return;
	memset(id, 'b', DIGEST_HEX_LEN);
	snprintf(boot, sizeof(boot), "%s/images/%s", cache, id);
	io_mkdir_p(boot, 0700);
	snprintf(boot, sizeof(boot), "%s/images/%s/bootstrap.fanotify", cache, id);
	/* A read-only cache has it from before. */
	if (access(boot, F_OK) < 0 &&
	    (tiny_erofs_build(c->files, c->nfiles, &b) < 0 ||
	     io_write_file_atomic(AT_FDCWD, boot, b.data, b.len, 0600) < 0))
		die("cannot write %s", boot);
	if (t->ops->image_prepare(t, &spec, &err) < 0 ||
	    t->ops->mount(t, &spec, target, &err) < 0)
		die("%s", err.text);
}

static void on_term(int sig)
{
	(void)sig;
	loop_stop(the_loop);
}

static const char *option(int argc, char **argv, const char *key, const char *none)
{
	size_t n = strlen(key);

	for (int i = 5; i < argc; i++)
		if (!strncmp(argv[i], key, n) && argv[i][n] == '=')
			return argv[i] + n + 1;
	return none;
}

static uint64_t option_number(int argc, char **argv, const char *key, const char *none)
{
	return strtoull(option(argc, argv, key, none), NULL, 10);
}

static struct transport *transport_open(int argc, char **argv, struct guardian **ret_g)
{
	const char *program = option(argc, argv, "guardian", NULL);
	struct fanotify_opts opts = {
		.cache_dir = argv[1], .run_dir = argv[2], .loop = the_loop,
		.shards = (uint32_t)option_number(argc, argv, "shards", "1") };
	struct notify_fds *fds = NULL;
	struct err err = ERR_INIT;
	struct transport *t;

	notify_init();
	if (notify_fds_take(&fds, &err) < 0)
		die("%s", err.text);
	opts.fds = fds;
	if (program && guardian_open(argv[2], program,
				     (uint32_t)option_number(argc, argv, "grace", "30000"),
				     ret_g, &err) < 0)
		die("%s", err.text);
	opts.guardian = *ret_g;
	if (fanotify_transport_new(&opts, &t, &err) < 0)
		die("%s", err.text);
	notify_fds_free(fds);
	return t;
}

static void print_stats(const struct transport *t)
{
	struct fanotify_stats st;

	fanotify_transport_stats(t, &st);
	printf("events=%llu ok=%llu error=%llu unknown=%llu leftovers=%llu lost=%llu "
	       "overflows=%llu refused=%llu pending=%llu filled=%llu\n",
	       (unsigned long long)st.events, (unsigned long long)st.answered_ok,
	       (unsigned long long)st.answered_error, (unsigned long long)st.unknown_files,
	       (unsigned long long)st.leftovers, (unsigned long long)st.leftovers_unknown,
	       (unsigned long long)st.overflows, (unsigned long long)st.answer_failures,
	       (unsigned long long)st.pending, (unsigned long long)toy.filled);
}

int main(int argc, char **argv)
{
	static const char *const modes[] = { "fill", "hold", "deny", "nolayer" };
	struct guardian *g = NULL;
	struct err err = ERR_INIT;
	struct transport *t;
	struct list layers;

	if (argc < 5)
		die("usage: toyd CACHE RUN SRC TARGET [KEY=VALUE]...");
	if (loop_new(&the_loop, &err) < 0)
		die("%s", err.text);
	toy.loop = the_loop;
	toy.timer.fired = timer_fired;
	toy.delay_ms = option_number(argc, argv, "delay", "0");
	toy.tell_complete = option_number(argc, argv, "complete", "1");
	toy.step = option_number(argc, argv, "step", "65536");
	for (int i = 0; i < 4; i++)
		if (!strcmp(option(argc, argv, "mode", "fill"), modes[i]))
			toy.mode = (enum toy_mode)i;
	list_init(&toy.waiting);
	list_init(&layers);
	list_init(&toy.layer.link);
	io_mkdir_p(argv[1], 0700);
	io_mkdir_p(argv[2], 0700);

	t = transport_open(argc, argv, &g);
	toy.layer.transport = t;
	source_scan(&toy, argv[3]);
	if (t->ops->layer_open(t, &toy.layer, &err) < 0)
		die("%s", err.text);
	if (toy.mode != MODE_NOLAYER)
		list_add_tail(&layers, &toy.layer.link);
	image_mount(&toy, argv[1], argv[4]);
	signal(SIGTERM, on_term);
	if (t->ops->start(t, &toy, &err) < 0)
		die("%s", err.text);
	printf("ready\n");
	fflush(stdout);
	if (loop_run(the_loop, &err) < 0)
		die("%s", err.text);
	t->ops->stop(t);
	toy.mode = MODE_DENY;
	timer_fired(&toy.timer);
	t->ops->layer_close(t, &toy.layer);
	print_stats(t);
	t->ops->free(t);
	guardian_close(g);
	return 0;
}
