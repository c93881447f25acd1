/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fanotify_mount.h - the mount calls of the fanotify path: the private bind mount through
 * which EROFS opens the cache, and file-backed EROFS mounts made of a bootstrap and one
 * device file per segment. Any thread; blocking.
 *
 * mount(2) passes one page of options and mount(8) makes loop devices of regular files,
 * which bypass the events: hence fsopen(2) and fsconfig(2).
 */
#ifndef LZ_DAEMON_FANOTIFY_MOUNT_H
#define LZ_DAEMON_FANOTIFY_MOUNT_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Make `at` (created if missing) a private, read-only bind mount of dir. One of the same
 * directory that is already there stays: EROFS mounts of an earlier daemon read through
 * it. One of another directory is detached (its mounts keep it alive).
 */
int fan_bind_ensure(const char *dir, const char *at, struct err *err);
/*
 * Take the bind mount away if nothing is opened through it, in whichever mount namespace:
 * true when it is gone (or never was).
 */
bool fan_bind_release(const char *at);

/* A new EROFS context whose primary file is source: fd >= 0. */
int fan_erofs_begin(const char *source, struct err *err);
/* Append one device file; the order is that of the bootstrap's device table. */
int fan_erofs_device(int fs_fd, const char *path, struct err *err);
/* Create the file system and attach it, read-only, to the directory target. */
int fan_erofs_attach(int fs_fd, const char *target, struct err *err);

#endif
