/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sync.c - the loop of a client without hooks: poll(2), in oci_client_wait().
 *
 * It implements the same hooks that an event loop would, so that there is one way through
 * the client. Blocking work simply runs in place, between two polls.
 */
#include "oci/internal.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

struct sync_job {
	struct list node;
	void (*work)(void *);
	void (*done)(void *);
	void *data;
};

static void sync_watch_fd(void *arg, int fd, int events)
{
	struct oci_client *c = arg;
	struct sync_loop *s = &c->sync;
	size_t i = 0;

	while (i < s->nfds && s->fds[i].fd != fd)
		i++;
	if (events == 0) {
		if (i < s->nfds)
			s->fds[i] = s->fds[--s->nfds];
		return;
	}
	if (i == s->nfds) {
		if (s->nfds == s->cap) {
			size_t cap = s->cap ? s->cap * 2 : 16;
			struct pollfd *fds = reallocarray(s->fds, cap, sizeof(*fds));

			/* Not watched: the stall timer ends that transfer. */
			if (!fds)
				return;
			s->fds = fds;
			s->cap = cap;
		}
		s->fds[s->nfds++].fd = fd;
	}
	s->fds[i].events = (short)events;
	s->fds[i].revents = 0;
}

static void sync_set_timer(void *arg, int64_t ms)
{
	/* oci_client_wait() asks the timers themselves. */
	(void)arg;
	(void)ms;
}

static int sync_run_blocking(void *arg, void (*work)(void *), void (*done)(void *),
			     void *data)
{
	struct oci_client *c = arg;
	struct sync_job *job = calloc(1, sizeof(*job));

	if (!job)
		return -ENOMEM;
	job->work = work;
	job->done = done;
	job->data = data;
	list_add_tail(&c->sync.jobs, &job->node);
	return 0;
}

void sync_loop_init(struct oci_client *c)
{
	c->is_sync = true;
	list_init(&c->sync.jobs);
	c->hooks = (struct oci_hooks){ .arg = c, .watch_fd = sync_watch_fd,
				       .set_timer = sync_set_timer,
				       .run_blocking = sync_run_blocking };
}

/* The client is going: jobs that never ran are told so by done(), which sees an orphan. */
void sync_loop_done(struct oci_client *c)
{
	struct sync_job *job, *tmp;

	list_for_each_safe(job, tmp, &c->sync.jobs, node) {
		list_del(&job->node);
		job->done(job->data);
		free(job);
	}
	free(c->sync.fds);
}

static bool run_job(struct oci_client *c)
{
	cleanup_free struct sync_job *job = NULL;

	if (list_is_empty(&c->sync.jobs))
		return false;
	job = list_first(&c->sync.jobs, struct sync_job, node);
	list_del(&job->node);
	job->work(job->data);
	job->done(job->data);
	return true;
}

/* Signals wake one thread only, so the others look now and then. */
#define STOP_LOOK_MS 100

static int poll_once(struct oci_client *c, struct err *err)
{
	int64_t ms = timers_next(&c->timers, io_now_ms());
	cleanup_free struct pollfd *ready = NULL;
	size_t n = c->sync.nfds;
	int r;

	if (n == 0 && ms < 0)
		return err_set(err, ERR_BUG, EDEADLK, "the registry client waits for nothing");
	if (c->opts.stop && (ms < 0 || ms > STOP_LOOK_MS))
		ms = STOP_LOOK_MS;
	r = poll(c->sync.fds, n, ms < 0 ? -1 : ms > INT_MAX ? INT_MAX : (int)ms);
	if (r < 0 && errno != EINTR)
		return err_sys(err, errno, "poll");
	if (r > 0) {
		/* A callback may change the array. */
		ready = malloc(n * sizeof(*ready));
		if (!ready)
			return err_sys(err, ENOMEM, "poll");
		memcpy(ready, c->sync.fds, n * sizeof(*ready));
		for (size_t i = 0; i < n; i++)
			if (ready[i].revents)
				oci_client_fd_ready(c, ready[i].fd, ready[i].revents);
	}
	if (timers_next(&c->timers, io_now_ms()) == 0)
		oci_client_timer_fired(c);
	return 0;
}

int oci_client_wait(struct oci_client *c, const bool *done, struct err *err)
{
	if (!c->is_sync || c->depth)
		return err_set(err, ERR_BUG, EINVAL, "oci_client_wait() on an event loop or "
			       "inside a callback");
	while (!*done) {
		int r;

		if (c->opts.stop && atomic_load(c->opts.stop))
			return err_set(err, ERR_SYSTEM, ECANCELED, "interrupted");
		r = run_job(c) ? 0 : poll_once(c, err);
		if (r < 0)
			return r;
	}
	return 0;
}
