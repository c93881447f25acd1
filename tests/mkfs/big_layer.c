/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * big_layer.c - big_layer MKFS DIR: a layer too large to have, for tests/mkfs/large.sh.
 *
 * Makes the zTOC of an uncompressed layer with one file of 10 GiB and thousands of smaller
 * ones, runs MKFS on it, and makes all segment files: sparse, but for eight bytes at the
 * start of each chunk that say which file and chunk it is. DIR/devices lists them.
 * big_layer --check MOUNT reads them back through a mount.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "image_make.h"

#define FILES 2500u
#define BIG_BYTES ((10ull << 30) + 12345)

static uint64_t file_size(uint32_t i)
{
	return i == 0 ? BIG_BYTES : (4ull << 20) + 4096 + i;
}

static uint64_t marker(uint32_t file, uint64_t chunk)
{
	return 0xfeed000000000000ull | (uint64_t)file << 24 | chunk;
}

static void write_markers(const struct layer_map *m, const char *dir)
{
	char path[4096];
	FILE *list;

	snprintf(path, sizeof(path), "%s/devices", dir);
	list = fopen(path, "w");
	if (!list)
		bail("%s", path);
	for (uint32_t s = 0, x = 0; s < m->nsegments; s++) {
		const struct map_segment *seg = &m->segments[s];
		int fd;

		snprintf(path, sizeof(path), "%s/%05u", dir, s);
		fprintf(list, "%s\n", path);
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
		if (fd < 0 || ftruncate(fd, (off_t)seg->size) < 0)
			bail("%s", path);
		while (x < m->nextents &&
		       m->extents[x].blob_off + io_round_up(m->extents[x].len, 4096) <= seg->blob_off)
			x++;
		for (uint32_t y = x; y < m->nextents; y++) {
			const struct map_extent *e = &m->extents[y];

			if (e->blob_off >= seg->blob_off + seg->size)
				break;
			for (uint64_t at = 0; at < e->len; at += MAP_CHUNK_BYTES) {
				uint64_t off = e->blob_off + at, mark = marker(y, at >> 20);

				if (off >= seg->blob_off && off < seg->blob_off + seg->size &&
				    pwrite(fd, &mark, 8, (off_t)(off - seg->blob_off)) != 8)
					bail("%s", path);
			}
		}
		close(fd);
	}
	fclose(list);
}

static int run_mkfs(const char *mkfs, const char *dir)
{
	char out[4096], map[4096], ztoc[4096];
	int status;

	snprintf(out, sizeof(out), "%s/bootstrap", dir);
	snprintf(map, sizeof(map), "%s/map", dir);
	snprintf(ztoc, sizeof(ztoc), "%s/ztoc", dir);
	if (fork() == 0) {
		execl(mkfs, mkfs, "-o", out, "--map", map, "--json", ztoc, (char *)NULL);
		_exit(127);
	}
	wait(&status);
	return status;
}

static int make(const char *mkfs, const char *dir)
{
	static struct mk_entry e[FILES + 1];
	static char names[FILES][8];
	struct mk_layer l;
	char path[4096];

	for (uint32_t i = 0; i < FILES; i++) {
		snprintf(names[i], sizeof(names[i]), "f%05u", i);
		e[i] = (struct mk_entry){ .name = names[i], .size = file_size(i) };
	}
	mk_compression = ZTOC_UNCOMPRESSED;
	mk_layer(&l, e, 5 << 20);
	snprintf(path, sizeof(path), "%s/ztoc", dir);
	if (io_write_file_atomic(AT_FDCWD, path, l.bytes, l.len, 0644) < 0)
		bail("%s", path);
	if (run_mkfs(mkfs, dir) != 0)
		return 1;
	write_markers(l.map, dir);
	mk_done(&l);
	return 0;
}

static int check_mount(const char *dir)
{
	uint64_t chunks = 0, wrong = 0, sizes = 0;

	for (uint32_t i = 0; i < FILES; i++) {
		struct stat st = { 0 };
		char path[4096];
		int fd;

		snprintf(path, sizeof(path), "%s/f%05u", dir, i);
		fd = open(path, O_RDONLY);
		if (fd < 0 || fstat(fd, &st) < 0)
			bail("%s", path);
		posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
		sizes += (uint64_t)st.st_size == file_size(i);
		for (uint64_t at = 0; at < file_size(i); at += 1 << 20, chunks++) {
			uint64_t got = 0, want = marker(i, at >> 20);
			size_t n = file_size(i) - at < 8 ? file_size(i) - at : 8;

			wrong += pread(fd, &got, n, (off_t)at) != (ssize_t)n ||
				 memcmp(&got, &want, n) != 0;
		}
		close(fd);
	}
	ok(sizes == FILES, "all sizes are right");
	ok(chunks > 20000 && wrong == 0, "%llu chunks read, %llu wrong",
	   (unsigned long long)chunks, (unsigned long long)wrong);
	return tap_done();
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: big_layer MKFS DIR | big_layer --check MOUNT\n");
		return 2;
	}
	return strcmp(argv[1], "--check") == 0 ? check_mount(argv[2]) : make(argv[1], argv[2]);
}
