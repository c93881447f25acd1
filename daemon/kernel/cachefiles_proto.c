/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cachefiles_proto.c - messages and commands of /dev/cachefiles; see the header. */
#include "daemon/kernel/cachefiles_proto.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#define DIO_ALIGN 4096u			/* 512 is enough for most disks, 4096 for all */
#define BOUNCE_BYTES (256u << 10)

static int open_parse(const uint8_t *data, size_t len, struct cachefiles_request *ret)
{
	struct cachefiles_open open;

	if (len < sizeof(open))
		return -EPROTO;
	memcpy(&open, data, sizeof(open));
	ret->fd = (int)open.fd;
	data += sizeof(open);
	len -= sizeof(open);
	if (open.volume_key_size == 0 || open.volume_key_size > len ||
	    open.cookie_key_size == 0 || open.cookie_key_size != len - open.volume_key_size ||
	    data[open.volume_key_size - 1] != '\0')
		return -EPROTO;
	ret->volume_key = (const char *)data;
	ret->volume_key_len = open.volume_key_size - 1;
	ret->cookie_key = (const char *)data + open.volume_key_size;
	ret->cookie_key_len = open.cookie_key_size;
	return 0;
}

static int read_parse(const uint8_t *data, size_t len, struct cachefiles_request *ret)
{
	struct cachefiles_read read;

	if (len != sizeof(read))
		return -EPROTO;
	memcpy(&read, data, sizeof(read));
	if (read.len == 0 || read.off > INT64_MAX || read.len > INT64_MAX - read.off)
		return -EPROTO;
	ret->off = read.off;
	ret->len = read.len;
	return 0;
}

int cachefiles_request_parse(const void *buf, size_t len, struct cachefiles_request *ret)
{
	struct cachefiles_msg msg;
	const uint8_t *data = (const uint8_t *)buf + sizeof(msg);

	*ret = (struct cachefiles_request){ .fd = -1 };
	if (len < sizeof(msg))
		return -EPROTO;
	memcpy(&msg, buf, sizeof(msg));
	if (msg.len != len)
		return -EPROTO;
	ret->msg_id = msg.msg_id;
	ret->object_id = msg.object_id;
	ret->opcode = msg.opcode;
	switch (msg.opcode) {
	case CACHEFILES_OP_OPEN:
		return open_parse(data, len - sizeof(msg), ret);
	case CACHEFILES_OP_READ:
		return read_parse(data, len - sizeof(msg), ret);
	case CACHEFILES_OP_CLOSE:
		return len == sizeof(msg) ? 0 : -EPROTO;
	default:
		return -EPROTO;
	}
}

int cachefiles_request_read(int devfd, void *buf, struct cachefiles_request *ret)
{
	ssize_t n;
	int rc;

	do {
		n = read(devfd, buf, CACHEFILES_MSG_MAX_SIZE);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return 0;
	rc = cachefiles_request_parse(buf, (size_t)n, ret);
	/* The kernel installs the descriptor without O_CLOEXEC. */
	if (ret->fd >= 0)
		fcntl(ret->fd, F_SETFD, FD_CLOEXEC);
	return rc < 0 ? rc : 1;
}

bool cachefiles_key_is(const struct cachefiles_request *req, const char *volume,
		       const char *cookie)
{
	return req->volume_key_len == strlen(volume) &&
	       memcmp(req->volume_key, volume, req->volume_key_len) == 0 &&
	       req->cookie_key_len == strlen(cookie) &&
	       memcmp(req->cookie_key, cookie, req->cookie_key_len) == 0;
}

int cachefiles_command(int devfd, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	ssize_t n;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(text))
		return -ENAMETOOLONG;
	do {
		n = write(devfd, text, (size_t)len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == len ? 0 : -EIO;
}

int cachefiles_copen(int devfd, uint32_t msg_id, int64_t size)
{
	return cachefiles_command(devfd, "copen %u,%lld", msg_id, (long long)size);
}

int cachefiles_read_complete(int fd, uint32_t msg_id)
{
	if (ioctl(fd, CACHEFILES_IOC_READ_COMPLETE, (unsigned long)msg_id) == 0)
		return 0;
	return errno == EINVAL ? 0 : -errno;
}

/* io_pwrite_full() goes on after a short write, which keeps the alignment only by blocks. */
static int write_aligned(int fd, const uint8_t *data, uint64_t len, uint64_t off)
{
	ssize_t n;

	while (len > 0) {
		n = pwrite(fd, data, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		n -= n % (ssize_t)IO_BLOCK_BYTES;
		if (n == 0)
			return -ENOSPC;
		data += n;
		len -= (uint64_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

int cachefiles_write(int fd, const uint8_t *data, uint64_t len, uint64_t off)
{
	cleanup_free void *bounce = NULL;
	uint64_t part;
	int rc;

	if (off % IO_BLOCK_BYTES || len % IO_BLOCK_BYTES)
		return -EINVAL;
	if ((uintptr_t)data % DIO_ALIGN == 0)
		return write_aligned(fd, data, len, off);
	if (posix_memalign(&bounce, DIO_ALIGN, BOUNCE_BYTES))
		return -ENOMEM;
	while (len > 0) {
		part = len < BOUNCE_BYTES ? len : BOUNCE_BYTES;
		memcpy(bounce, data, part);
		rc = write_aligned(fd, bounce, part, off);
		if (rc < 0)
			return rc;
		data += part;
		len -= part;
		off += part;
	}
	return 0;
}

struct version {
	unsigned major, minor, patch;
};

static bool version_parse(const char *text, struct version *ret)
{
	*ret = (struct version){ 0 };
	return sscanf(text, "%u.%u.%u", &ret->major, &ret->minor, &ret->patch) >= 2;
}

static bool version_is_before(struct version a, unsigned major, unsigned minor, unsigned patch)
{
	if (a.major != major)
		return a.major < major;
	if (a.minor != minor)
		return a.minor < minor;
	return a.patch < patch;
}

int cachefiles_kernel_check(const char *release, const char *version, struct err *err)
{
	struct version v, full;
	const char *debian = strstr(version, "Debian ");

	if (!version_parse(release, &v))
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "cannot read the kernel's version \"%s\"", release);
	/* Debian's release is the ABI name (6.1.0-49-amd64); the version names the patch. */
	if (debian && version_parse(debian + 7, &full) && full.major == v.major &&
	    full.minor == v.minor)
		v = full;
	if (!version_is_before(v, 7, 2, 0))
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "Linux %u.%u has no EROFS over cachefiles any more (removed in "
			       "7.2): use the fanotify path",
			       v.major, v.minor);
	if (!version_is_before(v, 6, 12, 2) ||
	    (v.major == 6 && v.minor == 6 && v.patch >= 78) ||
	    (v.major == 6 && v.minor == 1 && v.patch >= 129))
		return 0;
	return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
		       "Linux %u.%u.%u has known bugs in on-demand cachefiles (fixed in 6.1.129, "
		       "6.6.78 and 6.12.2)",
		       v.major, v.minor, v.patch);
}
