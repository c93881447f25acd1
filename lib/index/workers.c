/* SPDX-License-Identifier: GPL-2.0-or-later */
/* workers.c - see workers.h. */
#include "index/workers.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

#define THREADS_MAX 16u
#define STOP_LOOK_MS 100

DEFINE_CLEANUP(struct oci_client *, oci_client_free, oci_client_freep)

struct job {
	uint64_t size;
	uint32_t number;
};

struct workers {
	struct oci_opts client;		/* its stop flag is halt */
	workers_fn fn;
	void *arg;
	struct job *jobs;
	uint32_t n;
	atomic_uint next;		/* job that the next free thread takes */
	atomic_bool halt;
	/* Under lock: */
	pthread_mutex_t lock;
	pthread_cond_t over;		/* a thread has ended */
	unsigned running;
	struct err err;			/* the first failure */
};

bool workers_is_stopped(const struct workers *w)
{
	return atomic_load(&w->halt);
}

int workers_progress(void *arg, uint64_t bytes)
{
	const struct workers_watch *watch = arg;

	atomic_store(&watch->progress->bytes, bytes);
	return workers_is_stopped(watch->workers) ? -ECANCELED : 0;
}

static void note_failure(struct workers *w, const struct err *err)
{
	pthread_mutex_lock(&w->lock);
	if (!w->err.num)
		w->err = *err;
	atomic_store(&w->halt, true);
	pthread_mutex_unlock(&w->lock);
}

static void work(struct workers *w)
{
	cleanup_(oci_client_freep) struct oci_client *c = NULL;
	struct err err = ERR_INIT;

	if (oci_client_new(&w->client, NULL, &c, &err) < 0) {
		note_failure(w, &err);
		return;
	}
	while (!workers_is_stopped(w)) {
		uint32_t job = atomic_fetch_add(&w->next, 1);

		if (job >= w->n)
			break;
		if (w->fn(w->arg, w, c, w->jobs[job].number, &err) < 0)
			note_failure(w, &err);
	}
}

static void *work_thread(void *arg)
{
	struct workers *w = arg;

	work(w);
	pthread_mutex_lock(&w->lock);
	w->running--;
	pthread_cond_signal(&w->over);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Hand the caller's stop flag on. */
static void wait_all(struct workers *w, const atomic_bool *stop)
{
	struct timespec until;

	pthread_mutex_lock(&w->lock);
	while (w->running) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += STOP_LOOK_MS * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&w->over, &w->lock, &until);
		if (stop && atomic_load(stop))
			atomic_store(&w->halt, true);
	}
	pthread_mutex_unlock(&w->lock);
}

static unsigned count_threads(unsigned wanted, uint32_t jobs)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (!wanted)
		wanted = cores > 0 ? (unsigned)cores : 1;
	if (wanted > THREADS_MAX)
		wanted = THREADS_MAX;
	return wanted < jobs ? wanted : jobs;
}

static int larger_first(const void *a, const void *b)
{
	const struct job *x = a, *y = b;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

int workers_run(const struct oci_opts *client, unsigned threads,
		const struct index_progress *blobs, uint32_t n, workers_fn fn, void *arg,
		struct err *err)
{
	cleanup_free struct job *jobs = calloc(n ? n : 1, sizeof(*jobs));
	struct workers w = { .client = *client, .fn = fn, .arg = arg, .jobs = jobs, .n = n,
			     .lock = PTHREAD_MUTEX_INITIALIZER,
			     .over = PTHREAD_COND_INITIALIZER };
	unsigned want = count_threads(threads, n), started = 0;
	pthread_t ids[THREADS_MAX];

	if (!jobs)
		return err_sys(err, ENOMEM, "list of blobs");
	for (uint32_t i = 0; i < n; i++)
		jobs[i] = (struct job){ blobs[i].size, i };
	qsort(jobs, n, sizeof(*jobs), larger_first);
	w.client.stop = &w.halt;
	w.running = want;
	while (started < want && pthread_create(&ids[started], NULL, work_thread, &w) == 0)
		started++;
	pthread_mutex_lock(&w.lock);
	w.running -= want - started;
	pthread_mutex_unlock(&w.lock);
	if (started == 0 && want)
		return err_set(err, ERR_SYSTEM, EAGAIN, "cannot start a thread");
	wait_all(&w, client->stop);
	for (unsigned i = 0; i < started; i++)
		pthread_join(ids[i], NULL);
	if (client->stop && atomic_load(client->stop))
		return err_set(err, ERR_SYSTEM, ECANCELED, "interrupted");
	if (w.err.num && err)
		*err = w.err;
	return -w.err.num;
}
