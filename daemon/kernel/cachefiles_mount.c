/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cachefiles_mount.c - bootstraps as cache objects, and mounts of them.
 *
 * An image is one EROFS superblock: fsid = image ID within our domain. The kernel refuses a
 * second one (EEXIST, or EBUSY while the first is going away), so a second target is a bind
 * mount of the first.
 *
 * Worker threads.
 */
#include <fcntl.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/kernel/cachefiles_priv.h"
#include "daemon/kernel/cachefiles_seed.h"

static int image_open(const struct image_spec *spec, struct cachefiles_image **ret,
		      struct err *err)
{
	struct cachefiles_image *image;
	cleanup_close int fd = open(spec->bootstrap_path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return err_sys(err, errno, "cannot open the bootstrap %s", spec->bootstrap_path);
	if (!S_ISREG(st.st_mode) || st.st_size <= 0)
		return err_set(err, ERR_CORRUPT, EINVAL, "the bootstrap %s is empty",
			       spec->bootstrap_path);
	if (strlen(spec->image_id) >= sizeof(image->id))
		return err_set(err, ERR_BUG, EINVAL, "image ID %s is too long", spec->image_id);
	image = calloc(1, sizeof(*image));
	if (!image)
		return err_sys(err, ENOMEM, "image %s", spec->image_id);
	list_init(&image->link);
	atomic_init(&image->refs, 1);
	snprintf(image->id, sizeof(image->id), "%s", spec->image_id);
	image->size = (uint64_t)st.st_size;
	image->fd = TAKE_FD(fd);
	*ret = image;
	return 0;
}

void cachefiles_image_unref(struct cachefiles_image *image)
{
	if (atomic_fetch_sub(&image->refs, 1) != 1)
		return;
	close(image->fd);
	free(image);
}

/* Under t->lock. */
static void image_remove(struct cachefiles *t, const char *id)
{
	struct cachefiles_image *image, *tmp;

	list_for_each_safe(image, tmp, &t->images, link)
		if (strcmp(image->id, id) == 0) {
			list_del(&image->link);
			cachefiles_image_unref(image);
		}
}

int cachefiles_image_prepare(struct transport *base, const struct image_spec *spec,
			     struct err *err)
{
	struct cachefiles *t = container_of(base, struct cachefiles, base);
	struct cachefiles_image *image = NULL;
	struct cachefiles_path path;
	int rc;

	if (cachefiles_path_make(t->volume_key, spec->image_id, &path) < 0)
		return err_set(err, ERR_BUG, EINVAL, "image ID %s is no cache key",
			       spec->image_id);
	rc = image_open(spec, &image, err);
	if (rc == 0 && t->seeding)
		rc = cachefiles_seed_copy(t->dirfd, &path, image->fd, image->size, err);
	else if (rc == 0)
		unlinkat(t->dirfd, path.object, 0);
	if (rc < 0) {
		if (image)
			cachefiles_image_unref(image);
		return rc;
	}
	WITH_LOCK(&t->lock);
	image_remove(t, spec->image_id);
	list_add_tail(&t->images, &image->link);
	return 0;
}

void cachefiles_image_forget(struct transport *base, const char *image_id)
{
	struct cachefiles *t = container_of(base, struct cachefiles, base);

	WITH_LOCK(&t->lock);
	image_remove(t, image_id);
}

static bool option_is(const struct mntent *mnt, const char *name, const char *value)
{
	const char *at = hasmntopt(mnt, name);
	size_t len = strlen(name), value_len = strlen(value);

	return at && at[len] == '=' && strncmp(at + len + 1, value, value_len) == 0 &&
	       (at[len + 1 + value_len] == '\0' || at[len + 1 + value_len] == ',');
}

/* Number of mounts of our domain (and of one image, unless NULL), and where one is. */
static unsigned mounts_walk(const char *domain, const char *image_id, char *ret_dir,
			    size_t size)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	char line[8192];
	struct mntent mnt;
	unsigned count = 0;

	if (!mounts)
		return 0;
	while (getmntent_r(mounts, &mnt, line, sizeof(line))) {
		if (strcmp(mnt.mnt_type, "erofs") != 0 || !option_is(&mnt, "domain_id", domain) ||
		    (image_id && !option_is(&mnt, "fsid", image_id)))
			continue;
		count++;
		if (ret_dir)
			snprintf(ret_dir, size, "%s", mnt.mnt_dir);
	}
	endmntent(mounts);
	return count;
}

unsigned cachefiles_mounts_count(const char *domain)
{
	return mounts_walk(domain, NULL, NULL, 0);
}

static int mount_again(struct cachefiles *t, const struct image_spec *spec,
		       const char *target, int num, struct err *err)
{
	char dir[4096];

	if (mounts_walk(t->domain, spec->image_id, dir, sizeof(dir)) == 0)
		return err_set(err, ERR_SYSTEM, num,
			       "image %s is mounted where this process cannot see it, or its "
			       "last mount is still going away", spec->image_id);
	if (mount(dir, target, NULL, MS_BIND, NULL))
		return err_sys(err, errno, "cannot mount %s on %s as well", dir, target);
	return 0;
}

int cachefiles_mount(struct transport *base, const struct image_spec *spec,
		     const char *target, struct err *err)
{
	struct cachefiles *t = container_of(base, struct cachefiles, base);
	char opts[2 * CACHEFILES_KEY_MAX + 32];

	snprintf(opts, sizeof(opts), "fsid=%s,domain_id=%s", spec->image_id, t->domain);
	if (mount("lazyerofs", target, "erofs", MS_RDONLY, opts) == 0)
		return 0;
	if (errno == EEXIST || errno == EBUSY)
		return mount_again(t, spec, target, errno, err);
	/* A failed OPEN shows as EIO or ENOBUFS at random: the number says little. */
	return err_sys(err, errno, "cannot mount image %s on %s (the kernel log says more)",
		       spec->image_id, target);
}
