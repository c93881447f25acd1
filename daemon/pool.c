/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pool.c - see pool.h. */
#include "daemon/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define POOL_THREADS_MIN 2u
#define POOL_THREADS_MAX 16u

struct pool {
	struct loop *loop;
	pthread_mutex_t lock;
	pthread_cond_t work_or_stop;
	struct list faults, background;		/* under lock */
	unsigned background_running;		/* under lock */
	bool stop;				/* under lock */
	unsigned nthreads;
	pthread_t threads[POOL_THREADS_MAX];
};

/* Lock held. A fault if there is one, else background work while a thread stays free. */
static struct pool_job *next_job(struct pool *p)
{
	struct list *from = NULL;
	struct pool_job *job;

	if (!list_is_empty(&p->faults))
		from = &p->faults;
	else if (!list_is_empty(&p->background) && p->background_running + 1 < p->nthreads)
		from = &p->background;
	if (!from)
		return NULL;
	job = list_first(from, struct pool_job, link);
	list_del(&job->link);
	return job;
}

static void job_done(struct loop_task *t)
{
	struct pool_job *job = container_of(t, struct pool_job, task);

	job->done(job);
}

static void *worker(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct pool_job *job = next_job(p);
		bool background;

		if (!job) {
			if (p->stop && list_is_empty(&p->background))
				break;
			pthread_cond_wait(&p->work_or_stop, &p->lock);
			continue;
		}
		background = job->prio == POOL_BACKGROUND;
		p->background_running += background;
		pthread_mutex_unlock(&p->lock);

		job->work(job);
		job->task.run = job_done;
		loop_post(p->loop, &job->task);	/* from here on job may be gone */

		pthread_mutex_lock(&p->lock);
		if (background) {
			p->background_running--;
			pthread_cond_broadcast(&p->work_or_stop);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

void pool_submit(struct pool *p, struct pool_job *job)
{
	job->pool = p;
	pthread_mutex_lock(&p->lock);
	list_add_tail(job->prio == POOL_FAULT ? &p->faults : &p->background, &job->link);
	pthread_cond_signal(&p->work_or_stop);
	pthread_mutex_unlock(&p->lock);
}

void pool_promote(struct pool *p, struct pool_job *job)
{
	struct pool_job *queued;

	pthread_mutex_lock(&p->lock);
	/* Not there: it runs, or has run, or was none. */
	list_for_each(queued, &p->background, link) {
		if (queued != job)
			continue;
		list_del(&job->link);
		job->prio = POOL_FAULT;
		list_add_tail(&p->faults, &job->link);
		pthread_cond_signal(&p->work_or_stop);
		break;
	}
	pthread_mutex_unlock(&p->lock);
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->work_or_stop);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->nthreads; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->work_or_stop);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static unsigned threads_wanted(unsigned nthreads)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (nthreads == 0 && cores > 0)
		nthreads = (unsigned)cores;
	if (nthreads < POOL_THREADS_MIN)
		return POOL_THREADS_MIN;
	return nthreads > POOL_THREADS_MAX ? POOL_THREADS_MAX : nthreads;
}

int pool_new(struct loop *l, unsigned nthreads, struct pool **ret, struct err *err)
{
	struct pool *p = calloc(1, sizeof(*p));
	sigset_t all, old;
	int r = 0;

	if (!p)
		return err_sys(err, ENOMEM, "thread pool");
	p->loop = l;
	list_init(&p->faults);
	list_init(&p->background);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work_or_stop, NULL);
	nthreads = threads_wanted(nthreads);
	/* Signals belong to the loop's thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_mutex_lock(&p->lock);
	while (r == 0 && p->nthreads < nthreads) {
		r = pthread_create(&p->threads[p->nthreads], NULL, worker, p);
		p->nthreads += r == 0;
	}
	pthread_mutex_unlock(&p->lock);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0) {
		pool_free(p);
		return err_sys(err, r, "cannot start a worker thread");
	}
	*ret = p;
	return 0;
}
