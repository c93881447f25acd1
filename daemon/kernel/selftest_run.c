/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * selftest_run.c - the checks of selftest.h, in the child process.
 *
 *   data/bootstrap, data/segment   written here; the file "f" of the image is the segment
 *   bind                           bind mount of data, marked
 *   mnt                            EROFS
 *
 * Each read runs in a thread (it blocks until the event is answered) while the main thread
 * answers. All bytes of the pattern are non-zero, so a zero is a wrong byte.
 */
#include "daemon/kernel/selftest_run.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/fanotify.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/kernel/fanotify_mount.h"
#include "daemon/kernel/tiny_erofs.h"

#define FILE_BYTES (2u << 20)
#define READ_BYTES (256u << 10)		/* more than the read-ahead window */
/*
 * Ends inside the first request of such a read: a request has up to 16 pieces of a page or
 * more each (fs/erofs/fileio.c: struct erofs_fileio_rq).
 */
#define PREFIX_BYTES (36u << 10)
#define PREFIX_TRIES 4u			/* each on pages that nothing has touched */
#define STEP_LIMIT_MS 5000

struct run {
	char bind[4096], boot[4096], segment[4096], device[4096], mnt[4096], file[4096];
	struct selftest_report *report;
	int group, write_fd, read_fd;
	struct stat segment_stat;
	uint64_t base, len;		/* of the read that is tried; of the segment file */
	uint8_t pattern[FILE_BYTES];
};

struct read_op {
	int fd, done_fd;
	uint64_t off, len;
	ssize_t res;			/* bytes or -errno */
	uint8_t buf[READ_BYTES];
};

/* What the events of one read looked like. */
struct seen {
	unsigned events, foreign;
	bool straddled;			/* one began before and ended after the file's end */
};

__attribute__((format(printf, 3, 4))) static bool
fail(struct run *t, enum selftest_check c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->report->check[c].detail, sizeof(t->report->check[c].detail), fmt, ap);
	va_end(ap);
	return false;
}

__attribute__((format(printf, 3, 4))) static bool
pass(struct run *t, enum selftest_check c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->report->check[c].detail, sizeof(t->report->check[c].detail), fmt, ap);
	va_end(ap);
	return t->report->check[c].passed = true;
}

/* Not the kernel's fault: it says nothing about the path. Takes and gives a -errno. */
static int disk_result(struct run *t, int r)
{
	if (r == -ENOSPC || r == -EDQUOT || r == -EROFS)
		t->report->disk_errno = -r;
	return r;
}

static void *read_main(void *arg)
{
	struct read_op *op = arg;
	ssize_t n = pread(op->fd, op->buf, op->len, (off_t)op->off);

	op->res = n < 0 ? -errno : n;
	if (eventfd_write(op->done_fd, 1) < 0)
		op->res = -errno;
	return NULL;
}

static bool event_answer(struct run *t, const struct abi_fanotify_event *e, uint32_t response,
			 struct seen *seen)
{
	struct fanotify_response resp = { .fd = e->meta.fd, .response = response };
	struct stat st;

	seen->events++;
	if (e->meta.fd < 0)
		return false;
	if (fstat(e->meta.fd, &st) < 0 || st.st_dev != t->segment_stat.st_dev ||
	    st.st_ino != t->segment_stat.st_ino ||
	    e->range.hdr.info_type != FAN_EVENT_INFO_TYPE_RANGE)
		seen->foreign++;
	if (e->range.offset < t->len && e->range.offset + e->range.count > t->len)
		seen->straddled = true;
	if (write(t->group, &resp, sizeof(resp)) != sizeof(resp)) {
		resp.response = FAN_DENY;
		seen->foreign++;
		if (write(t->group, &resp, sizeof(resp)) < 0)
			return false;
	}
	close(e->meta.fd);
	return true;
}

/* One read of [off, off+len) with every event answered by response; op->res tells. */
static bool read_through(struct run *t, struct read_op *op, uint64_t off, uint64_t len,
			 uint32_t response, struct seen *seen)
{
	struct pollfd p[2] = { { .fd = t->group, .events = POLLIN }, { .events = POLLIN } };
	struct abi_fanotify_event e;
	pthread_t thread;

	memset(op, 0, sizeof(*op));
	memset(seen, 0, sizeof(*seen));
	op->fd = t->read_fd;
	op->off = off;
	op->len = len;
	op->done_fd = p[1].fd = eventfd(0, EFD_CLOEXEC);
	posix_fadvise(t->read_fd, 0, 0, POSIX_FADV_DONTNEED);
	if (op->done_fd < 0 || pthread_create(&thread, NULL, read_main, op))
		return false;
	for (;;) {
		if (poll(p, 2, STEP_LIMIT_MS) <= 0)
			return false;		/* the process ends, and the thread with it */
		if (p[0].revents & POLLIN &&
		    read(t->group, &e, sizeof(e)) >= (ssize_t)sizeof(e.meta) &&
		    !event_answer(t, &e, response, seen))
			return false;
		if (p[1].revents & POLLIN)
			break;
	}
	pthread_join(thread, NULL);
	close(op->done_fd);
	return true;
}

/* Everything that was returned is the pattern's. */
static bool read_is_right(const struct run *t, const struct read_op *op)
{
	return op->res <= 0 || !memcmp(op->buf, t->pattern + op->off, (size_t)op->res);
}

static bool check_group(struct run *t)
{
	t->group = fanotify_init(FAN_CLASS_PRE_CONTENT | FAN_UNLIMITED_QUEUE |
					 FAN_UNLIMITED_MARKS | FAN_NONBLOCK | FAN_CLOEXEC,
				 O_RDONLY | O_LARGEFILE | O_CLOEXEC);
	if (t->group < 0)
		return fail(t, SELFTEST_GROUP, "fanotify_init: %s", strerror(errno));
	return pass(t, SELFTEST_GROUP, "group made");
}

static bool check_mark(struct run *t)
{
	if (fanotify_mark(t->group, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_PRE_ACCESS, AT_FDCWD,
			  t->bind) < 0)
		return fail(t, SELFTEST_MARK, "FAN_PRE_ACCESS on the mount: %s",
			    strerror(errno));
	return pass(t, SELFTEST_MARK, "mount mark set");
}

static int file_open(struct run *t)
{
	if (t->read_fd >= 0)
		close(t->read_fd);
	t->read_fd = open(t->file, O_RDONLY | O_CLOEXEC);
	return t->read_fd;
}

static bool check_mount(struct run *t)
{
	struct err err = ERR_INIT;
	cleanup_close int fs = fan_erofs_begin(t->boot, &err);

	if (fs < 0 || fan_erofs_device(fs, t->device, &err) < 0 ||
	    fan_erofs_attach(fs, t->mnt, &err) < 0)
		return fail(t, SELFTEST_MOUNT, "%s", err.text);
	if (file_open(t) < 0)
		return fail(t, SELFTEST_MOUNT, "mounted, but opening a file says: %s",
			    strerror(errno));
	return pass(t, SELFTEST_MOUNT, "mounted");
}

static bool check_event(struct run *t, struct read_op *op)
{
	struct seen seen;

	/* The last page: what failed once may be asked for page by page afterwards. */
	if (!read_through(t, op, FILE_BYTES - 4096, 4096, FAN_DENY_ERRNO(EIO), &seen))
		return fail(t, SELFTEST_EVENT, "the read hangs");
	if (!seen.events)
		return fail(t, SELFTEST_EVENT, "no event; the read returned %zd", op->res);
	if (seen.foreign)
		return fail(t, SELFTEST_EVENT, "an event without file, range or errno");
	if (op->res != -EIO)
		return fail(t, SELFTEST_EVENT, "a denied read returned %zd", op->res);
	return pass(t, SELFTEST_EVENT, "%u events, read: EIO", seen.events);
}

/* Let the segment file grow to len. */
static int segment_grow(struct run *t, uint64_t len)
{
	int r = io_pwrite_full(t->write_fd, t->pattern + t->len, len - t->len, t->len);

	if (r == 0)
		t->len = len;
	return disk_result(t, r);
}

static bool check_own_write(struct run *t)
{
	struct pollfd p = { .fd = t->group, .events = POLLIN };
	int r = segment_grow(t, PREFIX_BYTES);

	if (r < 0)
		return fail(t, SELFTEST_OWN_WRITE, "write: %s", strerror(-r));
	if (poll(&p, 1, 0) != 0)
		return fail(t, SELFTEST_OWN_WRITE, "the write raised an event");
	return pass(t, SELFTEST_OWN_WRITE, "no event");
}

/* One read that begins before the end of the file and ends after it. */
static bool prefix_try(struct run *t, struct read_op *op, struct seen *ret_seen)
{
	/* Errors make the kernel read ahead less (mm/filemap.c), per open file: a new one. */
	if (segment_grow(t, t->base + PREFIX_BYTES) < 0 || file_open(t) < 0)
		return fail(t, SELFTEST_PREFIX, "%s", strerror(errno));
	if (!read_through(t, op, t->base, READ_BYTES, FAN_ALLOW, ret_seen))
		return fail(t, SELFTEST_PREFIX, "the read hangs");
	if (!read_is_right(t, op) || op->res > (ssize_t)PREFIX_BYTES)
		return fail(t, SELFTEST_PREFIX, "WRONG BYTES: read %zd of %u present", op->res,
			    PREFIX_BYTES);
	return true;
}

static bool check_prefix(struct run *t, struct read_op *op)
{
	struct seen seen = { 0 }, past;
	ssize_t got = 0;

	for (uint32_t i = 0; i < PREFIX_TRIES && !seen.straddled; i++) {
		t->base = (uint64_t)i * READ_BYTES;
		if (!prefix_try(t, op, &seen))
			return false;
		got = op->res;
	}
	if (!seen.straddled)
		return fail(t, SELFTEST_PREFIX, "no request crossed the end of the file");
	if (!read_through(t, op, t->len, 4096, FAN_ALLOW, &past) || op->res != -EIO)
		return fail(t, SELFTEST_PREFIX, "a read just past the end returned %zd",
			    op->res);
	return pass(t, SELFTEST_PREFIX, "crossing read gave %zd right bytes of %u; past the "
		    "end: EIO", got, PREFIX_BYTES);
}

static bool check_growth(struct run *t, struct read_op *op)
{
	struct seen seen;
	int r = segment_grow(t, t->base + READ_BYTES + READ_BYTES / 2);

	if (r < 0)
		return fail(t, SELFTEST_GROWTH, "write: %s", strerror(-r));
	if (!read_through(t, op, t->base, READ_BYTES, FAN_ALLOW, &seen))
		return fail(t, SELFTEST_GROWTH, "the read hangs");
	if (op->res != READ_BYTES || !read_is_right(t, op))
		return fail(t, SELFTEST_GROWTH, "read returned %zd of %u", op->res, READ_BYTES);
	return pass(t, SELFTEST_GROWTH, "%zd right bytes, same mount", op->res);
}

static bool check_ignore(struct run *t, struct read_op *op)
{
	struct seen seen;

	if (fanotify_mark(t->group, FAN_MARK_ADD | FAN_MARK_IGNORE |
			  FAN_MARK_IGNORED_SURV_MODIFY | FAN_MARK_EVICTABLE,
			  FAN_PRE_ACCESS, AT_FDCWD, t->segment) < 0)
		return fail(t, SELFTEST_IGNORE, "ignore mark: %s", strerror(errno));
	if (!read_through(t, op, t->base, READ_BYTES, FAN_DENY, &seen))
		return fail(t, SELFTEST_IGNORE, "the read hangs");
	if (seen.events || op->res != READ_BYTES || !read_is_right(t, op))
		return fail(t, SELFTEST_IGNORE, "%u events, read returned %zd", seen.events,
			    op->res);
	return pass(t, SELFTEST_IGNORE, "no event, right bytes");
}

static bool check_no_group(struct run *t, struct read_op *op)
{
	struct seen seen;

	close(t->group);
	t->group = -1;
	/* A part is present, the rest is not, and there is no one to ask. */
	if (!read_through(t, op, t->len - PREFIX_BYTES, READ_BYTES, FAN_ALLOW, &seen))
		return fail(t, SELFTEST_NO_GROUP, "the read hangs");
	if (!read_is_right(t, op) || op->res > (ssize_t)PREFIX_BYTES)
		return fail(t, SELFTEST_NO_GROUP, "WRONG BYTES: read %zd", op->res);
	if (!read_through(t, op, t->len, 4096, FAN_ALLOW, &seen) || op->res != -EIO)
		return fail(t, SELFTEST_NO_GROUP, "missing data: the read returned %zd",
			    op->res);
	return pass(t, SELFTEST_NO_GROUP, "EIO");
}

/* Make the files and the bind mount. A failure is reported with the first check. */
static bool prepare(struct run *t, const char *dir)
{
	struct tiny_file f = { .name = "f", .size = FILE_BYTES, .mode = 0644 };
	struct buf boot cleanup_buf = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	char data[4096];
	int r;

	for (uint32_t i = 0; i < FILE_BYTES; i++)
		t->pattern[i] = (uint8_t)(1 + (i * 31 + (i >> 12) * 7) % 251);
	snprintf(data, sizeof(data), "%s/data", dir);
	snprintf(t->boot, sizeof(t->boot), "%s/data/bootstrap", dir);
	snprintf(t->segment, sizeof(t->segment), "%s/data/segment", dir);
	snprintf(t->bind, sizeof(t->bind), "%s/bind", dir);
	snprintf(t->device, sizeof(t->device), "%s/bind/segment", dir);
	snprintf(t->mnt, sizeof(t->mnt), "%s/mnt", dir);
	snprintf(t->file, sizeof(t->file), "%s/mnt/f", dir);

	if (mkdir(data, 0700) < 0 || mkdir(t->mnt, 0700) < 0)
		return fail(t, SELFTEST_GROUP, "mkdir: %s", strerror(-disk_result(t, -errno)));
	r = tiny_erofs_build(&f, 1, &boot);
	if (r == 0)
		r = io_write_file_atomic(AT_FDCWD, t->boot, boot.data, boot.len, 0600);
	if (r < 0)
		return fail(t, SELFTEST_GROUP, "bootstrap: %s", strerror(-disk_result(t, r)));
	t->write_fd = open(t->segment, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (t->write_fd < 0 || fstat(t->write_fd, &t->segment_stat) < 0)
		return fail(t, SELFTEST_GROUP, "segment file: %s",
			    strerror(-disk_result(t, -errno)));
	if (disk_result(t, fan_bind_ensure(data, t->bind, &err)) < 0)
		return fail(t, SELFTEST_GROUP, "%s", err.text);
	return true;
}

void selftest_run(const char *dir, struct selftest_report *r)
{
	static struct run t;
	static struct read_op op;

	t.report = r;
	t.group = t.write_fd = t.read_fd = -1;
	(void)(prepare(&t, dir) && check_group(&t) && check_mark(&t) && check_mount(&t) &&
	       check_event(&t, &op) && check_own_write(&t) && check_prefix(&t, &op) &&
	       check_growth(&t, &op) && check_ignore(&t, &op) && check_no_group(&t, &op));
}
