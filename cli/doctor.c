/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * doctor.c - `lazyerofs doctor [IMAGE]`: can this machine serve images, and if not, what is
 * missing and how to get it. Everything is found out by doing it, not by version numbers.
 */
#include "cli/doctor.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/admin_client.h"
#include "daemon/config.h"
#include "daemon/kernel/selftest.h"
#include "daemon/programs.h"
#include "daemon/sandbox.h"

#define FILES_ENOUGH 4096u

void doctor_say(struct doctor *d, enum doctor_verdict verdict, const char *name,
		const char *found, const char *hint)
{
	static const char *const words[] = { "ok", "note", "MISSING" };

	if (verdict == DOCTOR_MISSING)
		d->missing++;
	if (d->checks) {
		json_t *o = json_pack("{s:s, s:s}", "check", name, "verdict",
				      verdict == DOCTOR_MISSING ? "missing" : words[verdict]);

		cli_json_set_bytes(o, "found", found, strlen(found));
		if (hint)
			cli_json_set_bytes(o, "hint", hint, strlen(hint));
		json_array_append_new(d->checks, o);
	} else if (!d->quiet) {
		printf("%-8s %-22s ", words[verdict], name);
		cli_print_bytes(stdout, found, strlen(found));
		putchar('\n');
		if (hint) {
			printf("%-8s %-22s -> ", "", "");
			cli_print_bytes(stdout, hint, strlen(hint));
			putchar('\n');
		}
	}
}

/* --- this process, this machine ----------------------------------------------------------- */

static void check_process(struct doctor *d)
{
	char missing[256], text[320];
	struct utsname uts;
	struct rlimit lim;

	if (uname(&uts) == 0)
		doctor_say(d, DOCTOR_OK, "kernel", uts.release, NULL);
	sandbox_missing(missing, sizeof(missing));
	/* Without this one only the file limit cannot be raised. */
	if (strcmp(missing, "cap_sys_resource") == 0)
		doctor_say(d, DOCTOR_NOTE, "privileges", "cap_sys_resource is missing",
			   "limits cannot be raised by the daemon itself");
	else if (missing[0])
		doctor_say(d, DOCTOR_MISSING, "privileges", missing,
			   "run as root, in a container with these capabilities");
	else
		doctor_say(d, DOCTOR_OK, "privileges", "all capabilities that are needed", NULL);
	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return;
	snprintf(text, sizeof(text), "%llu (up to %llu)", (unsigned long long)lim.rlim_cur,
		 (unsigned long long)lim.rlim_max);
	doctor_say(d, lim.rlim_max >= FILES_ENOUGH ? DOCTOR_OK : DOCTOR_NOTE, "open files", text,
		   lim.rlim_max >= FILES_ENOUGH ? NULL
			   : "raise the limit (LimitNOFILE=): each waiting read needs one");
}

static void check_programs(struct doctor *d)
{
	static const char *const names[] = { "lazyerofs-guardian", "lazyerofs-resolve",
					     "mkfs.lazyerofs" };
	char path[PROGRAMS_PATH_SIZE];
	struct err err = ERR_INIT;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (programs_find(names[i], path, &err) == 0)
			doctor_say(d, DOCTOR_OK, names[i], path, NULL);
		else
			doctor_say(d, DOCTOR_MISSING, names[i], err.text, "install it");
	}
}

/* --- kernel paths -------------------------------------------------------------------------- */

static void check_fanotify(struct doctor *d, const char *dir)
{
	struct selftest_report report;
	struct err err = ERR_INIT;
	char name[64];

	if (fanotify_selftest(dir, &report, &err) < 0) {
		doctor_say(d, DOCTOR_NOTE, "fanotify path", err.text, NULL);
		return;
	}
	for (int i = 0; i < SELFTEST_CHECKS; i++) {
		enum selftest_check check = (enum selftest_check)i;
		bool passed = report.check[i].passed;

		snprintf(name, sizeof(name), "fanotify %d/%d", i + 1, SELFTEST_CHECKS);
		if (d->verbose || d->checks || (!passed && report.check[i].detail[0]))
			doctor_say(d, passed ? DOCTOR_OK : DOCTOR_NOTE, name,
				   passed ? selftest_check_name(check) : report.check[i].detail,
				   passed ? NULL : selftest_check_hint(check));
	}
	d->paths += report.usable;
	doctor_say(d, report.usable ? DOCTOR_OK : DOCTOR_NOTE, "fanotify path",
		   report.usable ? "works on this kernel and cache" : "does not work here",
		   report.usable ? NULL : "Linux 6.14 with FANOTIFY_ACCESS_PERMISSIONS and "
		   "EROFS_FS_BACKED_BY_FILE (Ubuntu 24.04 HWE, Debian backports, Fedora 42)");
}

/* --- the daemon ---------------------------------------------------------------------------- */

static void check_guardian(struct doctor *d)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || (size_t)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/guardian.sock",
				       admin_client_run_dir()) >= sizeof(addr.sun_path))
		return;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		doctor_say(d, DOCTOR_OK, "guardian", addr.sun_path, NULL);
	else
		doctor_say(d, DOCTOR_NOTE, "guardian", "not running",
			   "lazyerofsd starts it; without it reads fail while the daemon is away");
}

/* True when a daemon serves by cachefiles: the device is taken. */
static bool check_daemon(struct doctor *d)
{
	json_auto_t *result = NULL;
	struct err err = ERR_INIT;
	const char *path;
	char text[128];

	if (admin_client_call(json_pack("{s:s}", "cmd", "ping"), NULL, &result, &err) < 0) {
		doctor_say(d, DOCTOR_NOTE, "daemon", err.text, NULL);
		return false;
	}
	path = json_string_value(json_object_get(result, "kernel_path"));
	snprintf(text, sizeof(text), "running, process %lld, by %s",
		 (long long)json_integer_value(json_object_get(result, "pid")), path ? path : "?");
	doctor_say(d, DOCTOR_OK, "daemon", text, NULL);
	check_guardian(d);
	return path && strcmp(path, "cachefiles") == 0;
}

static void load_settings(struct doctor *d, const char *file, struct config *c)
{
	const char *path = file ? file : LZ_SYSCONFDIR "/lazyerofs/lazyerofs.conf";
	struct err err = ERR_INIT;
	int r = config_load(c, path, &err);

	if (r == 0)
		doctor_say(d, DOCTOR_OK, "settings", path, NULL);
	else if (r == -ENOENT && !file)
		doctor_say(d, DOCTOR_OK, "settings", "none, the defaults hold", NULL);
	else
		doctor_say(d, DOCTOR_MISSING, "settings", err.text, "correct the file");
	if (r < 0)
		config_defaults(c);
}

static int verdict(struct doctor *d)
{
	if (d->paths == 0)
		doctor_say(d, DOCTOR_MISSING, "kernel path", "none works: images cannot be served",
			   "see the hints above; kernel-notes/ has the version tables");
	if (d->checks)
		cli_json_print(json_pack("{s:b, s:o}", "usable", d->missing == 0, "checks",
					 d->checks));
	return d->missing ? CLI_FAILED : CLI_OK;
}

int cmd_doctor(int argc, char **argv)
{
	const char *dir = NULL, *file = NULL, *platform = NULL;
	struct doctor d = { 0 };
	bool json = false, quiet = false, verbose = false, taken;
	struct config *c;
	const struct cli_opt opts[] = {
		CLI_OPT_STR('d', "dir", "DIR", "the cache folder to test on", &dir),
		CLI_OPT_STR('c', "config", "FILE", "the daemon's settings", &file),
		CLI_OPT_STR('p', "platform", "OS/ARCH", "of IMAGE", &platform),
		CLI_OPT_FLAG('q', "quiet", "print nothing: the exit code tells", &quiet),
		CLI_OPT_FLAG('v', "verbose", "each step of the self-tests", &verbose),
		CLI_OPT_FLAG('\0', "json", "print JSON", &json),
		CLI_OPT_END
	};
	const struct cli_usage usage = {
		.command = "doctor", .args = "[IMAGE]", .min_args = 0, .max_args = 1,
		.text = "Test whether this machine can serve images; with IMAGE, also whether its\n"
			"registry and SOCI index can be reached.",
		.opts = opts,
	};
	struct cli_args args;
	int rc = cli_parse(&usage, argc, argv, &args);

	if (rc >= 0)
		return rc;
	if (geteuid() != 0)
		return cli_failf("doctor must run as root: it tries what the daemon does");
	c = calloc(1, sizeof(*c));
	d.checks = json ? json_array() : NULL;
	d.quiet = quiet;
	d.verbose = verbose;
	if (!c)
		return cli_failf("no memory");
	load_settings(&d, file, c);
	if (dir)
		snprintf(c->dir, sizeof(c->dir), "%s", dir);
	check_process(&d);
	check_programs(&d);
	taken = check_daemon(&d);
	doctor_cache(&d, c->dir, check_fanotify);
	doctor_cachefiles(&d, c, taken);
	if (args.n > 0)
		doctor_image(&d, c, args.v[0], platform);
	free(c);
	return verdict(&d);
}
