/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c - mkfs.lazyerofs: options, files, and two processes.
 *
 *   parent   opens everything, waits, renames the outputs or removes them
 *   child    enters the sandbox with the open descriptors, does the job (job.c), exits
 *
 * The child writes its own one-line message; the parent speaks only where the child could
 * not (killed by a limit). Exit codes: mkfs.lazyerofs(8).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "config.h"
#include "mkfs/job.h"
#include "mkfs/output.h"
#include "mkfs/sandbox.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NOT_LAZY = 3 };

#define DEFAULT_TIMEOUT_SECONDS 60u
#define MAX_TIMEOUT_SECONDS 86400u
#define MAX_LAYERS 1024
#define MEMORY_MAX_BYTES (4ull << 30)
#define OUTPUT_MAX_BYTES (64ull << 30)

struct options {
	const char *out;
	const char *maps[MAX_LAYERS];
	int nmaps;
	char **ztocs;
	int nztocs;
	enum bootstrap_kind kind;
	bool json;
	uint32_t timeout_seconds;
};

struct files {
	struct output out, maps[MAX_LAYERS];
	struct job_layer layers[MAX_LAYERS];
};

static const char usage_text[] =
	"usage: mkfs.lazyerofs -o BOOTSTRAP [options] ZTOC...\n"
	"\n"
	"Make the EROFS metadata image (bootstrap) of container image layers from their\n"
	"zTOCs, the bottom layer first.\n"
	"\n"
	"  -o, --output FILE        the bootstrap to write\n"
	"  -m, --map FILE           write the layer map; the n-th belongs to the n-th ZTOC\n"
	"  -k, --kernel-path PATH   fanotify (default) or cachefiles\n"
	"  -j, --json               print a summary as JSON\n"
	"  -t, --timeout SECONDS    give up after so long (default 60)\n"
	"  -h, --help               print this text\n"
	"  -V, --version            print the version\n";

static int misuse(const char *what, const char *arg)
{
	fprintf(stderr, "mkfs.lazyerofs: %s%s%s (try --help)\n", what, arg ? ": " : "",
		arg ? arg : "");
	return EXIT_USAGE;
}

static int fail(const struct err *err)
{
	fprintf(stderr, "mkfs.lazyerofs: %s\n", err->text);
	return err->kind == ERR_UNSUPPORTED ? EXIT_NOT_LAZY : EXIT_FAILED;
}

/* -1: go on; else the exit code. */
static int take_option(struct options *o, int c, const char *arg)
{
	char *end;
	unsigned long v;

	switch (c) {
	case 'o':
		o->out = arg;
		return -1;
	case 'm':
		if (o->nmaps == MAX_LAYERS)
			return misuse("too many maps", NULL);
		o->maps[o->nmaps++] = arg;
		return -1;
	case 'k':
		if (strcmp(arg, "fanotify") != 0 && strcmp(arg, "cachefiles") != 0)
			return misuse("unknown kernel path", arg);
		o->kind = arg[0] == 'f' ? BOOTSTRAP_FANOTIFY : BOOTSTRAP_CACHEFILES;
		return -1;
	case 'j':
		o->json = true;
		return -1;
	case 't':
		errno = 0;
		v = strtoul(arg, &end, 10);
		if (errno || *end || end == arg || arg[0] == '-' || v < 1 ||
		    v > MAX_TIMEOUT_SECONDS)
			return misuse("not a number of seconds from 1 to 86400", arg);
		o->timeout_seconds = (uint32_t)v;
		return -1;
	case 'h':
		fputs(usage_text, stdout);
		return EXIT_DONE;
	case 'V':
		printf("mkfs.lazyerofs %s\n", PACKAGE_VERSION);
		return EXIT_DONE;
	default:
		return EXIT_USAGE;
	}
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "map", required_argument, NULL, 'm' },
		{ "kernel-path", required_argument, NULL, 'k' },
		{ "json", no_argument, NULL, 'j' },
		{ "timeout", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c, rc = -1;

	while (rc < 0 && (c = getopt_long(argc, argv, "o:m:k:jt:hV", longs, NULL)) >= 0)
		rc = take_option(o, c, optarg);
	if (rc >= 0)
		return rc;
	o->ztocs = argv + optind;
	o->nztocs = argc - optind;
	if (!o->out)
		return misuse("no output: -o BOOTSTRAP is needed", NULL);
	if (o->nztocs < 1)
		return misuse("no zTOC given", NULL);
	if (o->nztocs > MAX_LAYERS)
		return misuse("more than 1024 layers", NULL);
	if (o->nmaps > o->nztocs)
		return misuse("more maps than zTOCs", NULL);
	return -1;
}

static int open_files(const struct options *o, struct files *f, struct err *err)
{
	for (int i = 0; i < o->nztocs; i++) {
		struct job_layer *l = &f->layers[i];

		l->name = o->ztocs[i];
		l->map_fd = -1;
		l->ztoc_fd = open(l->name, O_RDONLY | O_CLOEXEC);
		if (l->ztoc_fd < 0)
			return err_sys(err, errno, "%s", l->name);
	}
	for (int i = 0; i < o->nmaps; i++) {
		int r = output_open(&f->maps[i], o->maps[i], err);

		if (r < 0)
			return r;
		f->layers[i].map_fd = f->maps[i].fd;
		f->layers[i].map_name = o->maps[i];
	}
	return output_open(&f->out, o->out, err);
}

static _Noreturn void child_main(const struct options *o, const struct files *f,
				 const sigset_t *signals)
{
	const struct job job = {
		.layers = f->layers, .nlayers = (uint32_t)o->nztocs, .kind = o->kind,
		.out_fd = f->out.fd, .out_name = o->out,
		.json_fd = o->json ? STDOUT_FILENO : -1,
	};
	const struct sandbox_limits limits = {
		.memory_bytes = MEMORY_MAX_BYTES, .file_bytes = OUTPUT_MAX_BYTES,
		.seconds = o->timeout_seconds,
	};
	struct err err = ERR_INIT;

	/* An output past its limit is an error of write(), not a death. */
	signal(SIGXFSZ, SIG_IGN);
	sigprocmask(SIG_UNBLOCK, signals, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sandbox_enter(&limits, &err) < 0 || job_run(&job, &err) < 0)
		_exit(fail(&err));
	_exit(EXIT_DONE);
}

static int report_death(const struct options *o, int signo)
{
	if (signo == SIGALRM || signo == SIGXCPU)
		fprintf(stderr, "mkfs.lazyerofs: gave up after %u seconds (--timeout)\n",
			o->timeout_seconds);
	else
		fprintf(stderr, "mkfs.lazyerofs: the sandboxed process was killed: %s\n",
			signo == SIGSYS ? "forbidden system call" : strsignal(signo));
	return EXIT_FAILED;
}

/* The child's exit code. A signal that asks us to end takes the child along. */
static int wait_child(const struct options *o, pid_t pid, const sigset_t *signals)
{
	int status, signo = 0;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (sigwait(signals, &signo) != 0 || signo == SIGCHLD)
			continue;
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		fprintf(stderr, "mkfs.lazyerofs: interrupted\n");
		return EXIT_FAILED;
	}
	if (WIFSIGNALED(status))
		return report_death(o, WTERMSIG(status));
	return WEXITSTATUS(status);
}

static int run_sandboxed(const struct options *o, const struct files *f)
{
	sigset_t signals;
	pid_t pid;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		fprintf(stderr, "mkfs.lazyerofs: fork: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	if (pid == 0)
		child_main(o, f, &signals);
	return wait_child(o, pid, &signals);
}

/* Maps first: a bootstrap that stands has its maps. */
static int commit_all(const struct options *o, struct files *f, struct err *err)
{
	int r = 0;

	for (int i = 0; i < o->nmaps && r == 0; i++)
		r = output_commit(&f->maps[i], err);
	return r < 0 ? r : output_commit(&f->out, err);
}

static int run(const struct options *o, struct files *f)
{
	struct err err = ERR_INIT;
	int rc;

	if (open_files(o, f, &err) < 0)
		rc = fail(&err);
	else
		rc = run_sandboxed(o, f);
	if (rc == EXIT_DONE && commit_all(o, f, &err) < 0)
		rc = fail(&err);
	for (int i = 0; i < o->nmaps; i++)
		output_abort(&f->maps[i]);
	output_abort(&f->out);
	return rc;
}

int main(int argc, char **argv)
{
	struct options o = {
		.kind = BOOTSTRAP_FANOTIFY, .timeout_seconds = DEFAULT_TIMEOUT_SECONDS,
	};
	static struct files f;
	int rc = parse_options(argc, argv, &o);

	if (rc >= 0)
		return rc;
	f.out = (struct output)OUTPUT_INIT;
	for (int i = 0; i < MAX_LAYERS; i++)
		f.maps[i] = (struct output)OUTPUT_INIT;
	return run(&o, &f);
}
