/* SPDX-License-Identifier: GPL-2.0-or-later */
/* child_test.c - programs run by the daemon: lines, exit codes, time-outs, left-overs. */
#include "tests/unit/tap.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/io.h"
#include "daemon/control/child.h"

static struct loop *loop;
static struct child_result result;
static char heard[4096];
static bool done;

static void line(void *arg, const char *text)
{
	(void)arg;
	snprintf(heard + strlen(heard), sizeof(heard) - strlen(heard), "[%s]", text);
}

static void exited(void *arg, const struct child_result *r)
{
	(void)arg;
	result = *r;
	done = true;
}

static struct child *start(const char *script, uint32_t timeout_ms)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	const struct child_opts opts = {
		.argv = argv, .timeout_ms = timeout_ms, .line = line, .exited = exited,
	};
	struct child *c = NULL;

	heard[0] = '\0';
	done = false;
	if (child_start(loop, &opts, &c, NULL) < 0)
		bail("cannot start a shell");
	return c;
}

static void finish(void)
{
	uint64_t end = io_now_ms() + 20000;

	while (!done && io_now_ms() < end)
		loop_turn(loop, 100, NULL);
	ok(done, "it ended");
}

int main(void)
{
	const char *const nothing[] = { "/nowhere/program", NULL };
	const struct child_opts none = { .argv = nothing, .exited = exited };
	struct err err = ERR_INIT;
	struct child *c;
	int pid;

	if (loop_new(&loop, NULL) < 0)
		bail("no loop");
	start("echo a; echo first >&2; printf 'b\\nc'; echo last >&2; exit 7", 0);
	finish();
	is_str(heard, "[a][b][c]", "lines, the last without its newline");
	is_str(result.error, "last", "last line of stderr");
	is_int(result.exit_code, 7, "exit code");

	start("head -c 5000 /dev/zero | tr '\\0' x; echo; cat", 0);
	finish();
	is_int(strlen(heard), CHILD_LINE_MAX + 1, "a long line is cut; stdin is empty");

	start("kill -9 $$", 0);
	finish();
	is_int(result.exit_code, -1, "killed");
	is_int(result.signo, SIGKILL, "by a signal");

	start("sleep 100", 50);
	finish();
	ok(result.timed_out, "timed out");

	c = start("sleep 100 & echo $!; wait", 0);
	while (!heard[0])
		loop_turn(loop, 100, NULL);
	pid = atoi(heard + 1);
	child_kill(c);
	finish();
	ok(result.killed, "killed by us");
	for (int i = 0; i < 200 && kill(pid, 0) == 0; i++)
		usleep(10000);
	ok(kill(pid, 0) < 0 && errno == ESRCH, "with what it had started");

	ok(child_start(loop, &none, &c, &err) == -ENOENT, "a program that is not there");
	ok(strstr(err.text, "/nowhere/program"), "is named: %s", err.text);
	loop_free(loop);
	return tap_done();
}
