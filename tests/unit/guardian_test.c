/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guardian's client and program together: keeping, giving back, refusing. */
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "daemon/guardian/wire.h"
#include "daemon/kernel/guardian.h"
#include "tap.h"

static char dir[] = "/tmp/lzguard.XXXXXX";
static char program[4096];

static pid_t guardian_pid(void)
{
	struct buf b cleanup_buf = BUF_INIT(64);
	char path[64];

	snprintf(path, sizeof(path), "%s/guardian.lock", dir);
	return io_read_file(AT_FDCWD, path, &b) < 0 ? -1 : atoi((const char *)b.data);
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

static void test_keep(struct guardian *g)
{
	struct err err = ERR_INIT;
	char name[32];
	int p[2], fd, r = 0;

	if (pipe(p) < 0)
		bail("pipe");
	is_int(guardian_get(g, "a", &err), -ENOENT, "nothing is kept at first");
	is_int(guardian_put(g, "a", p[0], &err), 0, "keep one");
	fd = guardian_get(g, "a", &err);
	ok(fd >= 0 && same_file(fd, p[0]), "the same comes back");
	ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "close-on-exec");
	close(fd);
	is_int(guardian_put(g, "a", p[1], &err), 0, "replace it");
	fd = guardian_get(g, "a", &err);
	ok(fd >= 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY, "the new one comes back");
	close(fd);
	is_int(guardian_put(g, "A/b", p[1], &err), -EINVAL, "a strange name is refused");
	is_int(guardian_put(g, "", p[1], &err), -EINVAL, "and an empty one");
	is_int(guardian_put(g, "b", -1, &err), -EINVAL, "and no descriptor at all");
	is_int(guardian_drop(g, "b", &err), -ENOENT, "drop: not there");
	is_int(guardian_drop(g, "a", &err), 0, "drop");
	is_int(guardian_get(g, "a", &err), -ENOENT, "gone");
	is_int(guardian_serving(g, &err), 0, "serving");
	for (int i = 0; i < 100 && r == 0; i++) {
		snprintf(name, sizeof(name), "many.%d", i);
		r = guardian_put(g, name, p[0], &err);
	}
	is_int(r, -ENOSPC, "its table is bounded");
	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "many.%d", i);
		guardian_drop(g, name, &err);
	}
	close(p[0]);
	close(p[1]);
}

static void test_process(void)
{
	char cmd[4200];

	/* No capability is left, and none can come back. */
	snprintf(cmd, sizeof(cmd), "grep -q '^CapEff:.0*$' /proc/%d/status", guardian_pid());
	is_int(system(cmd), 0, "the guardian has no capability");
	snprintf(cmd, sizeof(cmd), "grep -q '^NoNewPrivs:.1$' /proc/%d/status", guardian_pid());
	is_int(system(cmd), 0, "and gets no new privileges");
	ok(getsid(guardian_pid()) != getsid(0), "it is in a session of its own");
	snprintf(cmd, sizeof(cmd), "%s %s 2>/dev/null", program, dir);
	ok(system(cmd) != 0, "a second guardian does not start");
}

static int guardian_connect_raw(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" GUARDIAN_SOCKET, dir);
	return connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : sock;
}

/* A bare connection, not the daemon's. */
static void test_stranger(void)
{
	struct guardian_msg m = { .magic = GUARDIAN_MAGIC, .op = GUARDIAN_GET, .name = "kept" };
	struct guardian *second = NULL;
	struct err err = ERR_INIT;
	int sock, fd = -1;

	sock = guardian_connect_raw();
	ok(sock >= 0 && guardian_wire_send(sock, &m, -1, 0) == 0 &&
	   guardian_wire_recv(sock, &m, &fd) == 1 && m.status == -EPERM && fd < 0,
	   "who did not say hello gets nothing");
	ok(write(sock, "x", 1) == 1 && guardian_wire_recv(sock, &m, &fd) <= 0,
	   "who talks nonsense is cut off");
	close(sock);
	is_int(guardian_open(dir, program, 1000, &second, &err), -EBUSY,
	       "a second daemon is refused while the first is there");
}

static unsigned open_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* A message with n descriptors; what does the receiver make of it, and what stays open? */
static void test_descriptors(int n, int want)
{
	struct guardian_msg m = { .magic = GUARDIAN_MAGIC, .op = GUARDIAN_PUT, .name = "x" };
	union {
		char buf[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = &m, .iov_len = sizeof(m) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			      .msg_controllen = CMSG_SPACE((unsigned)n * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int s[2], fd = -1;
	unsigned before;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) < 0)
		bail("socketpair");
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN((unsigned)n * sizeof(int));
	for (int i = 0; i < n; i++)
		memcpy(CMSG_DATA(c) + (unsigned)i * sizeof(int), &s[0], sizeof(int));
	before = open_fds();
	ok(sendmsg(s[0], &msg, 0) == sizeof(m), "a message with %d descriptors", n);
	is_int(guardian_wire_recv(s[1], &m, &fd), want, "is %s",
	       want < 0 ? "refused" : "taken");
	if (fd >= 0)
		close(fd);
	is_int(open_fds(), before, "none stays open");
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	struct guardian *g = NULL;
	struct err err = ERR_INIT;
	pid_t pid;
	int fd;

	if (geteuid() != 0) {
		printf("1..0 # SKIP the guardian serves only root\n");
		return 0;
	}
	snprintf(program, sizeof(program), "%s/lazyerofs-guardian", getenv("BUILDDIR"));
	/* As under a unit that leaves it hardly any. */
	prctl(PR_CAPBSET_DROP, CAP_SETPCAP, 0, 0, 0);
	if (!mkdtemp(dir))
		bail("mkdtemp");
	ok(guardian_open(dir, "/nonexistent", 1000, &g, &err) < 0, "no program: an error");
	if (!is_int(guardian_open(dir, program, 1000, &g, &err), 0, "started and connected"))
		bail("%s", err.text);
	pid = guardian_pid();
	test_descriptors(1, 1);
	test_descriptors(2, -EPROTO);
	test_descriptors(5, -EPROTO);
	test_process();
	test_keep(g);
	fd = open("/dev/null", O_RDONLY);
	is_int(guardian_put(g, "kept", fd, &err), 0, "keep something over a restart");
	test_stranger();
	guardian_close(g);
	is_int(guardian_open(dir, program, 1000, &g, &err), 0, "the next daemon connects");
	is_int(guardian_pid(), pid, "to the same guardian");
	ok(same_file(guardian_get(g, "kept", &err), fd), "and finds what was kept");
	guardian_close(g);
	kill(pid, SIGTERM);
	for (int i = 0; i < 500 && kill(pid, 0) == 0; i++)
		usleep(10000);
	ok(kill(pid, 0) < 0, "it ends when it is told to");
	is_int(guardian_open(dir, program, 1000, &g, &err), 0, "a new one starts in its place");
	is_int(guardian_get(g, "kept", &err), -ENOENT, "with nothing in it");
	pid = guardian_pid();
	guardian_close(g);
	kill(pid, SIGTERM);
	snprintf(program, sizeof(program), "rm -rf %s", dir);
	return system(program) == 0 ? tap_done() : 99;
}
