/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spool.c - see spool.h. */
#include "daemon/fill/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

/* O_TMPFILE; where the file system has none (overlayfs before 6.3), a name for a moment. */
static int nameless_file(int dirfd, const struct spool *s)
{
	int fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char name[64];

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	snprintf(name, sizeof(name), ".spool.%d.%p", getpid(), (const void *)s);
	fd = openat(dirfd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		unlinkat(dirfd, name, 0);
	return fd;
}

int spool_init(struct spool *s, struct budget *b, uint64_t size, uint64_t memory_bytes,
	       int dirfd, struct err *err)
{
	*s = (struct spool){ .budget = b, .size = size, .fd = -1 };
	if (size <= memory_bytes && budget_take(b, size)) {
		s->memory = malloc(size ? size : 1);
		if (s->memory)
			return 0;
		budget_give(b, size);
	}
	s->fd = nameless_file(dirfd, s);
	if (s->fd < 0)
		return err_sys(err, errno, "cannot create a spool file for a span of %llu bytes",
			       (unsigned long long)size);
	return 0;
}

void spool_done(struct spool *s)
{
	if (s->memory) {
		free(s->memory);
		budget_give(s->budget, s->size);
		s->memory = NULL;
	}
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

int spool_write(struct spool *s, const uint8_t *data, uint64_t len, struct err *err)
{
	int r;

	if (len > s->size - s->written)
		return err_set(err, ERR_BUG, EIO, "spool: more bytes than the span has");
	if (s->memory) {
		memcpy(s->memory + s->written, data, len);
	} else {
		r = io_pwrite_full(s->fd, data, len, s->written);
		if (r < 0)
			return err_sys(err, -r, "cannot write the spool file");
	}
	s->written += len;
	return 0;
}

int spool_read(struct spool *s, uint8_t *buf, size_t max, const uint8_t **ret_data,
	       size_t *ret_len, struct err *err)
{
	uint64_t left = s->written - s->read_pos;
	size_t n = left < max ? (size_t)left : max;
	int r;

	if (s->memory) {
		*ret_data = s->memory + s->read_pos;
	} else {
		r = io_pread_full(s->fd, buf, n, s->read_pos);
		if (r < 0)
			return err_sys(err, -r, "cannot read the spool file");
		*ret_data = buf;
	}
	s->read_pos += n;
	*ret_len = n;
	return 0;
}
