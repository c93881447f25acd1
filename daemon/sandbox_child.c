/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sandbox_child.c - see sandbox_child.h. */
#include "daemon/sandbox_child.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* A resolver that needs more than this is being led astray. */
#define MEMORY_MAX_BYTES (4ull << 30)
#define FILES_MAX 256

/* All writing rights that the first landlock version (5.13) knows. */
#define WRITE_RIGHTS                                                                     \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                 \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |                 \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                     \
	 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                   \
	 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define STAGING_RIGHTS                                                                   \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |                \
	 LANDLOCK_ACCESS_FS_MAKE_REG)

static int allow_beneath(int ruleset, int dirfd, uint64_t rights)
{
	const struct landlock_path_beneath_attr rule = {
		.allowed_access = rights,
		.parent_fd = dirfd,
	};

	return (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule,
			    0);
}

static int limit_writing(int staging_dirfd, struct err *err)
{
	const struct landlock_ruleset_attr attr = { .handled_access_fs = WRITE_RIGHTS };
	cleanup_close int ruleset =
		(int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	cleanup_close int null_fd = open("/dev/null", O_PATH | O_CLOEXEC);

	if (ruleset < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
		return 0;	/* a kernel without landlock */
	if (ruleset < 0)
		return err_sys(err, errno, "landlock");
	if (allow_beneath(ruleset, staging_dirfd, STAGING_RIGHTS) < 0)
		return err_sys(err, errno, "landlock: staging folder");
	/* Credential helpers are programs like any other: they may want /dev/null. */
	if (null_fd >= 0 && allow_beneath(ruleset, null_fd, LANDLOCK_ACCESS_FS_WRITE_FILE) < 0)
		return err_sys(err, errno, "landlock: /dev/null");
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return err_sys(err, errno, "landlock");
	return 0;
}

static int drop_capabilities(struct err *err)
{
	cap_t none = cap_init();
	int r = 0;

	if (!none || cap_set_proc(none) < 0)
		r = err_sys(err, errno, "cannot drop capabilities");
	cap_free(none);
	return r;
}

static int limit_resources(struct err *err)
{
	const struct rlimit core = { 0, 0 }, files = { FILES_MAX, FILES_MAX };

	if (setrlimit(RLIMIT_CORE, &core) < 0 || setrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_sys(err, errno, "cannot set resource limits");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	const struct rlimit memory = { MEMORY_MAX_BYTES, MEMORY_MAX_BYTES };

	if (setrlimit(RLIMIT_AS, &memory) < 0)
		return err_sys(err, errno, "cannot set resource limits");
#endif
	return 0;
}

int sandbox_child_enter(int staging_dirfd, struct err *err)
{
	int r = limit_resources(err);

	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(err, errno, "cannot give up privileges");
	r = limit_writing(staging_dirfd, err);
	return r < 0 ? r : drop_capabilities(err);
}
