/* SPDX-License-Identifier: GPL-2.0-or-later */
/* output.c - see output.h. */
#include "mkfs/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define OUTPUT_MODE 0644

static bool is_descriptor(const char *path)
{
	return strncmp(path, "/dev/fd/", 8) == 0 || strncmp(path, "/proc/self/fd/", 14) == 0 ||
	       strcmp(path, "/dev/stdout") == 0;
}

static int check_regular(const struct output *o, struct err *err)
{
	struct stat st;

	if (fstat(o->fd, &st) < 0)
		return err_sys(err, errno, "%s", o->path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_SYSTEM, EINVAL, "%s: not a regular file", o->path);
	return 0;
}

/* mkostemp() makes it 0600: give it the mode that open() would have. */
static void set_mode(int fd)
{
	mode_t mask = umask(0);

	umask(mask);
	(void)fchmod(fd, OUTPUT_MODE & ~mask);
}

int output_open(struct output *o, const char *path, struct err *err)
{
	struct stat st;

	*o = (struct output){ .path = path, .fd = -1 };
	if (is_descriptor(path)) {
		o->fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
		return o->fd < 0 ? err_sys(err, errno, "%s", path) : check_regular(o, err);
	}
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(err, ERR_SYSTEM, EINVAL, "%s: not a regular file", path);
	if (asprintf(&o->tmp, "%s.tmpXXXXXX", path) < 0) {
		o->tmp = NULL;
		return err_sys(err, ENOMEM, "%s", path);
	}
	o->fd = mkostemp(o->tmp, O_CLOEXEC);
	if (o->fd < 0) {
		int r = err_sys(err, errno, "%s", path);

		free(o->tmp);
		o->tmp = NULL;
		return r;
	}
	set_mode(o->fd);
	return 0;
}

static int sync_parent(const char *path)
{
	cleanup_free char *dir = strdup(path);
	cleanup_close int fd = -1;
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!dir)
		return -ENOMEM;
	if (slash)
		slash[slash == dir] = '\0';
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int output_commit(struct output *o, struct err *err)
{
	int r;

	if (o->fd < 0)
		return 0;
	if (o->tmp && rename(o->tmp, o->path) < 0)
		return err_sys(err, errno, "%s", o->path);
	r = o->tmp ? sync_parent(o->path) : 0;
	free(o->tmp);
	o->tmp = NULL;
	close(o->fd);
	o->fd = -1;
	return r < 0 ? err_sys(err, -r, "%s: its directory", o->path) : 0;
}

void output_abort(struct output *o)
{
	if (o->fd < 0)
		return;
	if (o->tmp)
		unlink(o->tmp);
	else if (ftruncate(o->fd, 0) < 0)
		fprintf(stderr, "mkfs.lazyerofs: %s: cannot be emptied\n", o->path);
	free(o->tmp);
	o->tmp = NULL;
	close(o->fd);
	o->fd = -1;
}
