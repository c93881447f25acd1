/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sandbox_test.c - the sandbox of mkfs.lazyerofs holds: each attempt in a child of its own.
 *
 * A child enters the sandbox, tries one thing and exits with 0 when it worked, 1 when it
 * was refused with an error; else it died of a signal. Every attempt also runs outside the
 * sandbox first: it must work there, or the test would prove nothing.
 */
#include "mkfs/sandbox.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define WORKED 0
#define REFUSED 1

static const struct sandbox_limits limits = {
	.memory_bytes = 256 << 20, .file_bytes = 1 << 20, .seconds = 20,
};

static char dir[] = "/tmp/lazyerofs-sandbox.XXXXXX";
static int held_fd = -1;	/* a file opened before */

static int verdict(long r)
{
	return r < 0 ? REFUSED : WORKED;
}

static int try_open(void)
{
	return verdict(open("/etc/passwd", O_RDONLY));
}

static int try_create(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/new", dir);
	return verdict(open(path, O_WRONLY | O_CREAT, 0600));
}

static int try_mkdir(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/sub", dir);
	rmdir(path);
	return verdict(mkdir(path, 0700));
}

static int try_unlink(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/victim", dir);
	return verdict(unlink(path));
}

static int try_socket(void)
{
	return verdict(socket(AF_INET, SOCK_STREAM, 0));
}

static int try_unix_socket(void)
{
	return verdict(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int try_exec(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return REFUSED;		/* where it works, true(1) exits with 0 */
}

static int try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return verdict(pid);
}

static int try_kill(void)
{
	return verdict(kill(getppid(), 0));
}

static int try_ptrace(void)
{
	return verdict(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int try_io_uring(void)
{
	char params[120] = { 0 };

	return verdict(syscall(SYS_io_uring_setup, 4, params));
}

static int try_chmod(void)
{
	return verdict(fchmod(held_fd, 0600));
}

static int try_dup(void)
{
	return verdict(dup(held_fd));
}

/* These must work inside, too. */
static int use_held(void)
{
	char c = 'x';

	if (pwrite(held_fd, &c, 1, 4096) != 1 || pread(held_fd, &c, 1, 4096) != 1 ||
	    ftruncate(held_fd, 100) < 0 || fsync(held_fd) < 0)
		return REFUSED;
	return WORKED;
}

static int use_memory(void)
{
	char *p = malloc(64 << 20);

	if (!p)
		return REFUSED;
	memset(p, 1, 64 << 20);
	free(p);
	return WORKED;
}

static int use_stderr(void)
{
	fprintf(stderr, "# a message from the sandbox\n");
	return WORKED;
}

static int run(int (*attempt)(void), bool sandboxed)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		bail("fork");
	if (pid == 0) {
		struct err err = ERR_INIT;

		if (sandboxed && sandbox_enter(&limits, &err) < 0) {
			fprintf(stderr, "# %s\n", err.text);
			_exit(70);
		}
		_exit(attempt());
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void make_victim(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/victim", dir);
	close(open(path, O_WRONLY | O_CREAT, 0600));
}

static void forbidden(const char *what, int (*attempt)(void))
{
	int r;

	make_victim();
	r = run(attempt, false);
	make_victim();
	if (r != WORKED) {
		/* A container may forbid it as well. */
		printf("# %s does not work outside either (%d)\n", what, r);
	}
	r = run(attempt, true);
	ok(r == REFUSED || r == -SIGSYS, "%s: %s", what,
	   r == REFUSED ? "refused" : r == -SIGSYS ? "killed" : "WORKED");
}

static int report_status(void)
{
	/* /proc/self/status cannot be opened any more: the fd was, for this process. */
	char buf[8192];
	ssize_t n = pread(held_fd, buf, sizeof(buf) - 1, 0);

	if (n <= 0)
		return 2;
	buf[n] = '\0';
	if (!strstr(buf, "CapInh:\t0000000000000000") ||
	    !strstr(buf, "CapPrm:\t0000000000000000") ||
	    !strstr(buf, "CapEff:\t0000000000000000") ||
	    !strstr(buf, "CapAmb:\t0000000000000000"))
		return 3;
	if (!strstr(buf, "NoNewPrivs:\t1") || !strstr(buf, "Seccomp:\t2"))
		return 4;
	/* Who has no CAP_SETPCAP keeps the bounding set. */
	return strstr(buf, "Uid:\t0") && !strstr(buf, "CapBnd:\t0000000000000000") ? 5 : 0;
}

/* The child opens its own status before it enters. */
static void test_status(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		held_fd = open("/proc/self/status", O_RDONLY);
		if (sandbox_enter(&limits, NULL) < 0)
			_exit(70);
		_exit(report_status());
	}
	waitpid(pid, &status, 0);
	is_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0,
	       "no capabilities, no_new_privs, seccomp filter in force");
}

static int eat_memory(void)
{
	return malloc(512 << 20) ? WORKED : REFUSED;
}

static int fill_file(void)
{
	return verdict(pwrite(held_fd, "x", 1, 2 << 20));
}

static _Noreturn void loop(void)
{
	for (;;)
		getpid();
}

static void test_limits(void)
{
	struct sandbox_limits brief = limits;
	int status;
	pid_t pid;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	is_int(run(eat_memory, true), REFUSED, "memory beyond the ceiling is refused");
#else
	(void)eat_memory;
#endif
	fflush(stdout);
	brief.seconds = 1;
	pid = fork();
	if (pid == 0) {
		if (sandbox_enter(&brief, NULL) < 0)
			_exit(70);
		loop();
	}
	waitpid(pid, &status, 0);
	ok(WIFSIGNALED(status) &&
		   (WTERMSIG(status) == SIGALRM || WTERMSIG(status) == SIGXCPU ||
		    WTERMSIG(status) == SIGKILL),
	   "a loop ends at the time limit");
}

int main(void)
{
	char path[64];

	if (!mkdtemp(dir))
		bail("mkdtemp");
	snprintf(path, sizeof(path), "%s/held", dir);
	held_fd = open(path, O_RDWR | O_CREAT, 0600);
	signal(SIGXFSZ, SIG_IGN);	/* as the program does */
	is_int(run(use_held, true), WORKED, "files opened before can be read and written");
	is_int(run(use_memory, true), WORKED, "memory can be had");
	is_int(run(use_stderr, true), WORKED, "messages go out");
	forbidden("open a file", try_open);
	forbidden("create a file", try_create);
	forbidden("make a directory", try_mkdir);
	forbidden("remove a file", try_unlink);
	forbidden("internet socket", try_socket);
	forbidden("unix socket", try_unix_socket);
	forbidden("run a program", try_exec);
	forbidden("fork", try_fork);
	forbidden("signal the parent", try_kill);
	forbidden("ptrace", try_ptrace);
	forbidden("io_uring", try_io_uring);
	forbidden("change a mode", try_chmod);
	forbidden("a further descriptor", try_dup);
	is_int(run(fill_file, true), REFUSED, "a file beyond its ceiling is refused");
	test_limits();
	test_status();
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	return system(path) == 0 ? tap_done() : 99;
}
