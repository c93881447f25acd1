/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sandbox.c - see sandbox.h. */
#include "mkfs/sandbox.h"

#include <errno.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* What libc, malloc and this program's own input and output need. */
static const int allowed[] = {
	SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(writev),
	SCMP_SYS(pwrite64), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
	SCMP_SYS(ftruncate), SCMP_SYS(fsync), SCMP_SYS(close),
	SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect),
	SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex), SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(restart_syscall),
#if SANITIZED
	SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigaction), SCMP_SYS(sched_yield),
	SCMP_SYS(readlink), SCMP_SYS(getrusage), SCMP_SYS(prctl), SCMP_SYS(tgkill),
#endif
};

/* Calls that a library may try and do without: an error instead of death. */
static const int denied[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(creat),
	SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(access),
	SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(ioctl), SCMP_SYS(prlimit64),
	SCMP_SYS(sysinfo), SCMP_SYS(sched_getaffinity), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
};

static int set_limit(int resource, uint64_t value, const char *name, struct err *err)
{
	struct rlimit old, lim = { .rlim_cur = value, .rlim_max = value };

	if (getrlimit(resource, &old) < 0)
		return err_sys(err, errno, "sandbox: getrlimit %s", name);
	if (old.rlim_max < lim.rlim_max)
		lim.rlim_cur = lim.rlim_max = old.rlim_max;
	if (setrlimit(resource, &lim) < 0)
		return err_sys(err, errno, "sandbox: setrlimit %s", name);
	return 0;
}

static int set_limits(const struct sandbox_limits *l, struct err *err)
{
	int r = set_limit(RLIMIT_CORE, 0, "core", err);

	if (r == 0 && !SANITIZED)
		r = set_limit(RLIMIT_AS, l->memory_bytes, "as", err);
	if (r == 0)
		r = set_limit(RLIMIT_FSIZE, l->file_bytes, "fsize", err);
	if (r == 0)
		r = set_limit(RLIMIT_CPU, l->seconds, "cpu", err);
	if (r == 0)
		r = set_limit(RLIMIT_NOFILE, 0, "nofile", err);
	if (r == 0)
		alarm(l->seconds);
	return r;
}

static int drop_capabilities(struct err *err)
{
	cap_t none = cap_init();
	int r = 0;

	if (!none)
		return err_sys(err, errno, "sandbox: cap_init");
	/* Without CAP_SETPCAP the bounding set stays; no_new_privs makes it moot. */
	for (cap_value_t c = 0; cap_get_bound(c) >= 0; c++)
		(void)cap_drop_bound(c);
	if (cap_reset_ambient() < 0 && errno != EINVAL)
		r = err_sys(err, errno, "sandbox: ambient capabilities");
	if (r == 0 && cap_set_proc(none) < 0)
		r = err_sys(err, errno, "sandbox: cap_set_proc");
	cap_free(none);
	return r;
}

/* Rights of ABI 1 to 3; later ones cover devices and the network, seccomp's business. */
static uint64_t landlock_rights(long abi)
{
	uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

	if (abi >= 2)
		rights |= 1ull << 13;	/* LANDLOCK_ACCESS_FS_REFER, Linux 5.19 */
	if (abi >= 3)
		rights |= 1ull << 14;	/* LANDLOCK_ACCESS_FS_TRUNCATE, Linux 6.2 */
	return rights;
}

static int enter_landlock(struct err *err)
{
	struct { uint64_t handled_access_fs; } attr;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
			   LANDLOCK_CREATE_RULESET_VERSION);
	cleanup_close int fd = -1;

	/* Not in this kernel, or not switched on: seccomp alone must do. */
	if (abi < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
		return 0;
	if (abi < 0)
		return err_sys(err, errno, "sandbox: landlock");
	attr.handled_access_fs = landlock_rights(abi);
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return err_sys(err, errno, "sandbox: landlock");
	return 0;
}

static int add_rules(scmp_filter_ctx ctx, uint32_t action, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int r = seccomp_rule_add(ctx, action, calls[i], 0);

		/* -EEXIST: the sanitizers' list names a call of both. */
		if (r < 0 && r != -EEXIST && r != -EDOM)
			return r;
	}
	return 0;
}

static int enter_seccomp(struct err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r;

	if (!ctx)
		return err_sys(err, ENOMEM, "sandbox: seccomp");
	r = add_rules(ctx, SCMP_ACT_ALLOW, allowed, sizeof(allowed) / sizeof(allowed[0]));
	if (r == 0)
		r = add_rules(ctx, SCMP_ACT_ERRNO(EPERM), denied,
			      sizeof(denied) / sizeof(denied[0]));
	/* abort() of an assertion: SIGABRT to itself, then death either way. */
	if (r == 0 && !SANITIZED)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 2,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()),
				     SCMP_A2(SCMP_CMP_EQ, SIGABRT));
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r < 0 ? err_sys(err, -r, "sandbox: seccomp") : 0;
}

int sandbox_enter(const struct sandbox_limits *limits, struct err *err)
{
	int r = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = err_sys(err, errno, "sandbox: no_new_privs");
	if (r == 0)
		r = enter_landlock(err);
	if (r == 0)
		r = drop_capabilities(err);
	if (r == 0)
		r = set_limits(limits, err);
	return r < 0 ? r : enter_seccomp(err);
}
