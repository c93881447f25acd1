/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wire.c - see wire.h. Blocking unless the socket or flags say otherwise. */
#include "daemon/guardian/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	char buf[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int guardian_wire_send(int sock, const struct guardian_msg *m, int fd, int flags)
{
	union control control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)m, .iov_len = sizeof(*m) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL | flags);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/*
 * The descriptors that came along: the first, or -1; any others are closed. (Room for one
 * is room for two, by alignment.)
 */
static int fds_take(struct msghdr *msg, unsigned *ret_n)
{
	int first = -1, fd;

	*ret_n = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(fd) <= c->cmsg_len; at += sizeof(fd)) {
			memcpy(&fd, (const char *)c + at, sizeof(fd));
			if ((*ret_n)++ == 0)
				first = fd;
			else
				close(fd);
		}
	}
	return first;
}

int guardian_wire_recv(int sock, struct guardian_msg *ret, int *ret_fd)
{
	union control control = { 0 };
	struct iovec iov = { .iov_base = ret, .iov_len = sizeof(*ret) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	unsigned nfds;
	ssize_t n;
	int fd;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	fd = fds_take(&msg, &nfds);
	if (n != (ssize_t)sizeof(*ret) || nfds > 1 || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
	    ret->magic != GUARDIAN_MAGIC || !memchr(ret->name, 0, sizeof(ret->name))) {
		if (fd >= 0)
			close(fd);
		return n == 0 ? 0 : -EPROTO;
	}
	*ret_fd = fd;
	return 1;
}

int guardian_wire_peer_check(int sock)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	return cred.uid == 0 ? 0 : -EPERM;
}
