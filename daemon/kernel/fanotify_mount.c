/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fanotify_mount.c - see fanotify_mount.h. Man pages: fsopen(2), open_tree(2),
 * mount_setattr(2). Kernel side: fs/erofs/super.c.
 */
#include "daemon/kernel/fanotify_mount.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

/* fsconfig(2) refuses longer strings (fs/fsopen.c: strndup_user(_value, 256)). */
#define FSCONFIG_STRING_MAX 255

/* Is path the root of a mount? */
static int path_is_mount_root(const char *path, bool *ret)
{
	struct statx sx;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS,
		  &sx) < 0)
		return -errno;
	*ret = sx.stx_attributes & STATX_ATTR_MOUNT_ROOT;
	return 0;
}

static int bind_new(const char *dir, const char *at, struct err *err)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			    MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOATIME,
		.attr_clr = MOUNT_ATTR__ATIME,
		.propagation = MS_PRIVATE,
	};
	cleanup_close int tree = open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0)
		return err_sys(err, errno, "cannot make a bind mount of %s", dir);
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_sys(err, errno, "cannot set attributes of the bind mount of %s", dir);
	if (move_mount(tree, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, errno, "cannot attach the bind mount of %s to %s", dir, at);
	return 0;
}

int fan_bind_ensure(const char *dir, const char *at, struct err *err)
{
	struct stat want, have;
	bool mounted;
	int r;

	r = io_mkdir_p(at, 0700);
	if (r < 0)
		return err_sys(err, -r, "cannot create %s", at);
	if (stat(dir, &want) < 0)
		return err_sys(err, errno, "cannot stat %s", dir);
	/* More than one may lie there, the wanted one below: look under each. */
	for (;;) {
		r = path_is_mount_root(at, &mounted);
		if (r < 0)
			return err_sys(err, -r, "cannot stat %s", at);
		if (!mounted)
			return bind_new(dir, at, err);
		if (stat(at, &have) < 0)
			return err_sys(err, errno, "cannot stat %s", at);
		if (have.st_dev == want.st_dev && have.st_ino == want.st_ino)
			return 0;
		if (umount2(at, MNT_DETACH) < 0)
			return err_sys(err, errno, "cannot detach the old mount on %s", at);
	}
}

bool fan_bind_release(const char *at)
{
	bool mounted;
	int r = path_is_mount_root(at, &mounted);

	if (r < 0)
		return r == -ENOENT;
	/* The device files of an EROFS mount hold it: EBUSY. */
	if (mounted && umount2(at, UMOUNT_NOFOLLOW) < 0)
		return false;
	rmdir(at);
	return true;
}

/* The file system context keeps a log of complaints: "e erofs: text". Append the first. */
static int fs_error(int fs_fd, int num, struct err *err, const char *what, const char *arg)
{
	char line[256];
	ssize_t n = read(fs_fd, line, sizeof(line) - 1);

	if (n <= 0)
		return err_sys(err, num, "%s %s", what, arg);
	line[n] = 0;
	line[strcspn(line, "\n")] = 0;
	return err_sys(err, num, "%s %s (kernel: %s)", what, arg, line);
}

static int fs_set_string(int fs_fd, const char *key, const char *value, struct err *err)
{
	if (strlen(value) > FSCONFIG_STRING_MAX)
		return err_set(err, ERR_SYSTEM, ENAMETOOLONG,
			       "path too long for the kernel's mount interface (%d bytes at "
			       "most): %s", FSCONFIG_STRING_MAX, value);
	if (fsconfig(fs_fd, FSCONFIG_SET_STRING, key, value, 0) < 0)
		return fs_error(fs_fd, errno, err, "EROFS refused", value);
	return 0;
}

int fan_erofs_begin(const char *source, struct err *err)
{
	cleanup_close int fs_fd = fsopen("erofs", FSOPEN_CLOEXEC);
	int r;

	if (fs_fd < 0 && errno == ENODEV)
		return err_set(err, ERR_UNSUPPORTED, ENODEV,
			       "this kernel has no EROFS (CONFIG_EROFS_FS; modprobe erofs)");
	if (fs_fd < 0)
		return err_sys(err, errno, "fsopen(erofs)");
	r = fs_set_string(fs_fd, "source", source, err);
	if (r < 0)
		return r;
	return TAKE_FD(fs_fd);
}

int fan_erofs_device(int fs_fd, const char *path, struct err *err)
{
	return fs_set_string(fs_fd, "device", path, err);
}

int fan_erofs_attach(int fs_fd, const char *target, struct err *err)
{
	cleanup_close int mnt = -1;

	if (fsconfig(fs_fd, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
		return fs_error(fs_fd, errno, err, "cannot mount read-only on", target);
	if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
		if (errno == ENOTBLK)
			return err_set(err, ERR_UNSUPPORTED, ENOTBLK,
				       "this kernel cannot mount EROFS from plain files "
				       "(CONFIG_EROFS_FS_BACKED_BY_FILE, Linux 6.12)");
		return fs_error(fs_fd, errno, err, "EROFS cannot be mounted on", target);
	}
	mnt = fsmount(fs_fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
	if (mnt < 0)
		return fs_error(fs_fd, errno, err, "fsmount for", target);
	if (move_mount(mnt, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, errno, "cannot attach the mount to %s", target);
	return 0;
}
