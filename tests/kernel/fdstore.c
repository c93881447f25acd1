/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fdstore.c - systemd's fd store, as far as a service sees it: run a command with
 * NOTIFY_SOCKET, keep what it stores, start it again with that (LISTEN_FDS) whenever a
 * signal kills it.
 *
 *   fdstore DIR COMMAND...     DIR/notify is the socket, DIR/main.pid the command's pid
 *
 * Ends when the command ends by itself, with its exit code.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define STORE_MAX 16
#define FIRST_FD 3

static struct {
	int fd;
	char name[64];
} store[STORE_MAX];
static int nstore, sock;

static void store_add(const char *name, int fd)
{
	if (nstore == STORE_MAX)
		exit(99);
	store[nstore].fd = fd;
	snprintf(store[nstore++].name, sizeof(store[0].name), "%s", name);
}

static void store_remove(const char *name)
{
	for (int i = nstore - 1; i >= 0; i--)
		if (!strcmp(store[i].name, name)) {
			close(store[i].fd);
			store[i] = store[--nstore];
		}
}

static void message_take(void)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	char text[1024], *name;
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	int fd = -1;

	if (n <= 0)
		return;
	text[n] = 0;
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(int));
	name = strstr(text, "FDNAME=");
	if (!name)
		return;
	name += strlen("FDNAME=");
	name[strcspn(name, "\n")] = 0;
	if (!strncmp(text, "FDSTORE=1", 9) && fd >= 0)
		store_add(name, fd);
	else if (!strncmp(text, "FDSTOREREMOVE=1", 15))
		store_remove(name);
}

_Noreturn static void command_exec(char **argv)
{
	char names[STORE_MAX * 65] = "", num[16];

	/* Out of the way first, then to where they belong. */
	for (int i = 0; i < nstore; i++) {
		store[i].fd = fcntl(store[i].fd, F_DUPFD_CLOEXEC, 100);
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
			 i ? ":" : "", store[i].name);
	}
	for (int i = 0; i < nstore; i++)
		dup2(store[i].fd, FIRST_FD + i);
	snprintf(num, sizeof(num), "%d", (int)getpid());
	setenv("LISTEN_PID", num, 1);
	snprintf(num, sizeof(num), "%d", nstore);
	setenv("LISTEN_FDS", num, 1);
	setenv("LISTEN_FDNAMES", names, 1);
	execv(argv[0], argv);
	_exit(127);
}

static pid_t command_start(const char *dir, char **argv)
{
	char path[4096];
	pid_t pid = fork();
	FILE *f;

	if (pid == 0)
		command_exec(argv);
	snprintf(path, sizeof(path), "%s/main.pid", dir);
	f = fopen(path, "we");
	if (!f || fprintf(f, "%d\n", (int)pid) < 0 || fclose(f))
		exit(99);
	return pid;
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval step = { .tv_usec = 20000 };
	int status;
	pid_t pid;

	if (argc < 3)
		return 2;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.90s/notify", argv[1]);
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &step, sizeof(step)) < 0)
		return 99;
	setenv("NOTIFY_SOCKET", addr.sun_path, 1);
	pid = command_start(argv[1], argv + 2);
	for (;;) {
		message_take();
		if (waitpid(pid, &status, WNOHANG) != pid)
			continue;
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		pid = command_start(argv[1], argv + 2);
	}
}
