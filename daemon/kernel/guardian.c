/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guardian.c - the daemon's side of the guardian; see guardian.h and guardian/proto.h.
 * One request at a time, one reply; the guardian answers at once or not at all.
 */
#include "daemon/kernel/guardian.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/guardian/wire.h"

#define REPLY_LIMIT_S 5
#define START_LIMIT_MS 3000
/* A killed predecessor's connection closes when its process has wound up. */
#define BUSY_LIMIT_MS 5000

struct guardian {
	int sock;
};

static int guardian_connect(const char *run_dir)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = REPLY_LIMIT_S };
	cleanup_close int sock = -1;
	int r;

	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" GUARDIAN_SOCKET, run_dir) >=
	    (int)sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0 ||
	    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	r = guardian_wire_peer_check(sock);
	return r < 0 ? r : TAKE_FD(sock);
}

_Noreturn static void guardian_exec(const char *run_dir, const char *program)
{
	char log[4096];
	int null, out;

	/* Twice: the guardian must not be our child, nor of our session. */
	if (setsid() < 0 || fork() != 0)
		_exit(0);
	snprintf(log, sizeof(log), "%s/guardian.log", run_dir);
	null = open("/dev/null", O_RDWR);
	out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    dup2(out < 0 ? null : out, 2) < 0)
		_exit(1);
	close_range(3, ~0U, 0);
	execl(program, "lazyerofs-guardian", run_dir, (char *)NULL);
	dprintf(2, "cannot run %s: %s\n", program, strerror(errno));
	_exit(1);
}

static int guardian_start(const char *run_dir, const char *program, struct err *err)
{
	uint64_t end = io_now_ms() + START_LIMIT_MS;
	pid_t pid;
	int sock;

	if (access(program, X_OK) < 0)
		return err_sys(err, errno, "guardian program %s", program);
	pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "cannot start the guardian: fork");
	if (pid == 0)
		guardian_exec(run_dir, program);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	for (;;) {
		sock = guardian_connect(run_dir);
		if (sock >= 0)
			return sock;
		if (io_now_ms() >= end)
			return err_sys(err, -sock, "the guardian does not come up (see "
				       "%s/guardian.log)", run_dir);
		usleep(10000);
	}
}

/* One request and its reply; ret_fd may be NULL where no descriptor is expected. */
static int guardian_ask(struct guardian *g, uint32_t op, const char *name, uint32_t value,
			int fd, int *ret_fd)
{
	struct guardian_msg m = { .magic = GUARDIAN_MAGIC, .op = op, .value = value };
	cleanup_close int got = -1;
	int r;

	if (name && snprintf(m.name, sizeof(m.name), "%s", name) >= (int)sizeof(m.name))
		return -EINVAL;
	r = guardian_wire_send(g->sock, &m, fd, 0);
	if (r < 0)
		return r;
	r = guardian_wire_recv(g->sock, &m, &got);
	if (r <= 0)
		return r < 0 ? r : -EPIPE;
	/* The name, too: a reply that came after its time limit must not pass for this one. */
	if (m.op != op || strcmp(m.name, name ? name : "") != 0 ||
	    (m.status == 0 && ret_fd && got < 0))
		return -EPROTO;
	if (m.status < 0)
		return m.status;
	if (ret_fd)
		*ret_fd = TAKE_FD(got);
	return 0;
}

static int guardian_hello(struct guardian *g, uint32_t grace_ms, struct err *err)
{
	uint64_t end = io_now_ms() + BUSY_LIMIT_MS;
	int r;

	while ((r = guardian_ask(g, GUARDIAN_HELLO, NULL, grace_ms, -1, NULL)) == -EBUSY &&
	       io_now_ms() < end)
		usleep(20000);
	if (r == -EBUSY)
		return err_set(err, ERR_SYSTEM, EBUSY, "another daemon is running: it is "
			       "connected to the guardian");
	return r < 0 ? err_sys(err, -r, "guardian") : 0;
}

int guardian_open(const char *run_dir, const char *guardian_program, uint32_t grace_ms,
		  struct guardian **ret, struct err *err)
{
	cleanup_free struct guardian *g = calloc(1, sizeof(*g));
	cleanup_close int sock = -1;
	int r;

	if (!g)
		return err_sys(err, ENOMEM, "guardian");
	sock = guardian_connect(run_dir);
	if (sock == -ENOENT || sock == -ECONNREFUSED)
		sock = guardian_start(run_dir, guardian_program, err);
	else if (sock < 0)
		err_sys(err, -sock, "cannot reach the guardian in %s", run_dir);
	if (sock < 0)
		return sock;
	g->sock = sock;
	r = guardian_hello(g, grace_ms, err);
	if (r < 0)
		return r;
	TAKE_FD(sock);
	*ret = TAKE_PTR(g);
	return 0;
}

void guardian_close(struct guardian *g)
{
	if (!g)
		return;
	close(g->sock);
	free(g);
}

int guardian_put(struct guardian *g, const char *name, int fd, struct err *err)
{
	int r = guardian_ask(g, GUARDIAN_PUT, name, 0, fd, NULL);

	return r < 0 ? err_sys(err, -r, "the guardian does not keep %s", name) : 0;
}

int guardian_get(struct guardian *g, const char *name, struct err *err)
{
	int fd = -1;
	int r = guardian_ask(g, GUARDIAN_GET, name, 0, -1, &fd);

	if (r < 0)
		return err_sys(err, -r, "the guardian does not give %s", name);
	return fd;
}

int guardian_drop(struct guardian *g, const char *name, struct err *err)
{
	int r = guardian_ask(g, GUARDIAN_DROP, name, 0, -1, NULL);

	return r < 0 ? err_sys(err, -r, "the guardian does not drop %s", name) : 0;
}

int guardian_serving(struct guardian *g, struct err *err)
{
	int r = guardian_ask(g, GUARDIAN_SERVING, NULL, 0, -1, NULL);

	return r < 0 ? err_sys(err, -r, "guardian") : 0;
}
