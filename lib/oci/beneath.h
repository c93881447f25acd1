/* SPDX-License-Identifier: GPL-2.0-or-later */
/* beneath.h - openat2(2): a path below a directory, whatever symbolic links say. */
#ifndef LZ_OCI_BENEATH_H
#define LZ_OCI_BENEATH_H

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A descriptor (O_CLOEXEC) or -errno; -EXDEV if the path leads out of dir_fd. */
static inline int beneath_open(int dir_fd, const char *path, int flags, unsigned mode)
{
	struct open_how how = {
		.flags = (unsigned long long)(unsigned)flags | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

#endif
