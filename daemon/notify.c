/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * notify.c - see notify.h. Protocol: sd_notify(3), sd_listen_fds(3), and "File Descriptor
 * Store" on systemd.io.
 */
#include "daemon/notify.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_FDS_START 3
#define LISTEN_FDS_LIMIT 4096

static struct sockaddr_un notify_addr;
static socklen_t notify_addr_len;	/* 0: no systemd; written once, by notify_init() */
static uint32_t watchdog_ms;		/* likewise */

/* WATCHDOG_USEC counts for the process that WATCHDOG_PID names; sd_watchdog_enabled(3). */
static uint32_t watchdog_take(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long ms = 0;

	if (usec && (!pid || strtoull(pid, NULL, 10) == (unsigned long long)getpid()))
		ms = strtoull(usec, NULL, 10) / 1000;
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

void notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	notify_addr_len = 0;
	if (len >= 2 && (path[0] == '/' || path[0] == '@') &&
	    len < sizeof(notify_addr.sun_path)) {
		notify_addr.sun_family = AF_UNIX;
		memcpy(notify_addr.sun_path, path, len);
		if (path[0] == '@')
			notify_addr.sun_path[0] = 0;
		notify_addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	}
	unsetenv("NOTIFY_SOCKET");
	watchdog_ms = watchdog_take();
}

bool notify_is_active(void)
{
	return notify_addr_len > 0;
}

static int notify_send(const char *text, int pass_fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text) };
	struct msghdr msg = { .msg_name = &notify_addr, .msg_namelen = notify_addr_len,
			      .msg_iov = &iov, .msg_iovlen = 1 };
	cleanup_close int fd = -1;

	if (!notify_addr_len)
		return -ENOTCONN;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (pass_fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass_fd, sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Without systemd a message has no addressee, which is no failure. */
static int notify_tell(const char *text)
{
	int r = notify_send(text, -1);

	return r == -ENOTCONN ? 0 : r;
}

int notify_ready(void)
{
	return notify_tell("READY=1");
}

int notify_stopping(void)
{
	return notify_tell("STOPPING=1");
}

int notify_reloading(void)
{
	return notify_tell("RELOADING=1");
}

int notify_watchdog(void)
{
	return notify_tell("WATCHDOG=1");
}

uint32_t notify_watchdog_ms(void)
{
	return notify_addr_len ? watchdog_ms : 0;
}

int notify_status(const char *fmt, ...)
{
	char text[512] = "STATUS=";
	size_t at = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + at, sizeof(text) - at, fmt, ap);
	va_end(ap);
	/* A newline would begin a new assignment. */
	for (char *p = text + at; *p; p++)
		if (*p == '\n')
			*p = ' ';
	return notify_tell(text);
}

int notify_fd_store(const char *name, int fd)
{
	char text[128];

	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	return notify_send(text, fd);
}

int notify_fd_drop(const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	return notify_tell(text);
}

struct notify_fds {
	uint32_t n;
	struct {
		int fd;
		char name[64];
	} *fds;
};

/* "name1:name2:..." */
static void fds_set_names(struct notify_fds *f, const char *names)
{
	for (uint32_t i = 0; i < f->n && names; i++) {
		size_t len = strcspn(names, ":");

		if (len < sizeof(f->fds[i].name)) {
			memcpy(f->fds[i].name, names, len);
			f->fds[i].name[len] = 0;
		}
		names = names[len] ? names + len + 1 : NULL;
	}
}

static uint32_t fds_count(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	char *end;
	unsigned long v;

	if (!pid || !n)
		return 0;
	v = strtoul(pid, &end, 10);
	if (*end || v != (unsigned long)getpid())
		return 0;
	v = strtoul(n, &end, 10);
	return *end || v > LISTEN_FDS_LIMIT ? 0 : (uint32_t)v;
}

int notify_fds_take(struct notify_fds **ret, struct err *err)
{
	struct notify_fds *f cleanup_notify_fds = calloc(1, sizeof(*f));
	uint32_t n = fds_count();

	if (!f)
		return err_sys(err, ENOMEM, "descriptors from systemd");
	f->fds = n ? calloc(n, sizeof(*f->fds)) : NULL;
	if (n && !f->fds)
		return err_sys(err, ENOMEM, "descriptors from systemd");
	f->n = n;
	for (uint32_t i = 0; i < n; i++) {
		f->fds[i].fd = LISTEN_FDS_START + (int)i;
		if (fcntl(f->fds[i].fd, F_SETFD, FD_CLOEXEC) < 0)
			f->fds[i].fd = -1;
	}
	fds_set_names(f, getenv("LISTEN_FDNAMES"));
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	*ret = TAKE_PTR(f);
	return 0;
}

int notify_fds_get(struct notify_fds *f, const char *name)
{
	for (uint32_t i = 0; f && i < f->n; i++)
		if (f->fds[i].fd >= 0 && !strcmp(f->fds[i].name, name))
			return TAKE_FD(f->fds[i].fd);
	return -ENOENT;
}

bool notify_fds_has(const struct notify_fds *f, const char *name)
{
	for (uint32_t i = 0; f && i < f->n; i++)
		if (f->fds[i].fd >= 0 && !strcmp(f->fds[i].name, name))
			return true;
	return false;
}

void notify_fds_free(struct notify_fds *f)
{
	if (!f)
		return;
	for (uint32_t i = 0; i < f->n; i++)
		if (f->fds[i].fd >= 0)
			close(f->fds[i].fd);
	free(f->fds);
	free(f);
}
