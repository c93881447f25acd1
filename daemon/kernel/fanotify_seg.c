/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fanotify_seg.c - the segment files. Pool threads; see transport.h and fill/state.h.
 *
 * A file's length is what is present of it. So:
 *   - it begins empty and is written only at its end: no holes, no ftruncate up, no punch
 *   - a failed write leaves it as it is. What went in before the failure is verified
 *     like all the rest; only whole 4 KiB count, so the next write begins at or below the
 *     file's end and repeats bytes that are there
 *   - it is cut only when the boot that wrote it is over, as nothing can have it mounted
 *     then, or to nothing: a cut within a large page clears the rest of that page, and a
 *     reader that looked at the old length just before would take zeros away. A cut to
 *     nothing clears no page, it only drops them
 *   - when the disk fails to take it, it is cut to nothing: the page cache still shows the
 *     right bytes, but what comes back after their eviction is anybody's guess
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/fill/layer.h"
#include "daemon/fill/state.h"
#include "daemon/kernel/fanotify_int.h"
#include "daemon/log.h"

#define SEGMENT_NAME_SIZE 16

static void segment_name(char ret[SEGMENT_NAME_SIZE], uint32_t segment)
{
	snprintf(ret, SEGMENT_NAME_SIZE, "%05" PRIu32, segment);
}

static uint32_t file_bucket(uint64_t dev, uint64_t ino)
{
	return (uint32_t)(((ino * 0x9e3779b97f4a7c15ULL) ^ dev) >> 32) % FAN_BUCKETS;
}

bool fan_file_find(struct fan *f, uint64_t dev, uint64_t ino, struct layer **ret_layer,
		   uint32_t *ret_segment)
{
	WITH_LOCK(&f->files_lock);
	struct fan_file *p = f->files[file_bucket(dev, ino)];

	while (p && (p->ino != ino || p->dev != dev))
		p = p->next;
	if (!p)
		return false;
	*ret_layer = p->layer;
	*ret_segment = p->segment;
	return true;
}

static void files_add(struct fan *f, struct fan_layer *fl)
{
	WITH_LOCK(&f->files_lock);

	for (uint32_t i = 0; i < fl->nfiles; i++) {
		struct fan_file **head = &f->files[file_bucket(fl->files[i].dev,
							       fl->files[i].ino)];

		fl->files[i].next = *head;
		*head = &fl->files[i];
	}
}

static void files_remove(struct fan *f, struct fan_layer *fl)
{
	WITH_LOCK(&f->files_lock);

	for (uint32_t i = 0; i < fl->nfiles; i++) {
		struct fan_file **p = &f->files[file_bucket(fl->files[i].dev,
							    fl->files[i].ino)];

		while (*p && *p != &fl->files[i])
			p = &(*p)->next;
		if (*p)
			*p = fl->files[i].next;
	}
}

static void fan_layer_free(struct fan_layer *fl)
{
	if (!fl)
		return;
	if (fl->seg_dirfd >= 0)
		close(fl->seg_dirfd);
	free(fl->files);
	free(fl->dirty);
	free(fl->lost);
	pthread_rwlock_destroy(&fl->cut_lock);
	free(fl);
}
DEFINE_CLEANUP(struct fan_layer *, fan_layer_free, fan_layer_freep)

/*
 * Open or create one file. On a read-only file system a present one is opened for reading:
 * what it holds can be served.
 */
static int segment_file_open(int dirfd, const char *name, struct stat *ret_st)
{
	const int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	cleanup_close int fd = openat(dirfd, name, O_RDWR | O_CREAT | flags, 0600);

	if (fd < 0 && errno == EROFS)
		fd = openat(dirfd, name, O_RDONLY | flags);
	if (fd < 0)
		return -errno;
	if (fstat(fd, ret_st) < 0)
		return -errno;
	if (!S_ISREG(ret_st->st_mode))
		return -EINVAL;
	return TAKE_FD(fd);
}

/*
 * Bring one file to what of it is trusted; see fill/state.h. recorded = UINT64_MAX: of this
 * boot, its length counts. *ret_len is a multiple of 4 KiB.
 */
static int segment_recover(int dirfd, uint32_t segment, uint64_t size, uint64_t recorded,
			   struct stat *ret_st, uint64_t *ret_len)
{
	char name[SEGMENT_NAME_SIZE];
	cleanup_close int fd = -1;
	uint64_t len, have;

	segment_name(name, segment);
	fd = segment_file_open(dirfd, name, ret_st);
	if (fd < 0)
		return fd;
	have = (uint64_t)ret_st->st_size;
	len = have < recorded ? have : recorded;
	len = len < size ? len : size;
	len -= len % MAP_BLOCK_BYTES;
	*ret_len = len;
	if (recorded == UINT64_MAX || have == len)
		return 0;
	return ftruncate(fd, (off_t)len) < 0 ? -errno : 0;
}

static int layer_dir_open(const struct fan *f, const struct layer *l, struct err *err)
{
	char path[4200];
	int fd, r;

	snprintf(path, sizeof(path), "%s/layers/%s/seg", f->cache_dir, l->blob_id);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT) {
		r = io_mkdir_p(path, 0700);
		fd = r < 0 ? r : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (r < 0)
			errno = -r;
	}
	return fd < 0 ? err_sys(err, errno, "cannot open %s", path) : fd;
}

static int segments_recover(struct fan *f, struct layer *l, struct fan_layer *fl,
			    const uint64_t *recorded, bool same_boot, struct err *err)
{
	uint64_t present = 0;

	for (uint32_t i = 0; i < fl->nfiles; i++) {
		struct fan_file *file = &fl->files[i];
		char name[SEGMENT_NAME_SIZE];
		struct stat st;
		uint64_t len;
		int r = segment_recover(fl->seg_dirfd, i, l->map->segments[i].size,
					same_boot ? UINT64_MAX : recorded[i], &st, &len);

		segment_name(name, i);
		if (r < 0)
			return err_sys(err, -r, "segment file layers/%s/seg/%s", l->blob_id,
				       name);
		file->dev = st.st_dev;
		file->ino = st.st_ino;
		file->layer = l;
		file->segment = i;
		l->segments[i].len = len;
		/* Of this boot, but nobody may have synced it. */
		fl->dirty[i] = len > recorded[i];
		present += len;
		if (len == l->map->segments[i].size) {
			r = fan_ignore(f, fl->seg_dirfd, name, err);
			if (r < 0)
				return r;
			l->segments[i].complete_told = true;
		} else {
			r = fan_unignore(f, fl->seg_dirfd, name, err);
			if (r < 0)
				return r;
		}
	}
	l->present_bytes = present;
	return 0;
}

int fan_layer_open(struct transport *t, struct layer *l, struct err *err)
{
	struct fan *f = fan_of(t);
	uint32_t n = l->map->nsegments;
	cleanup_(fan_layer_freep) struct fan_layer *fl = calloc(1, sizeof(*fl));
	cleanup_free uint64_t *lens = calloc(n + 1, sizeof(*lens));
	cleanup_close int layer_dirfd = -1;
	struct err why = ERR_INIT;
	bool same_boot = false;
	int r;

	if (fl) {
		fl->seg_dirfd = -1;
		pthread_rwlock_init(&fl->cut_lock, NULL);
	}
	if (!fl || !lens)
		return err_sys(err, ENOMEM, "layer %.12s", l->blob_id);
	fl->nfiles = n;
	fl->files = calloc(n + 1, sizeof(*fl->files));
	fl->dirty = calloc(n + 1, sizeof(*fl->dirty));
	fl->lost = calloc(n + 1, sizeof(*fl->lost));
	if (!fl->files || !fl->dirty || !fl->lost)
		return err_sys(err, ENOMEM, "layer %.12s", l->blob_id);
	fl->seg_dirfd = layer_dir_open(f, l, err);
	if (fl->seg_dirfd < 0)
		return fl->seg_dirfd;
	layer_dirfd = openat(fl->seg_dirfd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (layer_dirfd < 0)
		return err_sys(err, errno, "layer %.12s", l->blob_id);

	r = fill_state_load(layer_dirfd, n, lens, &same_boot, &why);
	if (r < 0)
		return err_sys(err, -r, "state of layer %.12s", l->blob_id);
	if (why.text[0])
		log_warning("layer %.12s starts anew: %s", l->blob_id, why.text);
	r = segments_recover(f, l, fl, lens, same_boot, err);
	if (r < 0)
		return r;
	if (!same_boot) {
		for (uint32_t i = 0; i < n; i++)
			lens[i] = l->segments[i].len;
		r = fill_state_save(layer_dirfd, n, lens, err);
		if (r < 0 && r != -EROFS)
			return r;
	}
	files_add(f, fl);
	l->transport_data = TAKE_PTR(fl);
	return 0;
}

static int segment_append(struct layer *l, uint32_t segment, uint64_t off, const uint8_t *data,
			  uint64_t len, struct err *err)
{
	struct fan_layer *fl = l->transport_data;
	char name[SEGMENT_NAME_SIZE];
	cleanup_close int fd = -1;
	struct stat st;
	int r;

	segment_name(name, segment);
	if (fl->lost[segment])
		return err_set(err, ERR_SYSTEM, EIO, "segment %s of layer %.12s: the disk has "
			       "failed to store it", name, l->blob_id);
	fd = openat(fl->seg_dirfd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "segment %s of layer %.12s", name, l->blob_id);
	/* Beyond the end it would leave a hole, and holes read as zeros. */
	if ((uint64_t)st.st_size < off || off % MAP_BLOCK_BYTES || len % MAP_BLOCK_BYTES ||
	    st.st_ino != fl->files[segment].ino || st.st_dev != fl->files[segment].dev ||
	    off + len > l->map->segments[segment].size)
		return err_set(err, ERR_SYSTEM, EIO,
			       "segment %s of layer %.12s was changed by someone else: it has "
			       "%lld bytes where %llu were written", name, l->blob_id,
			       (long long)st.st_size, (unsigned long long)off);
	r = io_pwrite_full(fd, data, len, off);
	/* Behind the write: a sync that is under way must leave the flag to the next one. */
	__atomic_store_n(&fl->dirty[segment], true, __ATOMIC_RELEASE);
	return r < 0 ? err_sys(err, -r, "writing segment %s of layer %.12s", name, l->blob_id)
		     : 0;
}

int fan_segment_write(struct transport *t, struct layer *l, uint32_t segment, uint64_t off,
		      const uint8_t *data, uint64_t len, struct err *err)
{
	struct fan_layer *fl = l->transport_data;
	int r;

	(void)t;
	pthread_rwlock_rdlock(&fl->cut_lock);
	r = segment_append(l, segment, off, data, len, err);
	pthread_rwlock_unlock(&fl->cut_lock);
	return r;
}

int fan_segment_complete(struct transport *t, struct layer *l, uint32_t segment,
			 struct err *err)
{
	struct fan_layer *fl = l->transport_data;
	char name[SEGMENT_NAME_SIZE];

	segment_name(name, segment);
	return fan_ignore(fan_of(t), fl->seg_dirfd, name, err);
}

/* The kernel tells of a failure only once: there is no second try. */
static void segment_lose(struct fan_layer *fl, uint32_t segment, int fd, const char *name)
{
	pthread_rwlock_wrlock(&fl->cut_lock);
	fl->lost[segment] = true;
	if (ftruncate(fd, 0) < 0)
		log_error("segment %s cannot be emptied: %s", name, strerror(errno));
	pthread_rwlock_unlock(&fl->cut_lock);
}

static int segment_sync(struct fan_layer *fl, uint32_t segment, struct err *err)
{
	char name[SEGMENT_NAME_SIZE];
	cleanup_close int fd = -1;
	int r;

	if (!__atomic_exchange_n(&fl->dirty[segment], false, __ATOMIC_ACQ_REL))
		return 0;
	segment_name(name, segment);
	fd = openat(fl->seg_dirfd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		r = -errno;
		__atomic_store_n(&fl->dirty[segment], true, __ATOMIC_RELEASE);
		return err_sys(err, -r, "segment %s cannot be opened", name);
	}
	if (fdatasync(fd) == 0)
		return 0;
	r = -errno;
	segment_lose(fl, segment, fd, name);
	return err_sys(err, -r, "segment %s cannot be stored and was emptied: the disk fails",
		       name);
}

int fan_layer_sync(struct transport *t, struct layer *l, struct err *err)
{
	struct fan_layer *fl = l->transport_data;
	cleanup_free uint64_t *lens = calloc(fl->nfiles + 1, sizeof(*lens));
	cleanup_close int layer_dirfd = -1;
	int r;

	(void)t;
	if (!lens)
		return err_sys(err, ENOMEM, "layer %.12s", l->blob_id);
	/* Lengths first: what is written from here on is for the next time. */
	for (uint32_t i = 0; i < fl->nfiles; i++)
		lens[i] = __atomic_load_n(&l->segments[i].len, __ATOMIC_ACQUIRE);
	for (uint32_t i = 0; i < fl->nfiles; i++) {
		r = segment_sync(fl, i, err);
		if (r < 0)
			return err_prefix(err, "layer %.12s", l->blob_id);
		/* Only a sync sets it, and there is one at a time. */
		if (fl->lost[i])
			lens[i] = 0;
	}
	layer_dirfd = openat(fl->seg_dirfd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (layer_dirfd < 0)
		return err_sys(err, errno, "layer %.12s", l->blob_id);
	return fill_state_save(layer_dirfd, fl->nfiles, lens, err);
}

void fan_layer_close(struct transport *t, struct layer *l)
{
	struct fan_layer *fl = TAKE_PTR(l->transport_data);
	struct err err = ERR_INIT;

	if (!fl)
		return;
	l->transport_data = fl;
	if (fan_layer_sync(t, l, &err) < 0 && err.num != EROFS)
		log_warning("%s", err.text);
	l->transport_data = NULL;
	files_remove(fan_of(t), fl);
	fan_layer_free(fl);
}
