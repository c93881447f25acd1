/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sandbox.c - see sandbox.h. */
#include "daemon/sandbox.h"

#include <seccomp.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "daemon/log.h"

static const cap_value_t kept[] = {
	CAP_SYS_ADMIN,		/* mount, fanotify, the cachefiles device */
	CAP_DAC_READ_SEARCH,	/* OCI layouts of other users */
	CAP_SYS_RESOURCE,	/* RLIMIT_NOFILE, reserved blocks of the cache */
};
#define NKEPT (sizeof(kept) / sizeof(kept[0]))

static bool is_kept(cap_value_t c)
{
	for (size_t i = 0; i < NKEPT; i++)
		if (kept[i] == c)
			return true;
	return false;
}

void sandbox_missing(char *ret, size_t size)
{
	cap_t now = cap_get_proc();
	size_t n = 0;

	ret[0] = '\0';
	for (size_t i = 0; now && i < NKEPT; i++) {
		cap_flag_value_t v = CAP_CLEAR;
		char *name = cap_to_name(kept[i]);

		if (cap_get_flag(now, kept[i], CAP_EFFECTIVE, &v) == 0 && v == CAP_CLEAR &&
		    n < size)
			n += (size_t)snprintf(ret + n, size - n, "%s%s", n ? " " : "",
					      name ? name : "?");
		cap_free(name);
	}
	cap_free(now);
}

static int drop_capabilities(struct err *err)
{
	cap_t now = cap_get_proc(), want = cap_init();
	int r = now && want ? 0 : -1;

	for (cap_value_t c = 0; r == 0 && c < cap_max_bits(); c++)
		if (!is_kept(c) && cap_get_bound(c) > 0 && cap_drop_bound(c) < 0 &&
		    errno != EPERM)
			r = -1;
	/* What we never had cannot be asked for. */
	for (size_t i = 0; r == 0 && i < NKEPT; i++) {
		cap_flag_value_t v = CAP_CLEAR;

		r = cap_get_flag(now, kept[i], CAP_PERMITTED, &v);
		if (r == 0 && v == CAP_SET)
			r = cap_set_flag(want, CAP_PERMITTED, 1, &kept[i], CAP_SET) |
			    cap_set_flag(want, CAP_EFFECTIVE, 1, &kept[i], CAP_SET);
	}
	if (r == 0)
		r = cap_set_proc(want);
	if (r < 0)
		r = err_sys(err, errno, "cannot drop capabilities");
	cap_free(now);
	cap_free(want);
	return r;
}

static const char *const denied[] = {
	"acct", "add_key", "bpf", "create_module", "delete_module", "finit_module",
	"init_module", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl",
	"lookup_dcookie", "mbind", "migrate_pages", "move_pages", "nfsservctl",
	"perf_event_open", "personality", "pivot_root", "process_vm_readv",
	"process_vm_writev", "ptrace", "quotactl", "reboot", "request_key", "setdomainname",
	"sethostname", "setns", "settimeofday", "clock_settime", "adjtimex", "swapoff",
	"swapon", "syslog", "uselib", "userfaultfd", "vhangup", "chroot",
};

static int deny_calls(struct err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < sizeof(denied) / sizeof(denied[0]); i++) {
		int nr = seccomp_syscall_resolve_name(denied[i]);

		if (nr != __NR_SCMP_ERROR)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0);
		if (r == -EDOM || r == -EINVAL)
			r = 0;		/* not a call of this architecture */
	}
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	if (r == -EINVAL || r == -EOPNOTSUPP) {
		log_warning("this kernel has no seccomp filters: going on without");
		return 0;
	}
	return r < 0 ? err_sys(err, -r, "seccomp") : 0;
}

int sandbox_daemon(struct err *err)
{
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "no_new_privs");
	r = deny_calls(err);
	return r < 0 ? r : drop_capabilities(err);
}
