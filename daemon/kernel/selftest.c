/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * selftest.c - the parent's side: a child with its own mount namespace, shared memory for
 * its findings, a time limit, and the words for the administrator. See selftest.h.
 */
#include "daemon/kernel/selftest.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/kernel/selftest_run.h"

#define SELFTEST_LIMIT_MS 20000

static const struct {
	const char *name, *hint;
} checks[SELFTEST_CHECKS] = {
	[SELFTEST_GROUP] = { "pre-content events can be listened to",
		"needs root (CAP_SYS_ADMIN) and a kernel with CONFIG_FANOTIFY_ACCESS_PERMISSIONS, "
		"Linux 6.14 or later" },
	[SELFTEST_MARK] = { "the cache directory's file system can be marked",
		"put the cache directory on ext4, xfs or btrfs (not tmpfs, not overlayfs)" },
	[SELFTEST_MOUNT] = { "EROFS mounts plain files with device files",
		"needs CONFIG_EROFS_FS and CONFIG_EROFS_FS_BACKED_BY_FILE (Linux 6.12), and no "
		"security module in the way" },
	[SELFTEST_EVENT] = { "a read raises an event, and a denial reaches the reader as EIO",
		"needs pre-content events on file-backed EROFS (Linux 6.14)" },
	[SELFTEST_OWN_WRITE] = { "the daemon's own writes raise no event",
		"the mount mark must cover only the private bind mount: report this kernel" },
	[SELFTEST_PREFIX] = { "a read past the end of a segment file is EIO, never zeros",
		"this kernel's EROFS fills short reads with zeros: update the kernel" },
	[SELFTEST_GROWTH] = { "the same reads succeed when the file has grown",
		"the kernel kept a failed page: report this kernel" },
	[SELFTEST_IGNORE] = { "a complete file raises no more events",
		"needs FAN_MARK_IGNORE on inodes (Linux 6.0)" },
	[SELFTEST_NO_GROUP] = { "without any listener missing data is still EIO",
		"this kernel's EROFS fills short reads with zeros: update the kernel" },
};

const char *selftest_check_name(enum selftest_check check)
{
	return checks[check].name;
}

const char *selftest_check_hint(enum selftest_check check)
{
	return checks[check].hint;
}

static void detail_set(struct selftest_report *r, const char *text)
{
	for (int i = 0; i < SELFTEST_CHECKS; i++)
		if (!r->check[i].detail[0])
			snprintf(r->check[i].detail, sizeof(r->check[i].detail), "%s", text);
}

_Noreturn static void child_main(const char *dir, pid_t parent, struct selftest_report *r)
{
	char text[128];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		snprintf(text, sizeof(text), "no mount namespace of its own: %s",
			 strerror(errno));
		detail_set(r, text);
		_exit(1);
	}
	selftest_run(dir, r);
	_exit(0);
}

/* The child may hang in the kernel; killing it closes the group, which frees its readers. */
static bool child_wait(pid_t pid)
{
	uint64_t end = io_now_ms() + SELFTEST_LIMIT_MS;

	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (io_now_ms() >= end) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			return false;
		}
		usleep(2000);
	}
	return true;
}

static void dir_remove(const char *dir)
{
	static const char *const files[] = { "data/bootstrap", "data/segment" };
	static const char *const dirs[] = { "data", "bind", "mnt" };
	cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		unlinkat(fd, files[i], 0);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		unlinkat(fd, dirs[i], AT_REMOVEDIR);
	rmdir(dir);
}

int fanotify_selftest(const char *dir, struct selftest_report *ret, struct err *err)
{
	struct selftest_report *shared;
	char tmp[4096];
	pid_t pid, self = getpid();

	if (snprintf(tmp, sizeof(tmp), "%s/selftest.XXXXXX", dir) >= (int)sizeof(tmp))
		return err_set(err, ERR_SYSTEM, ENAMETOOLONG, "path too long: %s", dir);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return err_sys(err, errno, "self-test: mmap");
	if (!mkdtemp(tmp)) {
		int num = errno;

		munmap(shared, sizeof(*shared));
		return err_sys(err, num, "self-test: cannot write in %s", dir);
	}
	pid = fork();
	if (pid == 0)
		child_main(tmp, self, shared);
	if (pid > 0 && !child_wait(pid))
		detail_set(shared, "timed out: the kernel or the test hangs");
	detail_set(shared, "not reached");
	*ret = *shared;
	ret->usable = ret->disk_errno == 0;
	for (int i = 0; i < SELFTEST_CHECKS; i++) {
		ret->check[i].detail[sizeof(ret->check[i].detail) - 1] = 0;
		ret->usable = ret->usable && ret->check[i].passed;
	}
	munmap(shared, sizeof(*shared));
	dir_remove(tmp);
	if (pid > 0 && ret->disk_errno)
		return err_sys(err, ret->disk_errno, "self-test: cannot write in %s", dir);
	return pid < 0 ? err_set(err, ERR_SYSTEM, EAGAIN, "self-test: cannot fork") : 0;
}
