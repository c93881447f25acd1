/* SPDX-License-Identifier: GPL-2.0-or-later */
/* buildpipe.c - see buildpipe.h. */
#include "ztoc/buildpipe.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define RING_ITEMS 32u
#define THREAD_FROM_BYTES (1u << 20)

struct slot {
	struct buildpipe_item item;
	uint8_t *data;			/* BUILDPIPE_ITEM_BYTES, once used */
};

struct buildpipe {
	buildpipe_fn fn;
	void *arg;
	bool threaded, running;		/* producer only */
	uint64_t bytes;			/* producer only, until running */
	pthread_t thread;

	pthread_mutex_t lock;		/* guards what follows */
	pthread_cond_t changed;
	uint64_t pushed, done;		/* items; slot i % RING_ITEMS */
	bool stop;
	int result;			/* of the first fn that failed, else 0 */
	struct err err;
	struct slot ring[RING_ITEMS];	/* [done, pushed) are the consumer's */
};

int buildpipe_new(buildpipe_fn fn, void *arg, bool threaded, struct buildpipe **ret,
		  struct err *err)
{
	struct buildpipe *p = calloc(1, sizeof(*p));

	if (!p)
		return err_sys(err, ENOMEM, "zTOC builder");
	p->fn = fn;
	p->arg = arg;
	p->threaded = threaded;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	*ret = p;
	return 0;
}

static void *consume(void *arg)
{
	struct buildpipe *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct slot *s = &p->ring[p->done % RING_ITEMS];
		struct err err = ERR_INIT;
		int r;

		while (p->done == p->pushed && !p->stop)
			pthread_cond_wait(&p->changed, &p->lock);
		if (p->stop)
			break;
		pthread_mutex_unlock(&p->lock);
		r = p->fn(p->arg, &s->item, &err);
		pthread_mutex_lock(&p->lock);
		p->done++;
		if (r < 0) {
			p->result = r;
			p->err = err;
			pthread_cond_broadcast(&p->changed);
			break;
		}
		pthread_cond_broadcast(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* No signal is handled in our thread: they are the program's business. */
static void start_thread(struct buildpipe *p)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	p->running = pthread_create(&p->thread, NULL, consume, p) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	p->threaded = p->running;
}

static int result(struct buildpipe *p, struct err *err)
{
	if (p->result < 0 && err)
		*err = p->err;
	return p->result;
}

static int wait_for_slot(struct buildpipe *p, struct err *err)
{
	WITH_LOCK(&p->lock);
	while (!p->result && p->pushed - p->done == RING_ITEMS)
		pthread_cond_wait(&p->changed, &p->lock);
	return result(p, err);
}

static void publish(struct buildpipe *p)
{
	WITH_LOCK(&p->lock);
	p->pushed++;
	pthread_cond_broadcast(&p->changed);
}

static int push_one(struct buildpipe *p, const struct buildpipe_item *item, struct err *err)
{
	struct slot *s;
	int r = wait_for_slot(p, err);

	if (r < 0)
		return r;
	/* Only the producer writes pushed, and the slot is its own until it does. */
	s = &p->ring[p->pushed % RING_ITEMS];
	if (!s->data)
		s->data = malloc(BUILDPIPE_ITEM_BYTES);
	if (!s->data)
		return err_sys(err, ENOMEM, "zTOC builder");
	s->item = *item;
	s->item.data = s->data;
	if (item->len)
		memcpy(s->data, item->data, item->len);
	publish(p);
	return 0;
}

static int run_here(struct buildpipe *p, const struct buildpipe_item *item, struct err *err)
{
	if (!p->result)
		p->result = p->fn(p->arg, item, &p->err);
	return result(p, err);
}

int buildpipe_push(struct buildpipe *p, const struct buildpipe_item *item, struct err *err)
{
	struct buildpipe_item part = *item;
	size_t left = item->len;
	int r;

	if (p->threaded && !p->running) {
		p->bytes += item->len;
		if (p->bytes >= THREAD_FROM_BYTES)
			start_thread(p);
	}
	do {
		part.len = left < BUILDPIPE_ITEM_BYTES ? left : BUILDPIPE_ITEM_BYTES;
		r = p->running ? push_one(p, &part, err) : run_here(p, &part, err);
		if (r < 0)
			return r;
		part.data = part.data ? part.data + part.len : NULL;
		left -= part.len;
	} while (left);
	return 0;
}

int buildpipe_drain(struct buildpipe *p, struct err *err)
{
	WITH_LOCK(&p->lock);
	while (p->running && !p->result && p->done != p->pushed)
		pthread_cond_wait(&p->changed, &p->lock);
	return result(p, err);
}

void buildpipe_free(struct buildpipe *p)
{
	if (!p)
		return;
	if (p->running) {
		pthread_mutex_lock(&p->lock);
		p->stop = true;
		pthread_cond_broadcast(&p->changed);
		pthread_mutex_unlock(&p->lock);
		pthread_join(p->thread, NULL);
	}
	for (unsigned int i = 0; i < RING_ITEMS; i++)
		free(p->ring[i].data);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
