/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lab.h - what the tests of the registry client share: a scripted registry, a client that
 * is driven either by its own loop or through hooks by a little poll(2) loop with a thread
 * per blocking job, and reads collected into a buffer. Include tap.h and registry.h first.
 */
#ifndef LZ_TESTS_OCI_LAB_H
#define LZ_TESTS_OCI_LAB_H

#include <poll.h>
#include <pthread.h>

#include "base/io.h"
#include "oci/client.h"
#include "oci/image.h"

/* --- an event loop ------------------------------------------------------------------- */

struct loop_job {
	struct loop *loop;
	void (*work)(void *);
	void (*done)(void *);
	void *data;
	pthread_t thread;
};

struct loop {
	struct pollfd fds[64];
	size_t nfds;
	uint64_t due_ms;	/* UINT64_MAX: none */
	int pipe[2];		/* finished jobs, by pointer */
	unsigned njobs;
};

static void loop_watch_fd(void *arg, int fd, int events)
{
	struct loop *l = arg;
	size_t i = 0;

	while (i < l->nfds && l->fds[i].fd != fd)
		i++;
	if (!events) {
		if (i < l->nfds)
			l->fds[i] = l->fds[--l->nfds];
		return;
	}
	if (i == l->nfds)
		l->nfds++;
	if (l->nfds > 63)
		bail("too many descriptors");
	l->fds[i] = (struct pollfd){ .fd = fd, .events = (short)events };
}

static void loop_set_timer(void *arg, int64_t ms)
{
	struct loop *l = arg;

	l->due_ms = ms < 0 ? UINT64_MAX : io_now_ms() + (uint64_t)ms;
}

static void *loop_job_thread(void *arg)
{
	struct loop_job *job = arg;

	job->work(job->data);
	if (write(job->loop->pipe[1], &job, sizeof(job)) != sizeof(job))
		abort();
	return NULL;
}

static int loop_run_blocking(void *arg, void (*work)(void *), void (*done)(void *),
			     void *data)
{
	struct loop *l = arg;
	struct loop_job *job = malloc(sizeof(*job));

	*job = (struct loop_job){ .loop = l, .work = work, .done = done, .data = data };
	l->njobs++;
	return -pthread_create(&job->thread, NULL, loop_job_thread, job);
}

static void loop_finish_job(struct loop *l)
{
	struct loop_job *job;

	if (read(l->pipe[0], &job, sizeof(job)) != sizeof(job))
		bail("job pipe");
	pthread_join(job->thread, NULL);
	l->njobs--;
	job->done(job->data);
	free(job);
}

static void loop_init(struct loop *l)
{
	memset(l, 0, sizeof(*l));
	l->due_ms = UINT64_MAX;
	if (pipe(l->pipe) < 0)
		bail("pipe");
}

/* After the client is gone: its last jobs must still be told. */
static void loop_done(struct loop *l)
{
	while (l->njobs)
		loop_finish_job(l);
	close(l->pipe[0]);
	close(l->pipe[1]);
}

static void loop_once(struct loop *l, struct oci_client *c, int max_ms)
{
	struct pollfd fds[65];
	uint64_t now = io_now_ms();
	size_t n = l->nfds;
	int ms = max_ms;

	if (l->due_ms <= now)
		ms = 0;
	else if (l->due_ms - now < (uint64_t)ms)
		ms = (int)(l->due_ms - now);
	memcpy(fds, l->fds, n * sizeof(fds[0]));
	fds[n] = (struct pollfd){ .fd = l->pipe[0], .events = POLLIN };
	if (poll(fds, n + 1, ms) < 0)
		bail("poll");
	if (fds[n].revents)
		loop_finish_job(l);
	for (size_t i = 0; i < n; i++)
		if (fds[i].revents)
			oci_client_fd_ready(c, fds[i].fd, fds[i].revents);
	if (l->due_ms <= io_now_ms()) {
		l->due_ms = UINT64_MAX;
		oci_client_timer_fired(c);
	}
}

/* --- a client under test ------------------------------------------------------------- */

struct lab {
	struct oci_client *c;
	bool hooked;
	struct loop loop;
};

__attribute__((unused)) static void lab_open(struct lab *lab, bool hooked,
					     const struct oci_opts *opts)
{
	struct oci_hooks hooks = { .arg = &lab->loop, .watch_fd = loop_watch_fd,
				   .set_timer = loop_set_timer,
				   .run_blocking = loop_run_blocking };
	struct err err = ERR_INIT;

	memset(lab, 0, sizeof(*lab));
	lab->hooked = hooked;
	if (hooked)
		loop_init(&lab->loop);
	if (oci_client_new(opts, hooked ? &hooks : NULL, &lab->c, &err) < 0)
		bail("client: %s", err.text);
}

__attribute__((unused)) static void lab_close(struct lab *lab)
{
	oci_client_free(lab->c);
	if (lab->hooked) {
		loop_done(&lab->loop);
		if (lab->loop.nfds)
			bail("%zu descriptors still watched", lab->loop.nfds);
	}
}

__attribute__((unused)) static void lab_wait(struct lab *lab, const bool *done)
{
	uint64_t end = io_now_ms() + 60000;
	struct err err = ERR_INIT;

	if (!lab->hooked) {
		if (oci_client_wait(lab->c, done, &err) < 0)
			bail("wait: %s", err.text);
		return;
	}
	while (!*done) {
		loop_once(&lab->loop, lab->c, 1000);
		if (io_now_ms() > end)
			bail("a request never ended");
	}
}

/* Let things happen for ms milliseconds. */
__attribute__((unused)) static void lab_spin(struct lab *lab, uint64_t ms)
{
	uint64_t end = io_now_ms() + ms, now;

	while ((now = io_now_ms()) < end)
		loop_once(&lab->loop, lab->c, (int)(end - now));
}

/* A reference, as printf() would write it. */
__attribute__((unused)) static struct oci_ref lab_ref(const char *fmt, ...)
{
	struct err err = ERR_INIT;
	struct oci_ref ref;
	char text[4300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (oci_ref_parse(text, &ref, &err) < 0)
		bail("%s", err.text);
	return ref;
}

/* --- reads --------------------------------------------------------------------------- */

struct got {
	struct buf b;
	bool done;
	unsigned ndone;
	struct err err;
	struct oci_req *req;
	/* Called with every piece; its value is on_data's. */
	int (*hook)(struct got *got);
	void *hook_arg;
};

__attribute__((unused)) static int got_data(void *arg, const uint8_t *data, size_t len)
{
	struct got *g = arg;

	if (g->done)
		bail("data after the end");
	if (buf_add(&g->b, data, len) < 0)
		return -ENOMEM;
	return g->hook ? g->hook(g) : 0;
}

__attribute__((unused)) static void got_done(void *arg, const struct err *err)
{
	struct got *g = arg;

	g->done = true;
	g->ndone++;
	g->req = NULL;
	if (err)
		g->err = *err;
}

__attribute__((unused)) static void got_reset(struct got *g)
{
	buf_done(&g->b);
	memset(g, 0, sizeof(*g));
}

/* Start a read into g. */
__attribute__((unused)) static int lab_start(struct oci_repo *repo,
					     const struct oci_desc *desc, uint64_t off,
					     uint64_t len, uint32_t deadline_ms, struct got *g)
{
	struct oci_read read = { .on_data = got_data, .on_done = got_done, .arg = g,
				 .deadline_ms = deadline_ms };

	return oci_blob_read(repo, desc, off, len, &read, &g->req, &g->err);
}

/* Start and finish one; 0 or -errno. */
__attribute__((unused)) static int lab_read(struct lab *lab, struct oci_repo *repo,
					    const struct oci_desc *desc, uint64_t off,
					    uint64_t len, uint32_t deadline_ms, struct got *g)
{
	int r;

	got_reset(g);
	r = lab_start(repo, desc, off, len, deadline_ms, g);
	if (r < 0)
		return r;
	lab_wait(lab, &g->done);
	return -g->err.num;
}

#endif
