/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fanotify_image.c - images of the fanotify path: checking the bootstrap and mounting.
 * Pool threads; see transport.h.
 *
 * The bootstrap is opened by its own path, not through the marked bind mount: from
 * Linux 7.1 every metadata access of a marked one would raise an event. The mount's source
 * in /proc/self/mountinfo is that path, which names the image.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/fill/layer.h"
#include "daemon/kernel/fanotify_int.h"
#include "daemon/kernel/fanotify_mount.h"

#define DEVICES_MAX 65535u

int fan_image_prepare(struct transport *t, const struct image_spec *spec, struct err *err)
{
	uint64_t devices = 0;
	struct statfs fs;
	struct stat st;

	(void)t;
	for (uint32_t i = 0; i < spec->nlayers; i++)
		devices += spec->layers[i]->map->nsegments;
	if (devices > DEVICES_MAX)
		return err_set(err, ERR_UNSUPPORTED, EFBIG,
			       "image %.12s has %" PRIu64 " segments; EROFS allows %u devices",
			       spec->image_id, devices, DEVICES_MAX);
	if (stat(spec->bootstrap_path, &st) < 0 || statfs(spec->bootstrap_path, &fs) < 0)
		return err_sys(err, errno, "bootstrap %s", spec->bootstrap_path);
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return err_set(err, ERR_CORRUPT, EINVAL, "bootstrap %s is no image",
			       spec->bootstrap_path);
	if (fs.f_type == TMPFS_MAGIC)
		return err_set(err, ERR_UNSUPPORTED, EINVAL,
			       "bootstrap %s is on tmpfs, which EROFS cannot mount from",
			       spec->bootstrap_path);
	return 0;
}

void fan_image_forget(struct transport *t, const char *image_id)
{
	/* The kernel's side ends with the mount; there is nothing else. */
	(void)t;
	(void)image_id;
}

/* Marks of complete files do not pin their inodes, so they may have been lost. */
static int layer_ignore_complete(struct fan *f, const struct layer *l, struct err *err)
{
	const struct fan_layer *fl = l->transport_data;
	char name[16];

	for (uint32_t i = 0; i < l->map->nsegments; i++) {
		int r;

		if (__atomic_load_n(&l->segments[i].len, __ATOMIC_ACQUIRE) !=
		    l->map->segments[i].size)
			continue;
		snprintf(name, sizeof(name), "%05" PRIu32, i);
		r = fan_ignore(f, fl->seg_dirfd, name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int layer_devices(struct fan *f, const struct layer *l, int fs_fd, struct err *err)
{
	char path[4300];

	for (uint32_t i = 0; i < l->map->nsegments; i++) {
		int r;

		snprintf(path, sizeof(path), "%s/layers/%s/seg/%05" PRIu32,
			 f->shards[i % f->nshards].bind, l->blob_id, i);
		r = fan_erofs_device(fs_fd, path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int fan_image_mount(struct transport *t, const struct image_spec *spec, const char *target,
		    struct err *err)
{
	struct fan *f = fan_of(t);
	cleanup_close int fs_fd = fan_erofs_begin(spec->bootstrap_path, err);
	int r;

	if (fs_fd < 0)
		return fs_fd;
	for (uint32_t i = 0; i < spec->nlayers; i++) {
		const struct layer *l = spec->layers[i];

		if (l->map->nsegments == 0)
			continue;
		if (!l->transport_data)
			return err_set(err, ERR_BUG, EINVAL, "layer %.12s is not open",
				       l->blob_id);
		r = layer_ignore_complete(f, l, err);
		if (r == 0)
			r = layer_devices(f, l, fs_fd, err);
		if (r < 0)
			return r;
	}
	return fan_erofs_attach(fs_fd, target, err);
}
