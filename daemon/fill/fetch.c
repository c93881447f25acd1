/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fetch.c - see fetch.h. */
#include "daemon/fill/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "daemon/log.h"
#include "daemon/pool.h"

#define BLOCKING_THREADS 2u

struct fetch_watch {
	struct loop_watch watch;
	struct fetch *f;
};

struct fetch {
	struct loop *loop;
	struct pool *pool;		/* for blocking work; NULL until needed */
	struct oci_client *client;
	struct loop_timer timer;
	struct fetch_watch **by_fd;	/* made when first needed, kept until the end */
	int nfds;
};

struct blocking {
	struct pool_job job;
	void (*work)(void *data);
	void (*done)(void *data);
	void *data;
};

static void fd_ready(struct loop_watch *w, uint32_t revents)
{
	struct fetch_watch *fw = container_of(w, struct fetch_watch, watch);

	oci_client_fd_ready(fw->f->client, w->fd, (int)revents);
}

static struct fetch_watch *watch_of(struct fetch *f, int fd)
{
	if (fd >= f->nfds) {
		int n = fd + 64;
		struct fetch_watch **w = reallocarray(f->by_fd, (size_t)n, sizeof(*w));

		if (!w)
			return NULL;
		memset(w + f->nfds, 0, (size_t)(n - f->nfds) * sizeof(*w));
		f->by_fd = w;
		f->nfds = n;
	}
	if (!f->by_fd[fd]) {
		f->by_fd[fd] = calloc(1, sizeof(struct fetch_watch));
		if (!f->by_fd[fd])
			return NULL;
		f->by_fd[fd]->watch.ready = fd_ready;
		f->by_fd[fd]->watch.fd = fd;
		f->by_fd[fd]->f = f;
	}
	return f->by_fd[fd];
}

static void hook_watch_fd(void *arg, int fd, int events)
{
	struct fetch *f = arg;
	struct fetch_watch *fw = watch_of(f, fd);
	int r = -ENOMEM;

	if (fw && events == 0) {
		loop_watch_del(&fw->watch);
		return;
	}
	if (fw && fw->watch.loop) {
		r = loop_watch_set(&fw->watch, (uint32_t)events);
	} else if (fw) {
		fw->watch.events = (uint32_t)events;
		r = loop_watch_add(f->loop, &fw->watch);
	}
	/* The transfer then ends by its stall time-out. */
	if (r < 0)
		log_error("a registry connection cannot be watched: %s", strerror(-r));
}

static void hook_set_timer(void *arg, int64_t ms)
{
	struct fetch *f = arg;
	int r;

	if (ms < 0) {
		loop_timer_del(&f->timer);
		return;
	}
	r = loop_timer_set(f->loop, &f->timer, io_now_ms() + (uint64_t)ms);
	if (r < 0)
		log_error("the registry client's timer cannot be set: %s", strerror(-r));
}

static void timer_fired(struct loop_timer *t)
{
	oci_client_timer_fired(container_of(t, struct fetch, timer)->client);
}

static void blocking_work(struct pool_job *job)
{
	struct blocking *b = container_of(job, struct blocking, job);

	b->work(b->data);
}

static void blocking_done(struct pool_job *job)
{
	struct blocking *b = container_of(job, struct blocking, job);
	void (*done)(void *data) = b->done;
	void *data = b->data;

	free(b);
	done(data);
}

static int hook_run_blocking(void *arg, void (*work)(void *), void (*done)(void *), void *data)
{
	struct fetch *f = arg;
	struct blocking *b;
	int r = f->pool ? 0 : pool_new(f->loop, BLOCKING_THREADS, &f->pool, NULL);

	if (r < 0)
		return r;
	b = malloc(sizeof(*b));
	if (!b)
		return -ENOMEM;
	*b = (struct blocking){
		.job = { .work = blocking_work, .done = blocking_done, .prio = POOL_FAULT },
		.work = work, .done = done, .data = data,
	};
	pool_submit(f->pool, &b->job);
	return 0;
}

int fetch_new(struct loop *l, const struct oci_opts *opts, struct fetch **ret, struct err *err)
{
	struct fetch *f = calloc(1, sizeof(*f));
	struct oci_hooks hooks = {
		.arg = f,
		.watch_fd = hook_watch_fd,
		.set_timer = hook_set_timer,
		.run_blocking = hook_run_blocking,
	};
	int r;

	if (!f)
		return err_sys(err, ENOMEM, "registry client");
	f->loop = l;
	f->timer.fired = timer_fired;
	r = oci_client_new(opts, &hooks, &f->client, err);
	if (r < 0) {
		fetch_free(f);
		return r;
	}
	*ret = f;
	return 0;
}

void fetch_free(struct fetch *f)
{
	if (!f)
		return;
	if (f->client)
		oci_client_free(f->client);
	pool_free(f->pool);
	loop_timer_del(&f->timer);
	for (int i = 0; i < f->nfds; i++) {
		if (f->by_fd[i])
			loop_watch_del(&f->by_fd[i]->watch);
		free(f->by_fd[i]);
	}
	free(f->by_fd);
	free(f);
}

struct oci_client *fetch_client(struct fetch *f)
{
	return f->client;
}
