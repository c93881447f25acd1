/* SPDX-License-Identifier: GPL-2.0-or-later */
/* notify.h against a socket of our own: messages, passed descriptors, LISTEN_FDS. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/notify.h"
#include "tap.h"

static int sock;

/* The next message, and the descriptor that came with it or -1. */
static const char *message(int *ret_fd)
{
	static char text[1024];
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT);
	struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	text[n < 0 ? 0 : n] = 0;
	*ret_fd = -1;
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	return text;
}

static void test_silent(void)
{
	unsetenv("NOTIFY_SOCKET");
	notify_init();
	ok(!notify_is_active(), "no systemd");
	is_int(notify_ready(), 0, "ready: no failure");
	is_int(notify_fd_store("x", 0), -ENOTCONN, "no store: said so");
	setenv("NOTIFY_SOCKET", "relative", 1);
	setenv("WATCHDOG_USEC", "60000000", 1);
	notify_init();
	ok(!notify_is_active(), "a strange address is ignored");
	is_int(notify_watchdog_ms(), 0, "and then there is no watchdog to feed");
}

static void test_messages(void)
{
	char path[] = "/tmp/lznotify.XXXXXX/s";
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, p[2];
	char byte = 0;

	path[20] = 0;
	if (!mkdtemp(path))
		bail("mkdtemp");
	path[20] = '/';
	strcpy(addr.sun_path, path);
	sock = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (bind(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 || pipe(p) < 0)
		bail("socket");
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("WATCHDOG_USEC", "60000000", 1);
	unsetenv("WATCHDOG_PID");
	notify_init();
	is_int(notify_watchdog_ms(), 60000, "the watchdog wants a word each minute");
	ok(notify_is_active() && !getenv("NOTIFY_SOCKET"), "address taken, children do not see it");
	notify_ready();
	is_str(message(&fd), "READY=1", "ready");
	notify_status("%d layers\nREADY=1", 3);
	is_str(message(&fd), "STATUS=3 layers READY=1", "a status cannot carry an assignment");
	is_int(notify_fd_store("fanotify.0", p[1]), 0, "store a descriptor");
	is_str(message(&fd), "FDSTORE=1\nFDNAME=fanotify.0\nFDPOLL=0", "with its name");
	ok(fd >= 0 && write(fd, "y", 1) == 1 && read(p[0], &byte, 1) == 1 && byte == 'y',
	   "it is the descriptor");
	notify_fd_drop("fanotify.0");
	is_str(message(&fd), "FDSTOREREMOVE=1\nFDNAME=fanotify.0", "drop it");
	unlink(path);
	path[20] = 0;
	rmdir(path);
}

/* In a child with descriptors 3 and 4 as systemd would pass them. Exit code 0: right. */
static int fds_child(const char *pid)
{
	struct notify_fds *f = NULL;
	char self[16];
	int fd, r = 1;

	snprintf(self, sizeof(self), "%d", (int)getpid());
	setenv("LISTEN_PID", pid ? pid : self, 1);
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", "journal.0:fanotify.0", 1);
	dup2(0, 3);
	dup2(0, 4);
	if (notify_fds_take(&f, NULL) < 0 || getenv("LISTEN_FDS"))
		return 2;
	if (pid)
		return notify_fds_get(f, "fanotify.0") == -ENOENT ? 0 : 3;
	if (notify_fds_has(f, "fanotify.0") && !notify_fds_has(f, "x")) {
		fd = notify_fds_get(f, "fanotify.0");
		r = fd == 4 && notify_fds_get(f, "fanotify.0") == -ENOENT &&
		    fcntl(4, F_GETFD) == FD_CLOEXEC ? 0 : 4;
	}
	notify_fds_free(f);
	return r ? r : fcntl(3, F_GETFD) < 0 && fcntl(4, F_GETFD) >= 0 ? 0 : 5;
}

static void test_fds(const char *pid, const char *what)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(fds_child(pid));
	waitpid(child, &status, 0);
	is_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0, "%s", what);
}

int main(void)
{
	test_silent();
	test_messages();
	test_fds(NULL, "descriptors by name; those not asked for are closed");
	test_fds("1", "another process's descriptors are not ours");
	return tap_done();
}
