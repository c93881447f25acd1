/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cachefiles_layer.c - a layer's data file: recover it, write it, record it.
 *
 * Worker threads, but for the recheck. What is trusted when a layer is opened:
 *
 *	record of ours | file the kernel would adopt | trusted
 *	this boot      | yes                         | data up to the first hole, per segment
 *	another boot   | yes                         | the record, as far as there is data;
 *	               |                             | the rest is punched: ask again
 *	none, damaged  | any                         | nothing: a new file
 *	any            | none, wrong size or mark    | nothing: a new file
 *
 * A file of this boot may be in use by a mount (the daemon was restarted), so it is never
 * punched: a kernel read between "there is data" and the read itself would see zeros. A
 * record of another boot means that nothing has opened the file since this boot began.
 *
 * Writes go through the kernel's anonymous descriptor while there is one, since that is
 * the inode which the reader will read; else (before the mount, after the umount) to the
 * same file by its path.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/fill/state.h"
#include "daemon/kernel/cachefiles_priv.h"
#include "daemon/kernel/cachefiles_seed.h"
#include "daemon/log.h"

#define NOT_READY_TRIES 50		/* of 2 ms: copen answered, file not yet attached */
#define NOT_READY_US 2000

void cachefiles_object_unref(struct cachefiles_object *object)
{
	if (atomic_fetch_sub(&object->refs, 1) != 1)
		return;
	close(object->fd);
	free(object);
}

/* Bytes from the segment's start that are data without a hole, whole blocks. */
static uint64_t data_prefix(int fd, const struct map_segment *seg)
{
	off_t hole = lseek(fd, (off_t)seg->blob_off, SEEK_HOLE);
	uint64_t len;

	if (hole < 0 || (uint64_t)hole <= seg->blob_off)
		return 0;
	len = (uint64_t)hole - seg->blob_off;
	len -= len % MAP_BLOCK_BYTES;
	return len < seg->size ? len : seg->size;
}

/* From another boot: keep what the record says, and make the kernel ask for the rest. */
static int untrusted_punch(struct cachefiles_layer *cl)
{
	for (uint32_t i = 0; i < cl->map->nsegments; i++) {
		const struct map_segment *seg = &cl->map->segments[i];
		uint64_t len = cl->written[i];

		if (len < seg->size &&
		    fallocate(cl->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)(seg->blob_off + len), (off_t)(seg->size - len)))
			return -errno;
	}
	return fdatasync(cl->fd) ? -errno : 0;
}

/* An existing file with a good record; -ESTALE when it has to be made anew. */
static int file_recover(struct cachefiles *t, struct cachefiles_layer *cl, struct err *err)
{
	bool same_boot = false;
	uint64_t len;
	int rc;

	rc = fill_state_load(cl->statefd, cl->map->nsegments, cl->written, &same_boot, err);
	if (rc <= 0)
		return rc == 0 ? -ESTALE : rc;
	rc = cachefiles_seed_open(t->dirfd, &cl->path, cl->map->blob_size, &cl->fd, err);
	if (rc < 0)
		return rc == -ENOENT ? -ESTALE : rc;
	for (uint32_t i = 0; i < cl->map->nsegments; i++) {
		len = data_prefix(cl->fd, &cl->map->segments[i]);
		if (same_boot || len < cl->written[i])
			cl->written[i] = len;
	}
	if (!same_boot && untrusted_punch(cl) < 0) {
		close(TAKE_FD(cl->fd));
		return -ESTALE;
	}
	return 0;
}

static int record_open(struct cachefiles *t, struct cachefiles_layer *cl, struct err *err)
{
	if (mkdirat(t->statefd, cl->key, 0700) && errno != EEXIST)
		return err_sys(err, errno, "cannot make state/%s", cl->key);
	cl->statefd = openat(t->statefd, cl->key, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return cl->statefd < 0 ? err_sys(err, errno, "cannot open state/%s", cl->key) : 0;
}

static int file_open(struct cachefiles *t, struct cachefiles_layer *cl, struct err *err)
{
	struct err why = ERR_INIT;
	int recovered = file_recover(t, cl, &why), rc;

	if (recovered == -ESTALE && why.text[0])
		log_warning("layer %s: %s: starting with nothing", cl->key, why.text);
	if (recovered == -ESTALE)
		memset(cl->written, 0, cl->map->nsegments * sizeof(*cl->written));
	else if (recovered < 0)
		return err_set(err, why.kind, why.num, "%s", why.text);
	/* First the record, then the file: a file without one is never trusted. */
	rc = fill_state_save(cl->statefd, cl->map->nsegments, cl->written, err);
	if (rc < 0 || recovered == 0)
		return rc;
	return cachefiles_seed_create(t->dirfd, &cl->path, cl->map->blob_size, &cl->fd, err);
}

/* Without seeding nothing is recorded, so nothing that an earlier run left is trusted. */
static int file_discard(struct cachefiles *t, struct cachefiles_layer *cl, struct err *err)
{
	if ((unlinkat(cl->statefd, FILL_STATE_NAME, 0) && errno != ENOENT) ||
	    (unlinkat(t->dirfd, cl->path.object, 0) && errno != ENOENT))
		return err_sys(err, errno, "layer %s: cannot discard old data", cl->key);
	return 0;
}

static void layer_free_data(struct cachefiles_layer *cl)
{
	if (cl->fd >= 0)
		close(cl->fd);
	if (cl->statefd >= 0)
		close(cl->statefd);
	if (cl->object)
		cachefiles_object_unref(cl->object);
	pthread_mutex_destroy(&cl->lock);
	free(cl->written);
	free(cl);
}

static struct cachefiles_layer *layer_data_new(struct cachefiles *t, struct layer *l,
					       struct err *err)
{
	struct cachefiles_layer *cl = calloc(1, sizeof(*cl));

	if (!cl) {
		err_sys(err, ENOMEM, "layer %s", l->blob_id);
		return NULL;
	}
	pthread_mutex_init(&cl->lock, NULL);
	list_init(&cl->link);
	cl->fd = cl->statefd = -1;
	cl->map = l->map;
	snprintf(cl->key, sizeof(cl->key), "%s", l->blob_id);
	cl->written = calloc(l->map->nsegments + 1, sizeof(*cl->written));
	if (!cl->written || cachefiles_path_make(t->volume_key, cl->key, &cl->path) < 0) {
		err_set(err, ERR_BUG, EINVAL, "layer %s has no place in the cache", l->blob_id);
		layer_free_data(cl);
		return NULL;
	}
	return cl;
}

int cachefiles_layer_open(struct transport *base, struct layer *l, struct err *err)
{
	struct cachefiles *t = container_of(base, struct cachefiles, base);
	struct cachefiles_layer *cl = layer_data_new(t, l, err);
	struct cachefiles_object *object;
	int rc = 0;

	if (!cl)
		return -ENOMEM;
	if (l->map->blob_size > 0)
		rc = record_open(t, cl, err);
	if (rc == 0 && l->map->blob_size > 0)
		rc = t->seeding ? file_open(t, cl, err) : file_discard(t, cl, err);
	if (rc < 0) {
		layer_free_data(cl);
		return rc;
	}
	l->present_bytes = 0;
	for (uint32_t i = 0; i < l->map->nsegments; i++) {
		l->segments[i].len = cl->written[i];
		l->present_bytes += cl->written[i];
	}
	l->transport_data = cl;
	WITH_LOCK(&t->lock);
	list_for_each(object, &t->objects, link)
		if (strcmp(object->key, cl->key) == 0)
			cl->object = cachefiles_object_ref(object);
	list_add_tail(&t->layers, &cl->link);
	return 0;
}

void cachefiles_layer_close(struct transport *base, struct layer *l)
{
	struct cachefiles *t = container_of(base, struct cachefiles, base);
	struct cachefiles_layer *cl = l->transport_data;
	struct err err = ERR_INIT;

	if (!cl)
		return;
	if (cachefiles_layer_sync(base, l, &err) < 0)
		log_warning("layer %s: %s", l->blob_id, err.text);
	pthread_mutex_lock(&t->lock);
	list_del(&cl->link);
	pthread_mutex_unlock(&t->lock);
	l->transport_data = NULL;
	layer_free_data(cl);
}

static struct cachefiles_object *object_get(struct cachefiles *t, struct cachefiles_layer *cl)
{
	WITH_LOCK(&t->lock);
	if (!cl->object || atomic_load(&cl->object->closed))
		return NULL;
	return cachefiles_object_ref(cl->object);
}

/*
 * A descriptor of our own for the file that has the layer's name now: the kernel replaces
 * the file when it did not adopt ours. -1 when there is none.
 */
static int path_fd_get(struct cachefiles *t, struct cachefiles_layer *cl)
{
	struct stat st;

	WITH_LOCK(&cl->lock);
	if (cl->fd < 0)
		return -1;
	if (fstat(cl->fd, &st) == 0 && st.st_nlink == 0) {
		close(TAKE_FD(cl->fd));
		if (cachefiles_seed_open(t->dirfd, &cl->path, cl->map->blob_size, &cl->fd,
					 NULL) < 0)
			return -1;
	}
	return fcntl(cl->fd, F_DUPFD_CLOEXEC, 3);
}

/* The kernel refuses to cache below bstop; so do we when we write past it. */
static bool space_is_short(struct cachefiles *t, uint64_t len)
{
	struct statvfs fs;
	uint64_t keep;

	if (fstatvfs(t->dirfd, &fs))
		return false;
	keep = (uint64_t)fs.f_blocks / 100 * t->bstop + len / fs.f_frsize + 1;
	return fs.f_bavail <= keep;
}

static int path_write(struct cachefiles *t, struct cachefiles_layer *cl, const uint8_t *data,
		      uint64_t len, uint64_t dst)
{
	cleanup_close int fd = path_fd_get(t, cl);

	if (fd < 0)
		return -ENOTCONN;
	if (space_is_short(t, len))
		return -ENOSPC;
	return cachefiles_write(fd, data, len, dst);
}

/*
 * ENOBUFS from the kernel has three meanings: no space (bstop), the object is being opened
 * and has no file yet, or it has been withdrawn.
 */
static int blob_write(struct cachefiles *t, struct cachefiles_layer *cl, const uint8_t *data,
		      uint64_t len, uint64_t dst)
{
	struct cachefiles_object *object = object_get(t, cl);
	int rc = -ENOBUFS;

	for (int try = 0; object && rc == -ENOBUFS && try < NOT_READY_TRIES; try++) {
		if (try > 0)
			usleep(NOT_READY_US);
		rc = cachefiles_write(object->fd, data, len, dst);
		if (rc == -ENOBUFS && (space_is_short(t, len) || t->seeding ||
				       atomic_load(&object->closed)))
			break;
	}
	if (object)
		cachefiles_object_unref(object);
	if (rc != -ENOBUFS)
		return rc;
	return space_is_short(t, len) ? -ENOSPC : path_write(t, cl, data, len, dst);
}

int cachefiles_segment_write(struct transport *base, struct layer *l, uint32_t segment,
			     uint64_t off, const uint8_t *data, uint64_t len, struct err *err)
{
	struct cachefiles *t = container_of(base, struct cachefiles, base);
	struct cachefiles_layer *cl = l->transport_data;
	const struct map_segment *seg = &cl->map->segments[segment];
	int rc;

	if (segment >= cl->map->nsegments || off > seg->size || len > seg->size - off ||
	    off % MAP_BLOCK_BYTES || len % MAP_BLOCK_BYTES)
		return err_set(err, ERR_BUG, EINVAL,
			       "layer %s: write of %llu at %llu outside segment %u", l->blob_id,
			       (unsigned long long)len, (unsigned long long)off, segment);
	rc = blob_write(t, cl, data, len, seg->blob_off + off);
	if (rc == -ENOTCONN)
		return err_set(err, ERR_SYSTEM, ENOTCONN,
			       "layer %s cannot be filled before it is mounted: this kernel does "
			       "not adopt files made beforehand", l->blob_id);
	if (rc < 0)
		return err_sys(err, -rc, "layer %s: write of %llu bytes at %llu", l->blob_id,
			       (unsigned long long)len,
			       (unsigned long long)(seg->blob_off + off));
	WITH_LOCK(&cl->lock);
	cl->written[segment] = off + len;
	return 0;
}

int cachefiles_layer_sync(struct transport *base, struct layer *l, struct err *err)
{
	struct cachefiles *t = container_of(base, struct cachefiles, base);
	struct cachefiles_layer *cl = l->transport_data;
	cleanup_close int fd = path_fd_get(t, cl);
	cleanup_free uint64_t *lens = NULL;
	size_t bytes = cl->map->nsegments * sizeof(*lens);
	uint64_t len;

	if (fd < 0)
		return 0;
	lens = malloc(bytes + 1);
	if (!lens)
		return err_sys(err, ENOMEM, "layer %s", l->blob_id);
	pthread_mutex_lock(&cl->lock);
	memcpy(lens, cl->written, bytes);
	pthread_mutex_unlock(&cl->lock);
	if (fdatasync(fd))
		return err_sys(err, errno, "layer %s: fdatasync", l->blob_id);
	/* A kernel that did not adopt this file wrote elsewhere: record only what is here. */
	for (uint32_t i = 0; i < cl->map->nsegments; i++) {
		len = data_prefix(fd, &cl->map->segments[i]);
		if (len < lens[i])
			lens[i] = len;
	}
	return fill_state_save(cl->statefd, cl->map->nsegments, lens, err);
}

static void segment_cut(struct layer *l, uint32_t i, uint64_t len)
{
	struct cachefiles_layer *cl = l->transport_data;
	struct segment *s = &l->segments[i];

	l->present_bytes -= s->len - len;
	s->len = len;
	free(TAKE_PTR(s->carry));
	s->carry_len = 0;
	s->complete_told = false;
	WITH_LOCK(&cl->lock);
	cl->written[i] = len;
}

void cachefiles_layer_recheck(struct cachefiles *t, struct layer *l,
			      struct cachefiles_object *object, uint64_t off, uint64_t len)
{
	uint32_t i = layer_map_segment_find(l->map, off);

	for (; i < l->map->nsegments && l->map->segments[i].blob_off < off + len; i++) {
		const struct map_segment *seg = &l->map->segments[i];
		uint64_t end = seg->blob_off + l->segments[i].len;
		uint64_t from = off > seg->blob_off ? off : seg->blob_off;
		off_t hole;

		if (end > off + len)
			end = off + len;
		if (from >= end || l->segments[i].job)
			continue;
		hole = lseek(object->fd, (off_t)from, SEEK_HOLE);
		if (hole < 0 || (uint64_t)hole >= end)
			continue;
		t->stats.lost_blocks += (end - (uint64_t)hole + MAP_BLOCK_BYTES - 1) /
					MAP_BLOCK_BYTES;
		log_warning("layer %s: the kernel's file has a hole at %lld, where data was "
			    "written: fetching it again", l->blob_id, (long long)hole);
		segment_cut(l, i, ((uint64_t)hole & ~(uint64_t)(MAP_BLOCK_BYTES - 1)) -
					  seg->blob_off);
	}
}
