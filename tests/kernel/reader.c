/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reader.c - read a file of a mount in some way and compare it with the original.
 *
 *   reader WAY FILE ORIGINAL [THREADS [PAGES]]
 *
 * WAY: read (sequential, 64 KiB), random (PAGES random pages per thread), mmap, sendfile,
 * readahead (readahead(2) of everything, then read). Prints pages by outcome:
 * "right=N eio=N zero=N wrong=N"; zero and wrong are wrong bytes. Exit code 0 when all are
 * right, 1 when some are EIO, 3 when a byte is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u

static const uint8_t *original;
static uint64_t size;
static int fd;
static unsigned long random_pages = 1000;
static atomic_ulong right, eio, zero, wrong, other;
static sigjmp_buf bus;

static void count_page(uint64_t off, const uint8_t *data, uint64_t len)
{
	static const uint8_t zeros[PAGE];

	if (!memcmp(original + off, data, len))
		right++;
	else if (!memcmp(zeros, data, len))
		zero++;
	else
		wrong++;
}

static void count_pages(uint64_t off, const uint8_t *data, uint64_t len)
{
	for (uint64_t i = 0; i < len; i += PAGE)
		count_page(off + i, data + i, len - i < PAGE ? len - i : PAGE);
}

static void count_error(int num)
{
	if (num == EIO)
		eio++;
	else
		other++;
}

static void page_read(uint64_t off)
{
	uint64_t want = size - off < PAGE ? size - off : PAGE;
	uint8_t buf[PAGE];
	ssize_t n = pread(fd, buf, PAGE, (off_t)off);

	if (n < 0)
		count_error(errno);
	else if ((uint64_t)n != want)
		other++;
	else
		count_page(off, buf, want);
}

static void *way_read(void *arg)
{
	uint8_t *buf = malloc(65536);
	uint64_t off = 0;

	(void)arg;
	while (buf && off < size) {
		ssize_t n = pread(fd, buf, 65536, (off_t)off);

		if (n <= 0) {
			count_error(n < 0 ? errno : 0);
			off += PAGE;
			continue;
		}
		count_pages(off, buf, (uint64_t)n);
		/* A short read ends before a page that fails. */
		off += ((uint64_t)n + PAGE - 1) / PAGE * PAGE;
	}
	free(buf);
	return NULL;
}

static void *way_random(void *arg)
{
	uint64_t pages = (size + PAGE - 1) / PAGE;
	unsigned seed = (unsigned)(uintptr_t)arg * 7919 + (unsigned)getpid();

	for (unsigned long i = 0; i < random_pages; i++)
		page_read(((uint64_t)rand_r(&seed) << 16 ^ (uint64_t)rand_r(&seed)) % pages * PAGE);
	return NULL;
}

static void on_bus(int sig)
{
	(void)sig;
	siglongjmp(bus, 1);
}

static void *way_mmap(void *arg)
{
	const uint8_t *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);

	(void)arg;
	if (map == MAP_FAILED) {
		other++;
		return NULL;
	}
	signal(SIGBUS, on_bus);
	for (volatile uint64_t off = 0; off < size; off += PAGE) {
		if (sigsetjmp(bus, 1))
			eio++;
		else
			count_page(off, map + off, size - off < PAGE ? size - off : PAGE);
	}
	munmap((void *)(uintptr_t)map, size);
	return NULL;
}

static void *way_sendfile(void *arg)
{
	uint8_t *buf = malloc(65536);
	off_t off = 0;
	int p[2];

	(void)arg;
	if (!buf || pipe(p) < 0)
		exit(99);
	while ((uint64_t)off < size) {
		off_t at = off;
		ssize_t n = sendfile(p[1], fd, &off, 32768);

		if (n <= 0) {
			count_error(n < 0 ? errno : 0);
			off = (at / PAGE + 1) * PAGE;
			continue;
		}
		for (ssize_t got = 0, k; got < n; got += k) {
			k = read(p[0], buf + got, (size_t)(n - got));
			if (k <= 0)
				exit(99);
		}
		count_pages((uint64_t)at, buf, (uint64_t)n);
		off = (off + PAGE - 1) / PAGE * PAGE;
	}
	close(p[0]);
	close(p[1]);
	free(buf);
	return NULL;
}

static void *way_readahead(void *arg)
{
	for (uint64_t off = 0; off < size; off += 131072)
		if (readahead(fd, (off_t)off, 131072) < 0)
			other++;
	return way_read(arg);
}

static const struct {
	const char *name;
	void *(*run)(void *arg);
} ways[] = {
	{ "read", way_read }, { "random", way_random }, { "mmap", way_mmap },
	{ "sendfile", way_sendfile }, { "readahead", way_readahead },
};

int main(int argc, char **argv)
{
	unsigned long nthreads = argc > 4 ? strtoul(argv[4], NULL, 10) : 1;
	void *(*run)(void *arg) = NULL;
	pthread_t threads[256];
	struct stat st;
	int ofd;

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways) && argc > 3; i++)
		if (!strcmp(argv[1], ways[i].name))
			run = ways[i].run;
	if (!run || nthreads < 1 || nthreads > 256) {
		fprintf(stderr, "usage: reader WAY FILE ORIGINAL [THREADS [PAGES]]\n");
		return 2;
	}
	if (argc > 5)
		random_pages = strtoul(argv[5], NULL, 10);
	fd = open(argv[2], O_RDONLY);
	ofd = open(argv[3], O_RDONLY);
	if (fd < 0 || ofd < 0 || fstat(ofd, &st) < 0) {
		perror(argv[2]);
		return 99;
	}
	size = (uint64_t)st.st_size;
	original = mmap(NULL, size, PROT_READ, MAP_SHARED, ofd, 0);
	if (original == MAP_FAILED)
		return 99;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	for (unsigned long i = 0; i < nthreads; i++)
		if (pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)(i + 1)))
			return 99;
	for (unsigned long i = 0; i < nthreads; i++)
		pthread_join(threads[i], NULL);
	printf("right=%lu eio=%lu zero=%lu wrong=%lu other=%lu\n", right, eio, zero, wrong,
	       other);
	return zero || wrong ? 3 : other ? 4 : eio ? 1 : 0;
}
