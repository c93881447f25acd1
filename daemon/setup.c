/* SPDX-License-Identifier: GPL-2.0-or-later */
/* setup.c - what must hold before the daemon does anything; see daemon.h. Main thread. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/guardian/proto.h"
#include "daemon/daemon.h"
#include "daemon/guardian/proto.h"
#include "daemon/kernel/cachefiles.h"
#include "daemon/kernel/fanotify.h"
#include "daemon/kernel/selftest.h"
#include "daemon/log.h"
#include "daemon/programs.h"

#define SELFTEST_TURNS 3
#define FILES_WANTED 65536u	/* one per layer and waiting read; the transport asks for more */

#ifndef BTRFS_SUPER_MAGIC
#define BTRFS_SUPER_MAGIC 0x9123683E
#endif

void setup_limits(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < FILES_WANTED) {
		struct rlimit want = { FILES_WANTED, FILES_WANTED };

		if (lim.rlim_max > FILES_WANTED)
			want.rlim_max = lim.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &want) < 0) {
			lim.rlim_cur = lim.rlim_max;
			setrlimit(RLIMIT_NOFILE, &lim);
		}
	}
	/* Tokens and passwords must not end in a core file. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		log_warning("core files cannot be switched off: %s", strerror(errno));
	/* Broken pipes are errors of write(); a lease that is asked back is not news. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
}

/*
 * Empty, or with something of ours in it: else, made private, it would fail its users. A new
 * ext4 of its own for the cache holds lost+found.
 */
static bool folder_is_ours(const char *path)
{
	static const char *const marks[] = { "lock", "images", ADMIN_SOCKET, GUARDIAN_LOCK };
	cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(dup(fd));
	bool empty = d != NULL;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    strcmp(e->d_name, "lost+found") != 0)
			empty = false;
	if (d)
		closedir(d);
	for (size_t i = 0; !empty && fd >= 0 && i < sizeof(marks) / sizeof(marks[0]); i++)
		if (faccessat(fd, marks[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	return empty;
}

static int folder(const char *path, struct err *err)
{
	struct stat st;
	int r = io_mkdir_p(path, 0700);

	if (r < 0)
		return err_sys(err, -r, "cannot make %s", path);
	if (stat(path, &st) < 0)
		return err_sys(err, errno, "%s", path);
	if (st.st_uid != geteuid())
		return err_set(err, ERR_UNSUPPORTED, EPERM, "%s belongs to user %u, not to root",
			       path, st.st_uid);
	/* What lies there decides what programs read. */
	if ((st.st_mode & 07777) == 0700)
		return 0;
	if (!folder_is_ours(path))
		return err_set(err, ERR_UNSUPPORTED, EPERM,
			       "%s is open to others and holds things that are not ours: give "
			       "lazyerofs a folder of its own", path);
	if (chmod(path, 0700) < 0)
		return err_sys(err, errno, "cannot make %s private", path);
	return 0;
}

static int cache_file_system(const char *dir, struct err *err)
{
	struct statfs fs;

	if (statfs(dir, &fs) < 0)
		return err_sys(err, errno, "%s", dir);
	switch ((unsigned long)fs.f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
		return 0;
	case TMPFS_MAGIC:
	case OVERLAYFS_SUPER_MAGIC:
	case NFS_SUPER_MAGIC:
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "the cache %s is on a file system that cannot serve (tmpfs, "
			       "overlayfs or nfs): set dir to a folder on ext4, xfs or btrfs", dir);
	default:
		/* The self-test decides. */
		log_warning("the cache %s is on a file system (type 0x%lx) other than ext4, xfs "
			    "or btrfs", dir, (unsigned long)fs.f_type);
		return 0;
	}
}

static int lock_take(const char *dir, int *ret_fd, struct err *err)
{
	char path[CONFIG_TEXT_SIZE + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/lock", dir);
	/* For reading: what a read-only cache holds can be served. */
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, errno, "%s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int num = errno;

		close(fd);
		if (num == EWOULDBLOCK)
			return err_set(err, ERR_SYSTEM, EBUSY, "another lazyerofsd uses %s", dir);
		return err_sys(err, num, "%s", path);
	}
	*ret_fd = fd;
	return 0;
}

int setup_folders(struct daemon *d, struct err *err)
{
	int r = folder(d->config.dir, err);

	if (r == 0)
		r = folder(d->config.run_dir, err);
	if (r == 0)
		r = cache_file_system(d->config.dir, err);
	/* One lock, with the cache: two daemons on one cache are the danger. */
	if (r == 0)
		r = lock_take(d->config.dir, &d->lock_fd, err);
	if (r < 0)
		return r;
	d->spool_dirfd = open(d->config.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return d->spool_dirfd < 0 ? err_sys(err, errno, "%s", d->config.dir) : 0;
}

/* --- the kernel path -------------------------------------------------------------------- */

static int report_failure(const struct selftest_report *report, struct err *err)
{
	for (int i = 0; i < SELFTEST_CHECKS; i++)
		if (!report->check[i].passed)
			return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP, "%s: %s; %s",
				       selftest_check_name((enum selftest_check)i),
				       report->check[i].detail,
				       selftest_check_hint((enum selftest_check)i));
	return err_set(err, ERR_BUG, EIO, "self-test without a result");
}

/* Read-ahead differs with the load: a test that did not see what it looks for is repeated. */
static int fanotify_prove(const char *dir, struct err *err)
{
	struct selftest_report report;
	int r = 0;

	for (int turn = 0; turn < SELFTEST_TURNS; turn++) {
		r = fanotify_selftest(dir, &report, err);
		if (r < 0 || report.usable)
			return r;
		r = report_failure(&report, err);
		if (strstr(err->text, "WRONG BYTES"))
			return r;
	}
	return r;
}

/* Mounts wait for us, and a daemon before us has tested this very kernel. */
static bool fanotify_was_kept(struct daemon *d)
{
	int fd = d->guardian ? guardian_get(d->guardian, GUARDIAN_GROUP ".0", NULL) : -1;

	if (fd >= 0)
		close(fd);
	return fd >= 0 || notify_fds_has(d->fds, GUARDIAN_GROUP ".0");
}

static int fanotify_try(struct daemon *d, struct err *err)
{
	const struct fanotify_opts opts = {
		.cache_dir = d->config.dir, .run_dir = d->config.run_dir, .loop = d->loop,
		.guardian = d->guardian, .fds = d->fds, .shards = d->config.shards,
	};
	int r = fanotify_prove(d->config.dir, err);

	/* A full disk must not take away what is mounted. */
	if ((r == -ENOSPC || r == -EDQUOT || r == -EROFS) && fanotify_was_kept(d)) {
		log_warning("%s; going on without it, as the daemon before has passed it",
			    err->text);
		*err = (struct err)ERR_INIT;
		r = 0;
	}
	if (r == 0)
		r = fanotify_transport_new(&opts, &d->transport, err);
	return r < 0 ? err_prefix(err, "fanotify") : 0;
}

static int cachefiles_try(struct daemon *d, struct err *err)
{
	const struct config *c = &d->config;
	const struct cachefiles_opts opts = {
		.loop = d->loop, .guardian = d->guardian, .dir = c->dir, .tag = c->tag,
		.domain = c->domain, .brun = c->brun, .bcull = c->bcull, .bstop = c->bstop,
		.frun = c->frun, .fcull = c->fcull, .fstop = c->fstop,
		.any_kernel = c->any_kernel,
	};

	return cachefiles_transport_new(&opts, &d->transport, err) < 0
		       ? err_prefix(err, "cachefiles") : 0;
}

/* A cachefiles device that was kept means that its mounts are waiting for us. */
static bool cachefiles_was_kept(struct daemon *d)
{
	int fd = d->guardian ? guardian_get(d->guardian, "cachefiles", NULL) : -1;

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int transport_choose(struct daemon *d, struct err *err)
{
	struct err other = ERR_INIT;
	int r;

	if (d->config.kernel_path == CONFIG_PATH_CACHEFILES)
		return cachefiles_try(d, err);
	if (d->config.kernel_path == CONFIG_PATH_AUTO && cachefiles_was_kept(d))
		return cachefiles_try(d, err);
	r = fanotify_try(d, err);
	if (r == 0 || d->config.kernel_path == CONFIG_PATH_FANOTIFY)
		return r;
	if (cachefiles_try(d, &other) == 0) {
		log_info("%s", err->text);
		return 0;
	}
	log_error("%s", err->text);
	log_error("%s", other.text);
	return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
		       "this kernel offers no way to serve (see above, and `lazyerofs doctor`)");
}

int setup_kernel(struct daemon *d, struct err *err)
{
	char program[PROGRAMS_PATH_SIZE];
	int r = programs_find("lazyerofs-guardian", program, err);

	if (r < 0)
		return r;
	r = guardian_open(d->config.run_dir, program, d->config.grace_ms, &d->guardian, err);
	if (r == 0)
		r = transport_choose(d, err);
	if (r == 0)
		log_info("kernel path: %s", d->transport->ops->name);
	return r;
}
