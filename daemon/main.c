/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c - lazyerofsd: options, signals, and the loop. See daemon.h for what is started.
 *
 * The daemon stays in the foreground; whoever starts it (systemd, a shell's &) keeps it.
 */
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/log.h"

#define DEFAULT_CONFIG LZ_SYSCONFDIR "/lazyerofs/lazyerofs.conf"

enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE };

struct arguments {
	const char *config_path;	/* NULL: the default, which may be missing */
	const char *dir, *run_dir, *kernel_path;	/* over the file; NULL: not given */
	bool check, print;
};

static const char usage[] =
	"Usage: lazyerofsd [OPTION...]\n"
	"Serve container images, mounted as EROFS, while their layers are still being fetched.\n"
	"\n"
	"  -c, --config FILE       settings (default: " DEFAULT_CONFIG ", if it is there)\n"
	"  -d, --dir DIR           the cache; over what FILE says\n"
	"  -r, --run-dir DIR       sockets\n"
	"  -k, --kernel-path WORD  auto, fanotify or cachefiles\n"
	"  -f, --foreground        stay in the foreground (it always does)\n"
	"      --check-config      read the settings, say what is wrong, and end\n"
	"      --print-config      print the settings as a commented file, and end\n"
	"  -h, --help              print this text\n"
	"  -V, --version           print the version\n"
	"\n"
	"SIGHUP reads FILE again; SIGTERM and SIGINT stop in order (mounts stay), twice at once.\n"
	"Keys of FILE (lazyerofs.conf(5), --print-config):\n";

static void print_usage(void)
{
	int column = 0;

	fputs(usage, stdout);
	for (const struct config_key *k = config_keys; k->name; k++) {
		if (column + strlen(k->name) > 78)
			column = printf("\n") - 1;
		column += printf("  %s", k->name);
	}
	putchar('\n');
}

static int misuse(const char *text)
{
	if (text)
		fprintf(stderr, "lazyerofsd: %s\n", text);
	fprintf(stderr, "lazyerofsd: try --help\n");
	return EXIT_USAGE;
}

/* -1: go on; else the exit code. */
static int take_options(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "dir", required_argument, NULL, 'd' },
		{ "run-dir", required_argument, NULL, 'r' },
		{ "kernel-path", required_argument, NULL, 'k' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "check-config", no_argument, NULL, 'C' },
		{ "print-config", no_argument, NULL, 'P' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:d:r:k:fhV", options, NULL)) >= 0) {
		switch (c) {
		case 'c':
			a->config_path = optarg;
			break;
		case 'd':
			a->dir = optarg;
			break;
		case 'r':
			a->run_dir = optarg;
			break;
		case 'k':
			a->kernel_path = optarg;
			break;
		case 'f':
			break;
		case 'C':
			a->check = true;
			break;
		case 'P':
			a->print = true;
			break;
		case 'h':
			print_usage();
			return EXIT_DONE;
		case 'V':
			printf("lazyerofsd %s\n", PACKAGE_VERSION);
			return EXIT_DONE;
		default:
			return misuse(NULL);
		}
	}
	return optind < argc ? misuse("takes no arguments, only options") : -1;
}

static int load_config(const struct arguments *a, struct daemon *d, struct err *err)
{
	const char *const over[][2] = {
		{ "dir", a->dir }, { "run_dir", a->run_dir }, { "kernel_path", a->kernel_path },
	};
	const char *path = a->config_path ? a->config_path : DEFAULT_CONFIG;
	int r = config_load(&d->config, path, err);

	if (r == 0)
		d->config_path = path;
	else if (r == -ENOENT && !a->config_path)
		r = 0;
	for (size_t i = 0; r == 0 && i < sizeof(over) / sizeof(over[0]); i++)
		if (over[i][1])
			r = config_set(&d->config, over[i][0], over[i][1], "command line", err);
	return r < 0 ? r : config_check(&d->config, err);
}

/* --- running ------------------------------------------------------------------------------ */

struct signals {
	struct loop_watch watch;
	struct daemon *daemon;
};

static void signal_ready(struct loop_watch *w, uint32_t revents)
{
	struct signals *s = container_of(w, struct signals, watch);
	struct signalfd_siginfo info;

	(void)revents;
	while (read(w->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			notify_reloading();
			daemon_reload(s->daemon);
			notify_ready();
		} else {
			log_info("signal %u from process %u: stopping", info.ssi_signo,
				 info.ssi_pid);
			loop_stop(s->daemon->loop);
		}
	}
}

static int run(struct daemon *d, struct err *err)
{
	struct signals s = { .daemon = d };
	sigset_t set, stop;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	stop = set;
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s.watch.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s.watch.events = POLLIN;
	s.watch.ready = signal_ready;
	r = s.watch.fd < 0 ? err_sys(err, errno, "signalfd") : daemon_start(d, err);
	if (r == 0)
		r = loop_watch_add(d->loop, &s.watch);
	if (r == 0) {
		notify_ready();
		log_info("lazyerofsd %s is ready: cache %s, socket %s/" ADMIN_SOCKET,
			 PACKAGE_VERSION, d->config.dir, d->config.run_dir);
		r = loop_run(d->loop, err);
		notify_stopping();
		loop_watch_del(&s.watch);
	}
	/* A second signal ends us where we are: nothing on disk depends on the rest. */
	sigprocmask(SIG_UNBLOCK, &stop, NULL);
	daemon_stop(d);
	if (s.watch.fd >= 0)
		close(s.watch.fd);
	return r;
}

int main(int argc, char **argv)
{
	static struct daemon d = { .lock_fd = -1, .spool_dirfd = -1 };
	struct arguments a = { 0 };
	struct err err = ERR_INIT;
	int rc = take_options(argc, argv, &a);

	if (rc >= 0)
		return rc;
	if (load_config(&a, &d, &err) < 0) {
		fprintf(stderr, "lazyerofsd: %s\n", err.text);
		return EXIT_FAILED;
	}
	if (a.print)
		config_print(&d.config, stdout);
	if (a.print || a.check)
		return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
	if (geteuid() != 0) {
		fprintf(stderr, "lazyerofsd: must run as root: it mounts file systems\n");
		return EXIT_FAILED;
	}
	log_set_level((enum log_level)d.config.log_level);
	notify_init();
	if (notify_fds_take(&d.fds, &err) < 0 || run(&d, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}
