/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cachefiles_wire_test.c - the cachefiles transport against a kernel that this test plays.
 *
 * The device is one end of a socket pair, anonymous descriptors are memfds, the completion
 * ioctl is caught below. A thread plays the kernel, the main thread runs the daemon's loop,
 * and a small conductor serves or holds what it is told. Under the sanitizers this covers
 * the threads of the transport, which the lab's kernel cannot.
 */
#include "tests/unit/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/kernel/cachefiles_priv.h"
#include "daemon/log.h"

#define SEGMENT (1u << 20)
#define BLOB "00000000000000000000000000000000000000000000000000000000000000aa"
#define IMAGE "00000000000000000000000000000000000000000000000000000000000000bb"
#define VOLUME "erofs,lazyerofs"
#define BOOTSTRAP_BYTES 10000u

/* --- completions, as the kernel would see them ------------------------------------------ */
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned completed[4096];	/* by msg_id */
static unsigned completions;

int ioctl(int fd, unsigned long request, ...)
{
	unsigned long arg;
	va_list ap;

	va_start(ap, request);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	if (request != CACHEFILES_IOC_READ_COMPLETE)
		return (int)syscall(SYS_ioctl, fd, request, arg);
	if (fcntl(fd, F_GETFD) < 0)
		return -1;
	WITH_LOCK(&seen_lock);
	completed[arg % 4096]++;
	completions++;
	return 0;
}

static unsigned completed_count(uint32_t id)
{
	WITH_LOCK(&seen_lock);
	return completed[id % 4096];
}

/* --- the conductor: serves each request by a write of its range on the pool -------------- */
struct conductor {
	bool hold;
	unsigned requests, drops;
	struct list held;
};

struct service {
	struct pool_job job;
	struct kreq *req;		/* NULL: dropped */
	struct list link;
	struct layer *layer;
	uint64_t off, len;
};

static pthread_mutex_t con_lock = PTHREAD_MUTEX_INITIALIZER;
static struct conductor con;
static struct list services;
static struct cachefiles *t;
static struct loop *loop;
static struct pool *pool;
static struct layer layer;
static bool layer_is_added = true;

uint32_t layer_map_segment_find(const struct layer_map *m, uint64_t blob_off)
{
	(void)m;
	return (uint32_t)(blob_off / SEGMENT);
}

struct layer *conductor_layer_find(struct conductor *c, const char *blob_id)
{
	(void)c;
	return layer_is_added && strcmp(blob_id, layer.blob_id) == 0 ? &layer : NULL;
}

static void service_work(struct pool_job *job)
{
	struct service *s = container_of(job, struct service, job);
	static const _Alignas(4096) uint8_t data[SEGMENT] = { 1 };

	t->base.ops->segment_write(&t->base, s->layer, (uint32_t)(s->off / SEGMENT),
				   s->off % SEGMENT, data, s->len, NULL);
}

static void service_done(struct pool_job *job)
{
	struct service *s = container_of(job, struct service, job);

	if (s->req)
		t->base.ops->answer(&t->base, s->req, 0);
	list_del(&s->link);
	free(s);
}

void conductor_request(struct conductor *c, struct kreq *req)
{
	struct service *s;

	pthread_mutex_lock(&con_lock);
	c->requests++;
	if (c->hold) {
		list_add_tail(&c->held, &req->link);
		pthread_mutex_unlock(&con_lock);
		return;
	}
	pthread_mutex_unlock(&con_lock);
	s = calloc(1, sizeof(*s));
	s->job.work = service_work;
	s->job.done = service_done;
	s->req = req;
	s->layer = req->layer;
	s->off = req->off;
	s->len = req->len;
	list_add_tail(&services, &s->link);
	pool_submit(pool, &s->job);
}

void conductor_request_drop(struct conductor *c, struct kreq *req)
{
	struct service *s;

	pthread_mutex_lock(&con_lock);
	c->drops++;
	pthread_mutex_unlock(&con_lock);
	list_for_each(s, &services, link)
		if (s->req == req)
			s->req = NULL;
	list_del(&req->link);
	t->base.ops->answer(&t->base, req, -EIO);
}

static unsigned requests_count(void)
{
	WITH_LOCK(&con_lock);
	return con.requests;
}

static unsigned drops_count(void)
{
	WITH_LOCK(&con_lock);
	return con.drops;
}

static void hold_set(bool hold)
{
	WITH_LOCK(&con_lock);
	con.hold = hold;
}

/* --- the kernel ---------------------------------------------------------------------------- */
static int kernel;			/* its end of the device */

static void send_message(uint32_t opcode, uint32_t id, uint32_t object, const void *data, size_t len)
{
	struct cachefiles_msg msg = { .msg_id = id, .opcode = opcode, .object_id = object };
	uint8_t buf[CACHEFILES_MSG_MAX_SIZE];

	msg.len = (uint32_t)(sizeof(msg) + len);
	memcpy(buf, &msg, sizeof(msg));
	if (len)
		memcpy(buf + sizeof(msg), data, len);
	if (send(kernel, buf, msg.len, 0) != (ssize_t)msg.len)
		bail("send: %s", strerror(errno));
}

/* A new descriptor, sent with an OPEN; the kernel keeps a duplicate in *ret_dup. */
static int send_open(uint32_t id, uint32_t object, const char *volume, const char *key,
		     int *ret_dup)
{
	uint8_t data[512];
	struct cachefiles_open open = {
		.volume_key_size = (uint32_t)strlen(volume) + 1,
		.cookie_key_size = (uint32_t)strlen(key),
		.fd = (uint32_t)memfd_create("anon", 0),
	};

	if (ret_dup)
		*ret_dup = fcntl((int)open.fd, F_DUPFD_CLOEXEC, 500);
	memcpy(data, &open, sizeof(open));
	memcpy(data + sizeof(open), volume, open.volume_key_size);
	memcpy(data + sizeof(open) + open.volume_key_size, key, open.cookie_key_size);
	send_message(CACHEFILES_OP_OPEN, id, object, data,
		     sizeof(open) + open.volume_key_size + open.cookie_key_size);
	return (int)open.fd;
}

static void send_read(uint32_t id, uint32_t object, uint64_t off, uint64_t len)
{
	struct cachefiles_read rd = { .off = off, .len = len };

	send_message(CACHEFILES_OP_READ, id, object, &rd, sizeof(rd));
}

static const char *command_get(void)
{
	static char text[256];
	struct pollfd pfd = { .fd = kernel, .events = POLLIN };
	ssize_t n = poll(&pfd, 1, 5000) == 1 ? recv(kernel, text, sizeof(text) - 1, 0) : 0;

	text[n > 0 ? n : 0] = '\0';
	return text;
}

#define soon(cond)                                                                       \
	({                                                                               \
		uint64_t soon_end = io_now_ms() + 5000;                                  \
		while (!(cond) && io_now_ms() < soon_end)                                \
			usleep(1000);                                                    \
		(cond);                                                                  \
	})

static bool is_closed(int fd)
{
	return fcntl(fd, F_GETFD) < 0 && errno == EBADF;
}

static void test_opens(void)
{
	int dup, fd = send_open(1, 11, VOLUME, BLOB, &dup);
	char want[64];

	snprintf(want, sizeof(want), "copen 1,%u", 2 * SEGMENT);
	is_str(command_get(), want, "a layer opens with its size");
	is_int(fcntl(fd, F_GETFD), FD_CLOEXEC, "its descriptor is close-on-exec");
	fd = send_open(2, 12, VOLUME, "nobody", NULL);
	is_str(command_get(), "copen 2,-2", "an unknown name does not");
	ok(soon(is_closed(fd)), "and its descriptor is closed");
	fd = send_open(3, 13, "erofs,other", BLOB, NULL);
	is_str(command_get(), "copen 3,-2", "nor does a known one of another volume");
	ok(soon(is_closed(fd)), "which is closed too");
	close(dup);
}

static void test_hostile(void)
{
	struct cachefiles_open open = { .volume_key_size = 4000, .cookie_key_size = 1 };
	unsigned before = requests_count();
	char long_key[300];

	open.fd = (uint32_t)memfd_create("anon", 0);
	send_message(CACHEFILES_OP_OPEN, 4, 14, &open, sizeof(open));
	is_str(command_get(), "copen 4,-71", "an OPEN that does not fit itself is refused");
	ok(soon(is_closed((int)open.fd)), "and closed");
	memset(long_key, 'k', sizeof(long_key));
	long_key[299] = '\0';
	send_open(5, 15, VOLUME, long_key, NULL);
	is_str(command_get(), "copen 5,-12", "a key longer than any of ours as well");
	send_message(77, 6, 11, NULL, 0);
	send_message(CACHEFILES_OP_READ, 7, 11, "short", 5);
	ok(soon(completed_count(7) == 1), "a READ that does not fit itself is completed");
	send_message(CACHEFILES_OP_CLOSE, 8, 999, NULL, 0);
	send_read(9, 999, 0, 4096);
	send_read(10, 11, 0, 4096);
	ok(soon(completed_count(10) == 1), "nonsense in between does not stop the next request");
	is_int(requests_count(), before + 1, "and reaches nobody");
}

static void test_reads(void)
{
	send_read(20, 11, SEGMENT, 8192);
	ok(soon(completed_count(20) == 1), "a READ is completed");
	send_read(21, 11, 2 * SEGMENT - 4096, 65536);
	ok(soon(completed_count(21) == 1), "one across the end is cut there");
	send_read(22, 11, 2 * SEGMENT, 4096);
	ok(soon(completed_count(22) == 1), "one beyond the end is completed without data");
	is_int(completed_count(20) + completed_count(21) + completed_count(22), 3, "once each");
}

/* The daemon's pool can be full of mount(2) calls, which wait for these reads. */
static atomic_bool pool_is_stuck;

static void stuck_work(struct pool_job *job)
{
	(void)job;
	while (atomic_load(&pool_is_stuck))
		usleep(1000);
}

static void stuck_done(struct pool_job *job)
{
	(void)job;
}

static void test_bootstrap(void)
{
	static struct pool_job stuck[8];
	uint8_t got[12288], want = 0;
	int dup;

	send_open(30, 31, VOLUME, IMAGE, &dup);
	is_str(command_get(), "copen 30,10000", "a bootstrap opens with its size");
	atomic_store(&pool_is_stuck, true);
	for (unsigned i = 0; i < 8; i++) {
		stuck[i] = (struct pool_job){ .work = stuck_work, .done = stuck_done };
		pool_submit(pool, &stuck[i]);
	}
	send_read(31, 31, 4096, 4096);
	ok(soon(completed_count(31) == 1), "a READ of it is completed, whatever the pool does");
	atomic_store(&pool_is_stuck, false);
	is_int(pread(dup, got, sizeof(got), 0), 12288, "with whole blocks");
	for (unsigned i = 4096; i < BOOTSTRAP_BYTES; i++)
		want |= got[i] ^ (uint8_t)(i / 100);
	is_int(want, 0, "of its bytes");
	want = 0;
	for (unsigned i = BOOTSTRAP_BYTES; i < sizeof(got); i++)
		want |= got[i];
	is_int(want, 0, "and zeros after its end");
	send_message(CACHEFILES_OP_CLOSE, 32, 31, NULL, 0);
	close(dup);
}

static void test_close(void)
{
	unsigned before = requests_count(), drops = drops_count();
	int fd = send_open(40, 41, VOLUME, BLOB, NULL);

	command_get();
	hold_set(true);
	send_read(41, 41, 0, 4096);
	send_read(42, 41, 4096, 4096);
	ok(soon(requests_count() == before + 2), "two reads wait");
	send_message(CACHEFILES_OP_CLOSE, 43, 41, NULL, 0);
	ok(soon(is_closed(fd)), "CLOSE closes the descriptor");
	is_int(drops_count(), drops + 2, "and gives them back");
	is_int(completed_count(41) + completed_count(42), 0, "without a completion");
	hold_set(false);

	fd = send_open(44, 45, VOLUME, BLOB, NULL);
	command_get();
	hold_set(true);
	before = requests_count();
	send_read(45, 45, 0, 4096);
	ok(soon(requests_count() == before + 1), "a read waits");
	send_open(46, 47, VOLUME, BLOB, NULL);
	command_get();
	ok(soon(is_closed(fd)), "a second OPEN of the name closes the first's descriptor");
	hold_set(false);
	send_read(47, 47, 0, 4096);
	ok(soon(completed_count(47) == 1), "and reads go on with the new one");
	is_int(completed_count(45), 0, "the old read is not completed on it");
}

/* Opens, reads and closes as fast as they go; workers write all the while. */
static void test_churn(void)
{
	uint32_t id = 100;
	unsigned before;
	int fd;

	for (uint32_t round = 0; round < 60; round++) {
		fd = send_open(id++, 1000 + round, VOLUME, BLOB, NULL);
		command_get();
		for (unsigned i = 0; i < 8; i++)
			send_read(id++, 1000 + round, (uint64_t)i * 65536 + (i % 2) * SEGMENT, 65536);
		if (round % 3 == 0)
			usleep(500);
		send_message(CACHEFILES_OP_CLOSE, id++, 1000 + round, NULL, 0);
		if (!soon(is_closed(fd)))
			break;
	}
	ok(id == 100 + 60 * 10, "sixty opens with reads under way are closed again");
	before = 0;
	for (uint32_t i = 100; i < id; i++)
		before |= completed_count(i) > 1;
	is_int(before, 0, "no read was completed twice");
}

static void *kernel_run(void *arg)
{
	(void)arg;
	test_opens();
	test_reads();
	test_hostile();
	test_bootstrap();
	test_close();
	test_churn();
	loop_stop(loop);
	return NULL;
}

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void bootstrap_write(const char *path)
{
	uint8_t data[BOOTSTRAP_BYTES];

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i / 100);
	if (io_write_file_atomic(AT_FDCWD, path, data, sizeof(data), 0600) < 0)
		bail("cannot write %s", path);
}

int main(void)
{
	static struct map_segment segments[2] = { { .size = SEGMENT },
						  { .blob_off = SEGMENT, .size = SEGMENT } };
	static struct layer_map map = { .blob_size = 2 * SEGMENT, .nsegments = 2,
					.segments = segments };
	static struct segment present[2];
	char dir[] = "cachefiles_wire.XXXXXX", boot[64];
	struct cachefiles_opts opts = { .dir = dir };
	struct image_spec image = { .image_id = IMAGE, .bootstrap_path = boot };
	struct err err = ERR_INIT;
	pthread_t thread;
	int pair[2];

	log_set_level(LOG_LEVEL_ERROR);
	if (!mkdtemp(dir) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) ||
	    loop_new(&loop, &err) < 0 || pool_new(loop, 3, &pool, &err) < 0)
		bail("set-up: %s", err.text);
	list_init(&services);
	list_init(&con.held);
	snprintf(boot, sizeof(boot), "%s/boot", dir);
	bootstrap_write(boot);
	opts.loop = loop;
	t = cachefiles_alloc(&opts);
	if (!t || cachefiles_directories_open(t, &err) < 0)
		bail("transport: %s", err.text);
	t->devfd = pair[0];
	kernel = pair[1];
	fcntl(kernel, F_SETFL, 0);
	strcpy(layer.blob_id, BLOB);
	layer.map = &map;
	layer.segments = present;
	layer.transport = &t->base;
	if (t->base.ops->layer_open(&t->base, &layer, &err) < 0 ||
	    t->base.ops->image_prepare(&t->base, &image, &err) < 0 ||
	    t->base.ops->start(&t->base, &con, &err) < 0)
		bail("start: %s", err.text);
	pthread_create(&thread, NULL, kernel_run, NULL);
	loop_run(loop, &err);
	pthread_join(thread, NULL);
	t->base.ops->stop(&t->base);
	pool_free(pool);
	layer_is_added = false;
	t->base.ops->layer_close(&t->base, &layer);
	t->base.ops->free(&t->base);
	loop_free(loop);
	close(kernel);
	nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
	return tap_done();
}
