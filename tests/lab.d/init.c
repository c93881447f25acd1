/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * First process of the lab's guest; tests/lab compiles it (static) and starts it, nobody else.
 *
 * It turns the read-only view of the host's root into a root whose changes live in memory,
 * mounts the lab's disk and share, runs the job, leaves its status in the share and powers off:
 *
 *	/		overlay: the host's root (read-only) below, tmpfs above
 *	/lab/share	host directory that carries job, status and results (writable)
 *	/lab/disk	the ext4 image on ubda, if there is one
 *
 * In C because a shell needs 0.6 s for this in User Mode Linux and this program 0.05 s.
 * Options stand on the kernel's command line: lab.share=DIR lab.timeout=SECONDS lab.disk=OPTS.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <mntent.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define SHARE "/lab/share"
#define DISK "/lab/disk"

static char cmdline[4096];
static volatile sig_atomic_t alarmed;

static void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("lab: ");
	vprintf(fmt, ap);
	printf("\n");
	fflush(stdout);
	va_end(ap);
}

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void die(const char *what)
{
	say("FATAL: %s: %s", what, strerror(errno));
	power_off();
}

/* Whole small file as a string; false when it cannot be read. */
static bool file_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return false;
	buf[n] = '\0';
	return true;
}

/* Value of NAME= on the kernel's command line, in RET; false when absent. */
static bool option_get(const char *name, char *ret, size_t size)
{
	size_t len = strlen(name);
	const char *at = cmdline;

	while ((at = strstr(at, name))) {
		if ((at == cmdline || at[-1] == ' ') && at[len] == '=') {
			at += len + 1;
			snprintf(ret, size, "%.*s", (int)strcspn(at, " \n"), at);
			return true;
		}
		at += len;
	}
	return false;
}

static void mount_or_die(const char *src, const char *dir, const char *type, const char *opts)
{
	if (mount(src, dir, type, 0, opts) && errno != EBUSY)
		die(dir);
}

static void root_make(void)
{
	mount_or_die("tmpfs", "/mnt", "tmpfs", NULL);
	mkdir("/mnt/up", 0755);
	mkdir("/mnt/work", 0755);
	mkdir("/mnt/root", 0755);
	mount_or_die("overlay", "/mnt/root", "overlay",
		     "lowerdir=/,upperdir=/mnt/up,workdir=/mnt/work");
	if (chdir("/mnt/root"))
		die("chdir");
	mkdir("lab", 0755);
	mkdir("lab/share", 0755);
	mkdir("lab/disk", 0755);
	mkdir("lab/old", 0755);
	if (syscall(SYS_pivot_root, ".", "lab/old") || chroot(".") || chdir("/"))
		die("pivot_root");
}

static void console_open(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);

	if (fd < 0)
		return;
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
}

static void system_mount(void)
{
	mount_or_die("proc", "/proc", "proc", NULL);
	mount_or_die("sysfs", "/sys", "sysfs", NULL);
	mount_or_die("devtmpfs", "/dev", "devtmpfs", NULL);
	console_open();
	mkdir("/dev/pts", 0755);
	mkdir("/dev/shm", 0755);
	mount_or_die("devpts", "/dev/pts", "devpts", NULL);
	mount_or_die("tmpfs", "/dev/shm", "tmpfs", "mode=1777");
	mount_or_die("tmpfs", "/run", "tmpfs", "mode=755");
	mount_or_die("securityfs", "/sys/kernel/security", "securityfs", NULL);
	symlink("/proc/self/fd", "/dev/fd");
	symlink("/proc/self/fd/0", "/dev/stdin");
	symlink("/proc/self/fd/1", "/dev/stdout");
	symlink("/proc/self/fd/2", "/dev/stderr");
	if (umount2("/lab/old", MNT_DETACH))
		die("/lab/old");
	rmdir("/lab/old");
}

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		die("loopback");
	close(fd);
}

/* Without this getrandom() blocks for ever on 6.1: nothing in UML makes entropy there. */
static void random_seed(void)
{
	struct {
		int entropy_bits, bytes;
		unsigned char data[64];
	} seed = { .entropy_bits = 512, .bytes = 64 };
	int from = open(SHARE "/seed", O_RDONLY | O_CLOEXEC);
	int to = open("/dev/random", O_RDWR | O_CLOEXEC);

	if (from < 0 || read(from, seed.data, sizeof(seed.data)) != sizeof(seed.data) ||
	    to < 0 || ioctl(to, RNDADDENTROPY, &seed))
		die("random seed");
	close(from);
	close(to);
}

/* One task for the log: name, state, where it waits.  Workers that sleep are left out. */
static void task_dump(const char *tid)
{
	char path[64], buf[4096], wchan[128] = "";
	bool user;

	snprintf(path, sizeof(path), "/proc/%s/cmdline", tid);
	user = file_read(path, buf, sizeof(buf)) && buf[0];
	snprintf(path, sizeof(path), "/proc/%s/wchan", tid);
	file_read(path, wchan, sizeof(wchan));
	snprintf(path, sizeof(path), "/proc/%s/stat", tid);
	if (file_read(path, buf, sizeof(buf)) && (user || strstr(buf, ") D ")))
		say("task %.*s in %s", (int)strcspn(buf, ")") + 3, buf, wchan);
}

/*
 * A hang that the host will end is worth a picture: every task of user space and every
 * blocked one.  Not sysrq t or w: UML panics in them when it comes to a kworker.
 */
static void tasks_dump(void)
{
	struct dirent *proc, *task;
	DIR *procs = opendir("/proc"), *tasks;
	char path[300];

	while (procs && (proc = readdir(procs))) {
		if (proc->d_name[0] < '0' || proc->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/task", proc->d_name);
		tasks = opendir(path);
		while (tasks && (task = readdir(tasks)))
			if (task->d_name[0] != '.')
				task_dump(task->d_name);
		if (tasks)
			closedir(tasks);
	}
	if (procs)
		closedir(procs);
}

static void file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0 || fsync(fd))
		say("cannot write %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void on_alarm(int sig)
{
	(void)sig;
	alarmed = 1;
}

/* Reap until PID (or, for -1, every child) has ended; returns its wait status. */
static int children_wait(pid_t pid)
{
	int status, got = 0;
	pid_t child;

	for (;;) {
		child = waitpid(-1, &status, 0);
		if (child == pid)
			got = status;
		if (child == pid || (child < 0 && errno == ECHILD))
			return got;
		if (alarmed) {
			alarmed = 0;
			say("timeout: the tasks");
			tasks_dump();
			file_write(SHARE "/dumped", "1\n");
		}
	}
}

static int tty_open(const char *path, bool raw)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios tio;

	if (fd < 0 || tcgetattr(fd, &tio))
		die(path);
	if (raw) {
		cfmakeraw(&tio);
		tcsetattr(fd, TCSANOW, &tio);
	}
	return fd;
}

static void job_exec(int in, int out, int err, bool shell)
{
	setsid();
	if (shell)
		ioctl(in, TIOCSCTTY, 0);
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	signal(SIGALRM, SIG_DFL);
	execl("/bin/bash", "bash", "-c", ". " SHARE "/job", NULL);
	_exit(125);
}

static int job_run(void)
{
	bool shell = access(SHARE "/shell", F_OK) == 0;
	int out = tty_open("/dev/tty1", !shell);
	int err = shell ? out : tty_open("/dev/tty2", true);
	int in = shell ? out : open("/dev/null", O_RDWR | O_CLOEXEC);
	int status;
	pid_t pid = fork();

	if (pid == 0)
		job_exec(in, out, err, shell);
	status = pid < 0 ? 125 << 8 : children_wait(pid);
	tcdrain(out);
	tcdrain(err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void status_write(int status)
{
	char text[16];

	snprintf(text, sizeof(text), "%d\n", status);
	file_write(SHARE "/status.new", text);
	if (rename(SHARE "/status.new", SHARE "/status"))
		say("no status: %s", strerror(errno));
	say("job ended with status %d", status);
}

static void erofs_umount(void)
{
	FILE *mounts = setmntent("/proc/mounts", "r");
	struct mntent *mnt;

	while (mounts && (mnt = getmntent(mounts)))
		if (strcmp(mnt->mnt_type, "erofs") == 0)
			umount2(mnt->mnt_dir, MNT_DETACH);
	if (mounts)
		endmntent(mounts);
}

/* Leave the disk as a clean shutdown does: nothing runs, nothing is mounted on it. */
static void shut_down(void)
{
	kill(-1, SIGKILL);
	children_wait(-1);
	erofs_umount();
	if (umount(DISK) && errno != EINVAL)
		say("the disk stays mounted: %s", strerror(errno));
	power_off();
}

int main(void)
{
	char share[2048], opts[256] = "", word[16] = "300", uptime[64] = "";
	struct sigaction act = { .sa_handler = on_alarm };

	if (getpid() != 1) {
		fprintf(stderr, "init: only the lab's kernel runs this\n");
		return 2;
	}
	mount("proc", "/proc", "proc", 0, NULL);
	if (!file_read("/proc/cmdline", cmdline, sizeof(cmdline)))
		die("/proc/cmdline");
	root_make();
	system_mount();
	loopback_up();
	if (!option_get("lab.share", share, sizeof(share)))
		die("lab.share");
	mount_or_die("none", SHARE, "hostfs", share);
	random_seed();
	if (option_get("lab.disk", opts, sizeof(opts)))
		mount_or_die("/dev/ubda", DISK, "ext4", opts);
	option_get("lab.timeout", word, sizeof(word));
	sigaction(SIGALRM, &act, NULL);
	alarm(atoi(word));
	file_read("/proc/uptime", uptime, sizeof(uptime));
	say("ready at %.*s s", (int)strcspn(uptime, " "), uptime);
	status_write(job_run());
	shut_down();
}
