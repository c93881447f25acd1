/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc_memory_test.c - collecting and writing a large zTOC takes the memory of the zTOC,
 * and a few MiB; never twice as much.
 *
 * Each model is made and written in a child, whose peak of resident memory is read.
 */
#include "tests/unit/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "ztoc/write.h"

#define SLACK_BYTES (32u << 20)

struct shape {
	const char *what;
	uint32_t entries, name_bytes, records, points, digests;
};

static const struct shape shapes[] = {
	{ "a million small entries", 1000000, 12, 0, 1, 1 },
	{ "names of 1 MiB", 100, 1 << 20, 0, 1, 1 },
	{ "records", 20000, 10, 100, 1, 1 },
	{ "checkpoints", 1, 10, 0, 3000, 3000 },
	{ "digests", 1, 10, 0, 0, 1000000 },
	{ "some of each", 300000, 30, 1, 1000, 1000 },
};

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void add_entry(struct ztoc_model *m, const struct shape *s, const char *name)
{
	static struct ztoc_xattr records[100];
	struct ztoc_model_entry e = {
		.type = ZTOC_REG, .offset = 512, .size = 5, .mode = 0644, .uid = 1, .gid = 1,
		.name = { name, s->name_bytes }, .mod_time = { "2024-01-02T03:04:05Z", 20 },
		.records = records, .nrecords = s->records,
	};

	for (uint32_t i = 0; i < s->records; i++)
		records[i] = (struct ztoc_xattr){ { "key", 3 }, { "value", 5 } };
	if (ztoc_model_add_entry(m, &e, NULL) < 0)
		bail("ztoc_model_add_entry");
}

static void fill(struct ztoc_model *m, const struct shape *s)
{
	static char name[1 << 20];
	static uint8_t window[ZTOC_WINDOW_BYTES];
	struct digest d = { 0 };

	memset(name, 'n', sizeof(name));
	memset(window, 'w', sizeof(window));
	m->build_tool = "test";
	m->compression = s->points ? ZTOC_GZIP : ZTOC_UNCOMPRESSED;
	m->span_size = 1;
	for (uint32_t i = 0; i < s->entries; i++)
		add_entry(m, s, name);
	for (uint32_t i = 0; i < s->points; i++)
		if (ztoc_model_add_point(m, i, i, 0, window, NULL) < 0)
			bail("ztoc_model_add_point");
	for (uint32_t i = 0; i < s->digests; i++)
		if (ztoc_model_add_digest(m, &d, NULL) < 0)
			bail("ztoc_model_add_digest");
}

/* The peak so far, without what the process began with. */
static size_t peak_bytes(void)
{
	cleanup_buf struct buf b = BUF_INIT(64 << 10);
	const char *p;

	if (io_read_file(AT_FDCWD, "/proc/self/status", &b) < 0)
		bail("/proc/self/status");
	p = strstr((char *)b.data, "VmHWM:");
	if (!p)
		bail("no VmHWM");
	return strtoull(p + 6, NULL, 10) << 10;
}

static void child(const struct shape *s, int fd)
{
	size_t begin = peak_bytes(), report[2];
	struct ztoc_model m;
	uint8_t *bytes;

	ztoc_model_init(&m, 0);
	fill(&m, s);
	if (ztoc_model_write(&m, &bytes, &report[0], NULL) < 0)
		bail("ztoc_model_write");
	report[1] = peak_bytes() - begin;
	if (io_write_full(fd, report, sizeof(report)) < 0)
		bail("pipe");
	ztoc_model_done(&m);
	free(bytes);
	_exit(0);
}

static void test_shape(const struct shape *s)
{
	size_t report[2] = { 0 };
	int pipe_fd[2], status;
	pid_t pid;

	fflush(stdout);
	if (pipe(pipe_fd) < 0 || (pid = fork()) < 0)
		bail("fork");
	if (pid == 0)
		child(s, pipe_fd[1]);
	close(pipe_fd[1]);
	if (read(pipe_fd[0], report, sizeof(report)) != sizeof(report) ||
	    waitpid(pid, &status, 0) != pid || status)
		bail("%s: the child failed", s->what);
	close(pipe_fd[0]);
	ok(report[0] > 60u << 20 && report[1] < report[0] + SLACK_BYTES,
	   "%s: %zu MiB for a zTOC of %zu MiB", s->what, report[1] >> 20, report[0] >> 20);
}
#else
static void test_shape(const struct shape *s)
{
	printf("ok %d - %s # SKIP memory is the sanitizer's here\n", ++tap_count, s->what);
}
#endif

int main(void)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		test_shape(&shapes[i]);
	return tap_done();
}
