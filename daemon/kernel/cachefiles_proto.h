/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cachefiles_proto.h - the words of the kernel's on-demand protocol: messages checked,
 * commands spelled, kernels judged. No state, no blocking beyond the one system call.
 *
 * Follows include/uapi/linux/cachefiles.h (byte-identical 6.1 to 7.1) and
 * kernel-notes/cachefiles.md.
 */
#ifndef LZ_DAEMON_CACHEFILES_PROTO_H
#define LZ_DAEMON_CACHEFILES_PROTO_H

#include <linux/cachefiles.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* One message in native shape. Keys point into the buffer it was parsed from. */
struct cachefiles_request {
	uint32_t msg_id, object_id;
	enum cachefiles_opcode opcode;
	/* OPEN */
	int fd;
	const char *volume_key, *cookie_key;	/* the cookie key is NOT NUL-terminated */
	size_t volume_key_len, cookie_key_len;
	/* READ */
	uint64_t off, len;
};

/*
 * Read one message: 1 and *ret, 0 when none is pending, or -errno. The descriptor of an OPEN
 * is close-on-exec when this returns. buf must hold CACHEFILES_MSG_MAX_SIZE bytes.
 */
int cachefiles_request_read(int devfd, void *buf, struct cachefiles_request *ret);
/* -EPROTO for anything that does not fit its own lengths; *ret->fd is set when known. */
int cachefiles_request_parse(const void *buf, size_t len, struct cachefiles_request *ret);
bool cachefiles_key_is(const struct cachefiles_request *req, const char *volume,
		       const char *cookie);

/* One command ("dir /x", "bind ondemand", "restore") to the device; 0 or -errno. */
int cachefiles_command(int devfd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Answer an OPEN: size in bytes, or -errno. */
int cachefiles_copen(int devfd, uint32_t msg_id, int64_t size);
/* Answer a READ, with or without data; a request that is gone (EINVAL) is 0. */
int cachefiles_read_complete(int fd, uint32_t msg_id);
/*
 * Whole write to an anonymous descriptor or an O_DIRECT file; off and len are multiples of
 * 4 KiB, data may lie anywhere. 0 or -errno.
 */
int cachefiles_write(int fd, const uint8_t *data, uint64_t len, uint64_t off);

/*
 * Is this kernel (uname's release and version) one whose known bugs are fixed? Else
 * -EOPNOTSUPP, and the text says why.
 */
int cachefiles_kernel_check(const char *release, const char *version, struct err *err);

#endif
