/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lazyerofs-guardian [--stay] RUN_DIR
 *
 * Keeps the kernel's descriptors while the daemon is away (kernel/guardian.h): a table of
 * descriptors behind a socket. No network, no files read, no threads, no capabilities, and
 * the kernel's last choice when memory runs out. Ends by itself when it has nothing to
 * keep, unless --stay (a unit of systemd's).
 *
 * It must outlive the daemon: started by it, it is in a session of its own; under systemd it
 * needs a unit of its own, as a service's processes are killed together.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "daemon/guardian/keep.h"

#define IDLE_LIMIT_MS 10000

void guardian_log(const char *fmt, ...)
{
	char text[512] = "guardian: ";
	size_t at = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + at, sizeof(text) - at - 1, fmt, ap);
	va_end(ap);
	strcat(text, "\n");
	if (write(2, text, strlen(text)) < 0)
		return;		/* nobody listens: nothing to be done about it */
}

static int fail(const char *what)
{
	guardian_log("%s: %s", what, strerror(errno));
	return -1;
}

/* The last to be killed. Lowering the score needs CAP_SYS_RESOURCE, which may be missing. */
static void survive(void)
{
	struct rlimit lim;
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "-1000", 5) != 5)
		guardian_log("oom_score_adj stays as it is: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		guardian_log("memory is not locked: %s", strerror(errno));
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

/* Keeping, reading and answering need no capability: all descriptors are open already. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	/* The bounding set as far as we may (a unit's settings can deny CAP_SETPCAP). */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || syscall(SYS_capset, &head, none) < 0)
		return fail("dropping capabilities");
	return 0;
}

/* Only one guardian per run directory: the lock lives as long as the process. */
static int lock_take(const char *run_dir)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/" GUARDIAN_LOCK, run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			guardian_log("there is one already in %s", run_dir);
		return errno == EWOULDBLOCK ? -1 : fail(path);
	}
	/* For whoever wants to know who it is. */
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
		return fail(path);
	return fd;
}

static int socket_listen(const char *run_dir)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock;

	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" GUARDIAN_SOCKET, run_dir) >=
	    (int)sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return fail(run_dir);
	}
	umask(077);
	unlink(addr.sun_path);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0 || bind(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(sock, 8) < 0)
		return fail(addr.sun_path);
	return sock;
}

/* How long poll() may sleep, and whether the daemon has been away for too long. */
static int grace_left_ms(const struct keep *k)
{
	uint64_t now = io_now_ms(), end = k->absent_since_ms + k->grace_ms;

	if (keep_has_daemon(k))
		return -1;
	return now >= end ? 0 : (int)(end - now);
}

static void serve(struct keep *k, int listen_sock, bool stay)
{
	struct pollfd p[1 + KEEP_CLIENTS_MAX + GUARDIAN_GROUPS_MAX];
	bool denying = false;

	for (;;) {
		int left = grace_left_ms(k), limit = left, n;
		bool deny = left == 0;

		if (deny && !denying)
			for (uint32_t i = 0; i < GUARDIAN_GROUPS_MAX; i++) {
				unsigned denied = deny_pending(k, i);

				if (denied)
					guardian_log("no daemon: denied %u reads", denied);
			}
		denying = deny;
		if (deny)
			limit = -1;
		if (!stay && keep_is_idle(k))
			limit = IDLE_LIMIT_MS;
		p[0] = (struct pollfd){ .fd = listen_sock, .events = POLLIN };
		for (int i = 0; i < KEEP_CLIENTS_MAX; i++)
			p[1 + i] = (struct pollfd){ .fd = k->clients[i].sock,
						    .events = POLLIN };
		for (uint32_t i = 0; i < GUARDIAN_GROUPS_MAX; i++) {
			char name[GUARDIAN_NAME_SIZE];

			snprintf(name, sizeof(name), GUARDIAN_GROUP ".%u", i);
			p[1 + KEEP_CLIENTS_MAX + i] = (struct pollfd){
				.fd = deny ? keep_fd(k, name) : -1, .events = POLLIN };
		}
		n = poll(p, sizeof(p) / sizeof(*p), limit);
		if (n == 0 && !stay && keep_is_idle(k))
			return;
		if (n <= 0)
			continue;
		for (uint32_t i = 0; i < GUARDIAN_GROUPS_MAX; i++)
			if (p[1 + KEEP_CLIENTS_MAX + i].revents)
				deny_pending(k, i);
		for (int i = 0; i < KEEP_CLIENTS_MAX; i++)
			if (p[1 + i].revents)
				keep_client_serve(k, &k->clients[i]);
		if (p[0].revents)
			keep_client_add(k, listen_sock);
	}
}

int main(int argc, char **argv)
{
	static struct keep k;
	bool stay = argc == 3 && !strcmp(argv[1], "--stay");
	const char *run_dir = argv[argc - 1];
	int sock;

	if (argc != 2 && !stay) {
		guardian_log("usage: lazyerofs-guardian [--stay] RUN_DIR");
		return 2;
	}
	survive();
	if (lock_take(run_dir) < 0)
		return 1;
	sock = socket_listen(run_dir);
	if (sock < 0 || chdir("/") < 0 || drop_capabilities() < 0)
		return 1;
	keep_init(&k);
	serve(&k, sock, stay);
	return 0;
}
