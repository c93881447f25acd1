/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pool: faults first, a thread kept for faults, everything done exactly once. */
#include "daemon/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/io.h"
#include "tests/unit/tap.h"

static struct loop *l;
static struct pool *p;
static struct err e = ERR_INIT;

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_cond = PTHREAD_COND_INITIALIZER;
static int gate_open, gate_inside;

struct item {
	struct pool_job job;
	int id, done;
};

static atomic_int order[64], norder;
static pthread_t loop_thread;
static int done_count, done_elsewhere;

static void record(struct pool_job *job)
{
	order[atomic_fetch_add(&norder, 1)] = container_of(job, struct item, job)->id;
}

static void wait_at_gate(struct pool_job *job)
{
	(void)job;
	pthread_mutex_lock(&gate);
	gate_inside++;
	pthread_cond_broadcast(&gate_cond);
	while (!gate_open)
		pthread_cond_wait(&gate_cond, &gate);
	pthread_mutex_unlock(&gate);
}

static void gate_wait_inside(int n)
{
	pthread_mutex_lock(&gate);
	while (gate_inside < n)
		pthread_cond_wait(&gate_cond, &gate);
	pthread_mutex_unlock(&gate);
}

static void gate_set(int open)
{
	pthread_mutex_lock(&gate);
	gate_open = open;
	pthread_cond_broadcast(&gate_cond);
	pthread_mutex_unlock(&gate);
}

static void count_done(struct pool_job *job)
{
	container_of(job, struct item, job)->done++;
	done_count++;
	done_elsewhere += !pthread_equal(pthread_self(), loop_thread);
}

static void submit(struct item *it, int id, enum pool_prio prio, void (*work)(struct pool_job *))
{
	*it = (struct item){ { .work = work, .done = count_done, .prio = prio }, id, 0 };
	pool_submit(p, &it->job);
}

static bool until(int want)
{
	uint64_t end = io_now_ms() + 10000;

	while (done_count < want && io_now_ms() < end)
		if (loop_turn(l, 1000, &e) < 0)
			bail("%s", e.text);
	return done_count == want;
}

static void test_reserved_thread(void)
{
	struct item bg[2], fault;

	submit(&bg[0], 0, POOL_BACKGROUND, wait_at_gate);
	gate_wait_inside(1);
	submit(&bg[1], 1, POOL_BACKGROUND, record);
	submit(&fault, 2, POOL_FAULT, record);
	ok(until(1) && fault.done == 1, "a fault runs while background work is stuck");
	is_int(norder, 1, "a second background job waits for the first");
	gate_set(1);
	ok(until(3), "then the rest runs");
}

static void test_faults_first(void)
{
	struct item block[2], it[6];

	done_count = norder = gate_inside = 0;
	gate_set(0);
	submit(&block[0], 0, POOL_FAULT, wait_at_gate);
	submit(&block[1], 0, POOL_FAULT, wait_at_gate);
	gate_wait_inside(2);
	for (int i = 0; i < 3; i++)
		submit(&it[i], 100 + i, POOL_BACKGROUND, record);
	for (int i = 3; i < 6; i++)
		submit(&it[i], i, POOL_FAULT, record);
	gate_set(1);
	ok(until(8), "all jobs are done");
	int last_fault = -1, first_bg = 99, bg_sorted = 1, last = 0;

	for (int i = 0; i < 6; i++) {
		if (order[i] < 100)
			last_fault = i;
		else if (first_bg == 99)
			first_bg = i;
		if (order[i] >= 100) {
			bg_sorted = bg_sorted && order[i] > last;
			last = order[i];
		}
	}
	/* Two threads record: neighbours may swap between being taken and being noted. */
	ok(last_fault <= first_bg + 1, "faults are taken before background work");
	ok(bg_sorted, "background work is taken in order");
}

static void test_promote(void)
{
	struct item stuck, it[3];

	done_count = norder = gate_inside = 0;
	gate_set(0);
	submit(&stuck, 0, POOL_BACKGROUND, wait_at_gate);
	gate_wait_inside(1);
	for (int i = 0; i < 3; i++)
		submit(&it[i], i, POOL_BACKGROUND, record);
	pool_promote(p, &it[1].job);
	pool_promote(p, &stuck.job);
	ok(until(1) && it[1].done == 1, "a promoted job does not wait for background work");
	is_int(norder, 1, "the others do");
	pool_promote(p, &it[1].job);
	gate_set(1);
	ok(until(4) && it[1].done == 1, "promoting what runs, or is done, does nothing");
}

static void test_many(void)
{
	enum { N = 5000 };
	static struct item it[N];
	int wrong = 0;

	done_count = 0;
	for (int i = 0; i < N; i++) {
		submit(&it[i], i, i % 3 ? POOL_FAULT : POOL_BACKGROUND, wait_at_gate);
	}
	ok(until(N), "%d jobs", N);
	for (int i = 0; i < N; i++)
		wrong += it[i].done != 1;
	is_int(wrong, 0, "each done exactly once");
	is_int(done_elsewhere, 0, "done is called on the loop's thread");
}

static void test_free_runs_queue(void)
{
	struct item it[20];

	done_count = 0;
	for (int i = 0; i < 20; i++)
		submit(&it[i], i, POOL_BACKGROUND, wait_at_gate);
	pool_free(p);
	ok(until(20), "freeing the pool runs what is queued, and posts done");
}

int main(void)
{
	loop_thread = pthread_self();
	alarm(120);	/* a test that hangs is killed */
	if (loop_new(&l, &e) < 0) {
		printf("1..0 # SKIP %s\n", e.text);
		return 0;
	}
	if (pool_new(l, 2, &p, &e) < 0)
		bail("%s", e.text);
	test_reserved_thread();
	test_faults_first();
	test_promote();
	test_many();
	test_free_runs_queue();
	pool_free(NULL);
	loop_free(l);
	return tap_done();
}
