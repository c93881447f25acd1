/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cachefiles_dev.c - the device descriptor: adopted from the guardian, or bound anew.
 *
 * There is one open of /dev/cachefiles in the whole system, and it frees itself only when
 * the device and every anonymous descriptor are closed. Main thread, before the loop runs.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/kernel/cachefiles_priv.h"
#include "daemon/log.h"

#define DEVICE "/dev/cachefiles"
#define BUSY_TRIES 40			/* of 50 ms: the guardian lets go of a dead one */
#define BUSY_US 50000

/* A live cache of an earlier daemon's: 1 when adopted, 0 when there is none to adopt. */
static int device_adopt(struct cachefiles *t)
{
	struct err err = ERR_INIT;
	cleanup_close int fd = -1;
	int rc;

	if (!t->guardian)
		return 0;
	fd = guardian_get(t->guardian, CACHEFILES_GUARDIAN_NAME, &err);
	if (fd < 0)
		return 0;
	rc = cachefiles_command(fd, "restore");
	if (rc == 0) {
		t->devfd = TAKE_FD(fd);
		t->adopted = true;
		return 1;
	}
	log_warning("cachefiles: the cache left by the last daemon cannot be taken over (%s): "
		    "binding anew, what is mounted must be unmounted", strerror(-rc));
	guardian_drop(t->guardian, CACHEFILES_GUARDIAN_NAME, &err);
	return 0;
}

static int device_open_fresh(struct cachefiles *t, struct err *err)
{
	for (int try = 0; try < BUSY_TRIES; try++) {
		t->devfd = open(DEVICE, O_RDWR | O_CLOEXEC);
		if (t->devfd >= 0)
			return 0;
		if (errno != EBUSY)
			break;
		usleep(BUSY_US);
	}
	if (errno == EBUSY)
		return err_set(err, ERR_SYSTEM, EBUSY,
			       DEVICE " is in use: stop cachefilesd, or the process that still "
			       "holds a descriptor of an old daemon's");
	if (errno == ENOENT || errno == ENXIO || errno == ENODEV)
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "no " DEVICE ": this kernel has no cachefiles (modprobe cachefiles, "
			       "or use the fanotify path)");
	return err_sys(err, errno, "cannot open " DEVICE);
}

static unsigned percent(unsigned value, unsigned preset)
{
	return value ? value : preset;
}

/*
 * The kernel checks each limit against the two others as they stand, so go by way of
 * values that any three can be set from.
 */
static int limits_set(int fd, char what, unsigned run, unsigned cull, unsigned stop)
{
	int rc = cachefiles_command(fd, "%crun 99%%", what);

	if (rc == 0)
		rc = cachefiles_command(fd, "%ccull 98%%", what);
	if (rc == 0)
		rc = cachefiles_command(fd, "%cstop %u%%", what, stop);
	if (rc == 0)
		rc = cachefiles_command(fd, "%ccull %u%%", what, cull);
	if (rc == 0)
		rc = cachefiles_command(fd, "%crun %u%%", what, run);
	return rc;
}

static int cache_bind(struct cachefiles *t, const struct cachefiles_opts *o, struct err *err)
{
	int rc;

	rc = limits_set(t->devfd, 'b', percent(o->brun, 7), percent(o->bcull, 5), t->bstop);
	if (rc == 0)
		rc = limits_set(t->devfd, 'f', percent(o->frun, 7), percent(o->fcull, 5),
				percent(o->fstop, 1));
	if (rc < 0)
		return err_sys(err, -rc, "cachefiles refuses the limits (run > cull > stop, "
			       "in percent)");
	rc = cachefiles_command(t->devfd, "dir %s", t->dir);
	if (rc == 0)
		rc = cachefiles_command(t->devfd, "tag %s", o->tag ? o->tag : "lazyerofs");
	if (rc < 0)
		return err_sys(err, -rc, "cachefiles refuses the directory %s", t->dir);
	rc = cachefiles_command(t->devfd, "bind ondemand");
	if (rc == -EINVAL)
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "this kernel's cachefiles has no on-demand mode "
			       "(CONFIG_CACHEFILES_ONDEMAND)");
	if (rc == -EOPNOTSUPP)
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "cachefiles cannot use the file system of %s: put the cache on "
			       "ext4, xfs or btrfs", t->dir);
	return rc < 0 ? err_sys(err, -rc, "cachefiles cannot bind %s", t->dir) : 0;
}

int cachefiles_directories_open(struct cachefiles *t, struct err *err)
{
	int rc = io_mkdir_p(t->dir, 0700);

	if (rc < 0)
		return err_sys(err, -rc, "cannot make %s", t->dir);
	t->dirfd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dirfd < 0 || (mkdirat(t->dirfd, "state", 0700) && errno != EEXIST))
		return err_sys(err, errno, "cannot use %s", t->dir);
	t->statefd = openat(t->dirfd, "state", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t->statefd < 0 ? err_sys(err, errno, "cannot use %s/state", t->dir) : 0;
}

int cachefiles_device_open(struct cachefiles *t, const struct cachefiles_opts *opts,
			   struct err *err)
{
	unsigned stale;
	int rc = cachefiles_directories_open(t, err);

	if (rc < 0 || device_adopt(t) == 1)
		return rc;
	rc = device_open_fresh(t, err);
	if (rc == 0)
		rc = cache_bind(t, opts, err);
	if (rc < 0)
		return rc;
	stale = cachefiles_mounts_count(t->domain);
	if (stale > 0)
		log_warning("cachefiles: %u mounts of an earlier daemon answer EIO until they are "
			    "unmounted", stale);
	return 0;
}
