/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * map_fill.c - map_fill [--blob] ZTOC LAYER MAP DIR: make a layer's data files, whole.
 *
 * Reads the layer once through lib/ztoc's extraction and puts every file's bytes where the
 * layer map says: DIR/00000, DIR/00001 ... one per segment, or with --blob DIR/blob. Prints
 * the paths in order. Slow and simple: what tests compare lazy filling with.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "image/map.h"
#include "ztoc/extract.h"

struct fill {
	const struct layer_map *map;
	uint64_t tar_off, extent;
	int dirfd;
	bool blob;
	uint32_t open_segment;
	int fd;
};

static _Noreturn void die(const char *what, const struct err *err)
{
	fprintf(stderr, "map_fill: %s: %s\n", what, err ? err->text : "failed");
	exit(1);
}

static void file_name(const struct fill *f, uint32_t segment, char name[16])
{
	if (f->blob)
		strcpy(name, "blob");
	else
		snprintf(name, 16, "%05u", segment);
}

/* Bytes [off, off+len) of the blob: never more than a chunk, so in one segment. */
static int put(struct fill *f, uint64_t off, const uint8_t *data, size_t len)
{
	uint32_t segment = f->blob ? 0 : layer_map_segment_find(f->map, off);
	char name[16];

	if (f->fd < 0 || segment != f->open_segment) {
		if (f->fd >= 0)
			close(f->fd);
		file_name(f, segment, name);
		f->fd = openat(f->dirfd, name, O_WRONLY | O_CLOEXEC);
		f->open_segment = segment;
		if (f->fd < 0)
			return -errno;
	}
	return io_pwrite_full(f->fd, data, len,
			      f->blob ? off : off - f->map->segments[segment].blob_off);
}

static int sink(void *arg, const uint8_t *data, size_t len)
{
	struct fill *f = arg;

	while (len) {
		const struct map_extent *e = &f->map->extents[f->extent];
		uint64_t n, at;
		int r;

		if (f->extent == f->map->nextents)
			return 0;
		if (f->tar_off < e->tar_off) {
			n = e->tar_off - f->tar_off;
			n = n < len ? n : len;
		} else {
			at = f->tar_off - e->tar_off;
			n = e->len - at;
			n = n < len ? n : len;
			if (n > MAP_CHUNK_BYTES - at % MAP_CHUNK_BYTES)
				n = MAP_CHUNK_BYTES - at % MAP_CHUNK_BYTES;
			r = put(f, e->blob_off + at, data, (size_t)n);
			if (r < 0)
				return r;
			if (at + n == e->len)
				f->extent++;
		}
		f->tar_off += n;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static void make_file(const struct fill *f, const char *dir, uint32_t segment, uint64_t size)
{
	char name[16];
	int fd;

	file_name(f, segment, name);
	fd = openat(f->dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		die(name, NULL);
	close(fd);
	printf("%s/%s\n", dir, name);
}

static void read_input(const char *path, struct buf *b)
{
	if (io_read_file(AT_FDCWD, path, b) < 0)
		die(path, NULL);
}

int main(int argc, char **argv)
{
	bool blob = argc > 1 && strcmp(argv[1], "--blob") == 0;
	struct buf zbytes = BUF_INIT(0), mbytes = BUF_INIT(0);
	struct fill f = { .fd = -1, .blob = blob };
	struct layer_map *map;
	struct err err = ERR_INIT;
	struct ztoc *z;
	struct extract x = { .backend = INFLATE_BEST };

	argv += blob;
	if (argc - blob != 5) {
		fprintf(stderr, "usage: map_fill [--blob] ZTOC LAYER MAP DIR\n");
		return 2;
	}
	read_input(argv[1], &zbytes);
	read_input(argv[3], &mbytes);
	if (ztoc_open(zbytes.data, zbytes.len, &z, &err) < 0)
		die(argv[1], &err);
	if (layer_map_decode(mbytes.data, mbytes.len, &map, &err) < 0)
		die(argv[3], &err);
	f.map = map;
	x.ztoc = z;
	x.layer_fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	f.dirfd = open(argv[4], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x.layer_fd < 0 || f.dirfd < 0)
		die(x.layer_fd < 0 ? argv[2] : argv[4], NULL);
	if (blob && map->blob_size)
		make_file(&f, argv[4], 0, map->blob_size);
	for (uint32_t i = 0; !blob && i < map->nsegments; i++)
		make_file(&f, argv[4], i, map->segments[i].size);
	if (extract_range(&x, 0, map->out_size, sink, &f, &err) < 0)
		die(argv[2], &err);
	if (f.extent != map->nextents)
		die("the layer ended early", NULL);
	layer_map_free(map);
	ztoc_free(z);
	buf_done(&zbytes);
	buf_done(&mbytes);
	return 0;
}
