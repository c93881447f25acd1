/* SPDX-License-Identifier: GPL-2.0-or-later */
/* child.c - see child.h. Loop thread. */
#include "daemon/control/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

struct child_pipe {
	struct loop_watch watch;
	struct child *child;
	char line[CHILD_LINE_MAX];
	size_t len;
	bool is_error;
};

struct child {
	struct loop *loop;
	pid_t pid;
	struct loop_watch pidfd;
	struct loop_timer timeout;
	struct child_pipe out, error;
	struct child_opts opts;
	struct child_result result;
};

static void line_end(struct child_pipe *p)
{
	struct child *c = p->child;

	p->line[p->len] = '\0';
	if (p->len > 0 && p->is_error)
		memcpy(c->result.error, p->line, p->len + 1);
	else if (p->len > 0 && c->opts.line)
		c->opts.line(c->opts.arg, p->line);
	p->len = 0;
}

static void pipe_close(struct child_pipe *p)
{
	loop_watch_del(&p->watch);
	if (p->watch.fd >= 0)
		close(p->watch.fd);
	p->watch.fd = -1;
}

/* What is there now, a bounded amount. */
static void pipe_drain(struct child_pipe *p)
{
	char data[4096];

	for (int turn = 0; turn < 64 && p->watch.fd >= 0; turn++) {
		ssize_t n = read(p->watch.fd, data, sizeof(data));

		if (n < 0)
			return;		/* EAGAIN; EINTR comes again */
		if (n == 0) {
			line_end(p);
			pipe_close(p);
			return;
		}
		for (ssize_t i = 0; i < n; i++) {
			if (data[i] == '\n')
				line_end(p);
			else if (p->len < CHILD_LINE_MAX - 1)
				p->line[p->len++] = data[i];
		}
	}
}

static void pipe_ready(struct loop_watch *w, uint32_t revents)
{
	(void)revents;
	pipe_drain(container_of(w, struct child_pipe, watch));
}

static void child_done(struct child *c)
{
	if (c->pid > 0)
		kill(-c->pid, SIGKILL);	/* not reaped yet: the number is still ours */
	pipe_close(&c->out);
	pipe_close(&c->error);
	loop_watch_del(&c->pidfd);
	loop_timer_del(&c->timeout);
	if (c->pidfd.fd >= 0)
		close(c->pidfd.fd);
}

static void child_exited(struct loop_watch *w, uint32_t revents)
{
	struct child *c = container_of(w, struct child, pidfd);
	siginfo_t info = { 0 };
	struct child_result result;
	struct child_opts opts;

	(void)revents;
	pipe_drain(&c->out);
	pipe_drain(&c->error);
	line_end(&c->out);
	line_end(&c->error);
	child_done(c);
	if (waitid(P_PID, (id_t)c->pid, &info, WEXITED) < 0)
		info.si_code = 0;
	c->result.exit_code = info.si_code == CLD_EXITED ? info.si_status : -1;
	c->result.signo = info.si_code == CLD_EXITED ? 0 : info.si_status;
	result = c->result;
	opts = c->opts;
	free(c);
	opts.exited(opts.arg, &result);
}

void child_kill(struct child *c)
{
	c->result.killed = true;
	kill(-c->pid, SIGKILL);
}

static void timed_out(struct loop_timer *t)
{
	struct child *c = container_of(t, struct child, timeout);

	c->result.timed_out = true;
	kill(-c->pid, SIGKILL);
}

void child_free(struct child *c)
{
	if (!c)
		return;
	child_done(c);
	if (c->pid > 0)
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
	free(c);
}

static int spawn(struct child *c, int out_fd, int error_fd)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int r;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out_fd, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, error_fd, STDERR_FILENO);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETPGROUP);
	r = posix_spawn(&c->pid, c->opts.argv[0], &files, &attr,
			(char *const *)(uintptr_t)c->opts.argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	if (r != 0)
		c->pid = 0;
	return -r;
}

static int pipe_open(struct child *c, struct child_pipe *p, int *ret_write_end)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	p->child = c;
	p->watch.fd = fds[0];
	p->watch.events = POLLIN;
	p->watch.ready = pipe_ready;
	*ret_write_end = fds[1];
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return loop_watch_add(c->loop, &p->watch);
}

static int child_open(struct child *c)
{
	cleanup_close int out_fd = -1, error_fd = -1;
	int r = pipe_open(c, &c->out, &out_fd);

	if (r == 0)
		r = pipe_open(c, &c->error, &error_fd);
	if (r == 0)
		r = spawn(c, out_fd, error_fd);
	if (r < 0)
		return r;
	c->pidfd.fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd.fd < 0)
		return -errno;
	c->pidfd.events = POLLIN;
	c->pidfd.ready = child_exited;
	r = loop_watch_add(c->loop, &c->pidfd);
	if (r == 0 && c->opts.timeout_ms)
		r = loop_timer_set(c->loop, &c->timeout, io_now_ms() + c->opts.timeout_ms);
	return r;
}

int child_start(struct loop *loop, const struct child_opts *opts, struct child **ret,
		struct err *err)
{
	struct child *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_sys(err, ENOMEM, "%s", opts->argv[0]);
	c->loop = loop;
	c->opts = *opts;
	c->pidfd.fd = c->out.watch.fd = c->error.watch.fd = -1;
	c->error.is_error = true;
	c->timeout.fired = timed_out;
	r = child_open(c);
	c->opts.argv = NULL;
	if (r < 0) {
		err_sys(err, -r, "cannot start %s", opts->argv[0]);
		child_free(c);
		return r;
	}
	*ret = c;
	return 0;
}
