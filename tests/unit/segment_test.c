/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The segment files of the fanotify path, without a group: what is recorded as durable was
 * on the disk before. The disk is a model: fdatasync() and pwrite() are ours, and what
 * fdatasync() did not see would not survive a power cut.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "daemon/fill/layer.h"
#include "daemon/fill/state.h"
#include "daemon/kernel/fanotify_int.h"
#include "tests/unit/tap.h"

enum { SEGMENTS = 2, SEGMENT_BYTES = 4 * 4096, INODES = 16 };

static struct {
	uint64_t ino, stable;		/* bytes that a power cut leaves */
} disk[INODES];
static uint64_t sick_ino;		/* its fdatasync fails, once */
static void (*in_pwrite)(void);		/* run once, before the next pwrite has written */

static uint64_t *stable_of(uint64_t ino)
{
	for (int i = 0; i < INODES; i++)
		if (disk[i].ino == ino || !disk[i].ino) {
			disk[i].ino = ino;
			return &disk[i].stable;
		}
	bail("too many files");
}

int fdatasync(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	if (st.st_ino == sick_ino) {
		sick_ino = 0;
		errno = EIO;
		return -1;
	}
	*stable_of(st.st_ino) = (uint64_t)st.st_size;
	return 0;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t off)
{
	void (*hook)(void) = in_pwrite;

	in_pwrite = NULL;
	if (hook)
		hook();
	return syscall(SYS_pwrite64, fd, data, len, off);
}

static struct fan *fan;
static char dir[] = "/tmp/segment_test.XXXXXX";
static uint8_t data[SEGMENT_BYTES];

static struct layer *layer_make(void)
{
	struct layer_map *m = calloc(1, sizeof(*m));
	struct err err = ERR_INIT;
	struct layer *l;

	m->compression = ZTOC_UNCOMPRESSED;
	m->nspans = m->nextents = m->nsegments = SEGMENTS;
	m->comp_size = m->out_size = m->blob_size = SEGMENTS * SEGMENT_BYTES;
	m->spans = calloc(SEGMENTS, sizeof(*m->spans));
	m->segments = calloc(SEGMENTS, sizeof(*m->segments));
	m->extents = calloc(SEGMENTS, sizeof(*m->extents));
	for (uint32_t i = 0; i < SEGMENTS; i++) {
		uint64_t off = i * SEGMENT_BYTES, end = off + SEGMENT_BYTES;

		m->spans[i] = (struct map_span){ off, end, off, end, MAP_NO_WINDOW, 0, { { 0 } } };
		m->segments[i] = (struct map_segment){ off, SEGMENT_BYTES, i, 1 };
		m->extents[i] = (struct map_extent){ off, off, SEGMENT_BYTES };
	}
	if (layer_new(m, -1, NULL, &l, &err) < 0 || fan_layer_open(&fan->base, l, &err) < 0)
		bail("%s", err.text);
	return l;
}

static int append(struct layer *l, uint32_t segment, uint64_t len)
{
	struct err err = ERR_INIT;
	int r = fan_segment_write(&fan->base, l, segment, l->segments[segment].len, data, len,
				  &err);

	if (r == 0)
		l->segments[segment].len += len;
	return r;
}

static int sync_layer(struct layer *l)
{
	struct err err = ERR_INIT;

	return fan_layer_sync(&fan->base, l, &err);
}

static uint64_t recorded[SEGMENTS];

/* Is all that is on record on the disk, too? Leaves the record in recorded. */
static bool record_holds(const struct layer *l)
{
	const struct fan_layer *fl = l->transport_data;
	int dirfd = openat(fl->seg_dirfd, "..", O_RDONLY | O_DIRECTORY);
	struct err err = ERR_INIT;
	bool same, holds = true;

	if (fill_state_load(dirfd, SEGMENTS, recorded, &same, &err) != 1)
		bail("no record: %s", err.text);
	close(dirfd);
	for (uint32_t i = 0; i < SEGMENTS; i++)
		holds = holds && recorded[i] <= *stable_of(fl->files[i].ino);
	return holds;
}

static struct layer *hooked;

static void sync_now(void)
{
	sync_layer(hooked);
}

static void test_sync_while_written(void)
{
	struct layer *l = hooked = layer_make();

	is_int(append(l, 0, 4096), 0, "a block is written");
	in_pwrite = sync_now;
	is_int(append(l, 0, 4096), 0, "another, while a sync is under way");
	ok(record_holds(l) && recorded[0] == 4096, "the sync recorded the first");
	is_int(sync_layer(l), 0, "sync again");
	ok(record_holds(l) && recorded[0] == 8192, "both are recorded, and on the disk");
	fan_layer_close(&fan->base, l);
	layer_free(l);
}

static void test_restart(void)
{
	struct layer *killed = layer_make(), *l;

	is_int(append(killed, 1, 8192), 0, "written, then the daemon is killed");
	l = layer_make();
	ok(l->segments[1].len == 8192, "its successor of the same boot has the length");
	is_int(sync_layer(l), 0, "and syncs");
	ok(record_holds(l) && recorded[1] == 8192, "what it records is on the disk");
	fan_layer_close(&fan->base, l);
	layer_free(l);
	fan_layer_close(&fan->base, killed);
	layer_free(killed);
}

static void test_no_descriptors(void)
{
	struct layer *l = layer_make();
	const struct fan_layer *fl = l->transport_data;
	struct rlimit old, none;

	is_int(append(l, 1, 4096), 0, "written");
	getrlimit(RLIMIT_NOFILE, &old);
	none = old;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &none);
	is_int(sync_layer(l), -EMFILE, "a sync without descriptors fails");
	setrlimit(RLIMIT_NOFILE, &old);
	ok(record_holds(l) && recorded[1] == 8192, "nothing new is recorded");
	is_int(sync_layer(l), 0, "the next one works");
	ok(record_holds(l) && recorded[1] == 12288, "and what it records is on the disk");
	ok(l->segments[1].len == 12288 && fl->nfiles == SEGMENTS, "nothing was emptied");
	fan_layer_close(&fan->base, l);
	layer_free(l);
}

static void test_sick_disk(void)
{
	struct layer *l = layer_make();
	const struct fan_layer *fl = l->transport_data;

	is_int(append(l, 0, 4096), 0, "written");
	is_int(append(l, 1, 4096), 0, "and the other");
	sick_ino = fl->files[0].ino;
	is_int(sync_layer(l), -EIO, "the disk does not take it");
	is_int(append(l, 0, 4096), -EIO, "nothing is written behind what was lost");
	is_int(sync_layer(l), 0, "the next sync");
	ok(record_holds(l) && recorded[0] == 0, "nothing of that segment is on record");
	ok(recorded[1] == SEGMENT_BYTES, "all of the other is");
	fan_layer_close(&fan->base, l);
	layer_free(l);
	l = layer_make();
	ok(l->segments[0].len == 0 && l->segments[1].len == SEGMENT_BYTES,
	   "and so it is after a restart");
	fan_layer_close(&fan->base, l);
	layer_free(l);
}

int main(void)
{
	char command[64];

	fan = calloc(1, sizeof(*fan));
	if (!fan || !mkdtemp(dir))
		bail("no temporary directory");
	snprintf(fan->cache_dir, sizeof(fan->cache_dir), "%s", dir);
	pthread_mutex_init(&fan->files_lock, NULL);
	test_sync_while_written();
	test_restart();
	test_no_descriptors();
	test_sick_disk();
	free(fan);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) != 0)
		bail("cannot remove %s", dir);
	return tap_done();
}
