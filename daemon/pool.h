/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool.h - a few worker threads for hashing, inflating and blocking system calls.
 *
 * Two queues: a fault is always taken before background work; background work never
 * occupies all threads (one is kept for faults). Jobs run in any order: whoever needs an
 * order submits the next job from the done of the one before.
 */
#ifndef LZ_DAEMON_POOL_H
#define LZ_DAEMON_POOL_H

#include "base/list.h"
#include "daemon/loop/loop.h"

enum pool_prio {
	POOL_FAULT,
	POOL_BACKGROUND,
};

struct pool_job {
	struct list link;
	struct loop_task task;
	void (*work)(struct pool_job *job);	/* worker thread */
	void (*done)(struct pool_job *job);	/* loop thread, after work */
	enum pool_prio prio;
	struct pool *pool;
};

struct pool;

/* nthreads 0: one per core, at least 2, at most 16. Fewer than 2 become 2. */
int pool_new(struct loop *l, unsigned nthreads, struct pool **ret, struct err *err);
/*
 * Waits for running work; jobs still queued are run too. Their done is posted: turn the
 * loop (loop_turn) once more before freeing what they belong to. NULL is fine.
 */
void pool_free(struct pool *p);
/* Any thread. work, done and prio are set; job belongs to the pool until done is called. */
void pool_submit(struct pool *p, struct pool_job *job);
/* Any thread, before done: a job that was submitted as background is a fault's now. */
void pool_promote(struct pool *p, struct pool_job *job);

#endif
