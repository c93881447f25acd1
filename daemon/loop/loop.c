/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop.c - see loop.h; kernel-notes/io_uring.md says what goes through the ring and why.
 *
 * Nothing takes a submission entry from inside a callback. Callbacks only leave *wishes*
 * (watch slots on the todo list, writes on the outbox); flush() turns wishes into entries
 * at the end of the turn, as many as the ring has room for, and one system call submits
 * them all and waits. So a full ring delays, and cannot fail a caller.
 *
 * Watch slots. A slot is named in user_data together with a generation that is raised each
 * time a poll is armed or given up; completions of an older generation are stale and are
 * dropped. So a slot, and the descriptor number behind it, may be used again at once.
 *
 *	state of a slot     watch   armed   on todo
 *	free                NULL    no      no       (on the free list)
 *	to be armed         set     no      yes      flush: POLL_ADD
 *	armed               set     yes     no
 *	events changed      set     yes     yes      flush: POLL_REMOVE + POLL_ADD
 *	to be given up      NULL    yes     yes      flush: POLL_REMOVE, then free
 *
 * user_data, 64 bits:  kind (8) | generation (24) | slot or write number (32)
 */
#include "daemon/loop/loop.h"

#include <errno.h>
#include <liburing.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/log.h"
#include "daemon/loop/timers.h"

#define RING_ENTRIES 256u
#define RING_CQ_ENTRIES 4096u
#define NO_SLOT UINT32_MAX
#define GENERATION_MASK 0xffffffu

enum cqe_kind {
	CQE_POLL = 1,
	CQE_WRITE = 2,
	CQE_IGNORED = 0xff,	/* also matches liburing's own time-out marker, ~0 */
};

struct slot {
	struct loop_watch *watch;
	uint32_t generation;
	uint32_t armed_events;
	uint32_t next;		/* free list or todo list */
	bool armed, todo, refused;
};

struct write_op {
	struct list link;	/* outbox; afterwards alone */
	uint32_t number;
	int fd;
	uint32_t len;
	uint8_t data[LOOP_WRITE_MAX];
	void (*done)(void *arg, int res);
	void *arg;
};

struct loop {
	struct io_uring ring;
	atomic_bool stop;
	bool one_shot_only;		/* the kernel refused a multishot poll */

	struct slot *slots;
	uint32_t nslots, free_slot;
	uint32_t todo_first, todo_last;

	struct list outbox;		/* writes without an entry yet */
	struct write_op **writes;	/* by number; NULL: number is free */
	uint32_t nwrites, next_write;

	struct timers timers;

	int mail_fd;
	struct loop_watch mail_watch;
	pthread_mutex_t mail_lock;
	struct list mail;		/* under mail_lock */
	struct list due;		/* taken from mail, not run yet */
};

static uint64_t user_data_pack(enum cqe_kind kind, uint32_t generation, uint32_t number)
{
	return (uint64_t)kind << 56 | (uint64_t)(generation & GENERATION_MASK) << 32 | number;
}

static enum cqe_kind user_data_kind(uint64_t u)
{
	return (enum cqe_kind)(u >> 56);
}

static uint32_t user_data_generation(uint64_t u)
{
	return u >> 32 & GENERATION_MASK;
}

static uint32_t user_data_number(uint64_t u)
{
	return (uint32_t)u;
}

/* --- slots ------------------------------------------------------------------------- */

static void todo_add(struct loop *l, uint32_t i)
{
	struct slot *s = &l->slots[i];

	if (s->todo)
		return;
	s->todo = true;
	s->next = NO_SLOT;
	if (l->todo_first == NO_SLOT)
		l->todo_first = i;
	else
		l->slots[l->todo_last].next = i;
	l->todo_last = i;
}

static void slot_free(struct loop *l, uint32_t i)
{
	struct slot *s = &l->slots[i];

	s->watch = NULL;
	s->armed = s->refused = false;
	s->generation++;
	s->next = l->free_slot;
	l->free_slot = i;
}

static int slot_grow(struct loop *l)
{
	uint32_t n = l->nslots ? l->nslots * 2 : 32;
	struct slot *slots = reallocarray(l->slots, n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	memset(slots + l->nslots, 0, (n - l->nslots) * sizeof(*slots));
	l->slots = slots;
	for (uint32_t i = n; i-- > l->nslots;)
		slot_free(l, i);
	l->nslots = n;
	return 0;
}

int loop_watch_add(struct loop *l, struct loop_watch *w)
{
	uint32_t i;
	int r;

	if (l->free_slot == NO_SLOT) {
		r = slot_grow(l);
		if (r < 0)
			return r;
	}
	i = l->free_slot;
	l->free_slot = l->slots[i].next;
	l->slots[i].watch = w;
	w->loop = l;
	w->slot = i;
	todo_add(l, i);
	return 0;
}

int loop_watch_set(struct loop_watch *w, uint32_t events)
{
	if (!w->loop)
		return -EINVAL;
	if (w->events == events)
		return 0;
	w->events = events;
	w->loop->slots[w->slot].refused = false;
	todo_add(w->loop, w->slot);
	return 0;
}

void loop_watch_del(struct loop_watch *w)
{
	struct loop *l = w->loop;
	struct slot *s;

	if (!l)
		return;
	w->loop = NULL;
	s = &l->slots[w->slot];
	s->watch = NULL;
	if (s->armed)
		todo_add(l, w->slot);
	else if (!s->todo)
		slot_free(l, w->slot);
}

/* Entries for what slot i wants; false when the ring has no room for all of them. */
static bool slot_flush(struct loop *l, uint32_t i)
{
	struct slot *s = &l->slots[i];
	struct loop_watch *w = s->watch;
	struct io_uring_sqe *sqe;

	if (io_uring_sq_space_left(&l->ring) < 2)
		return false;
	if (s->armed && (!w || s->armed_events != w->events)) {
		sqe = io_uring_get_sqe(&l->ring);
		io_uring_prep_poll_remove(sqe, user_data_pack(CQE_POLL, s->generation, i));
		io_uring_sqe_set_data64(sqe, user_data_pack(CQE_IGNORED, 0, i));
		s->armed = false;
	}
	if (w && !s->armed && !s->refused) {
		s->generation++;
		sqe = io_uring_get_sqe(&l->ring);
		if (w->multishot && !l->one_shot_only)
			io_uring_prep_poll_multishot(sqe, w->fd, w->events);
		else
			io_uring_prep_poll_add(sqe, w->fd, w->events);
		io_uring_sqe_set_data64(sqe, user_data_pack(CQE_POLL, s->generation, i));
		s->armed = true;
		s->armed_events = w->events;
	}
	return true;
}

static void poll_completed(struct loop *l, uint64_t user_data, int res, uint32_t flags)
{
	uint32_t i = user_data_number(user_data);
	struct slot *s = &l->slots[i];
	struct loop_watch *w = s->watch;

	if (!s->armed || (s->generation & GENERATION_MASK) != user_data_generation(user_data))
		return;
	if (!(flags & IORING_CQE_F_MORE)) {
		s->armed = false;
		todo_add(l, i);	/* to be armed again, or freed when the watch is gone */
	}
	if (!w || res == -ECANCELED)
		return;
	if (res == -EINVAL && w->multishot && !l->one_shot_only) {
		log_info("loop: no multishot poll on this kernel, using one-shot polls");
		l->one_shot_only = true;
		return;
	}
	if (res < 0) {
		log_error("loop: poll of descriptor %d failed: %s", w->fd, strerror(-res));
		s->refused = true;	/* armed again it would only fail again */
		w->ready(w, POLLNVAL);
		return;
	}
	w->ready(w, (uint32_t)res);
}

/* --- writes ------------------------------------------------------------------------ */

static int write_number_take(struct loop *l, struct write_op *op)
{
	for (uint32_t n = 0; n < l->nwrites; n++) {
		uint32_t k = (l->next_write + n) % l->nwrites;

		if (l->writes[k])
			continue;
		l->writes[k] = op;
		l->next_write = k + 1;
		op->number = k;
		return 0;
	}
	uint32_t cap = l->nwrites ? l->nwrites * 2 : 64;
	struct write_op **w = reallocarray(l->writes, cap, sizeof(*w));

	if (!w)
		return -ENOMEM;
	memset(w + l->nwrites, 0, (cap - l->nwrites) * sizeof(*w));
	op->number = l->nwrites;
	w[op->number] = op;
	l->next_write = op->number + 1;
	l->writes = w;
	l->nwrites = cap;
	return 0;
}

int loop_write(struct loop *l, int fd, const void *data, size_t len,
	       void (*done)(void *arg, int res), void *arg)
{
	struct write_op *op;

	if (len == 0 || len > LOOP_WRITE_MAX)
		return -EINVAL;
	op = malloc(sizeof(*op));
	if (!op)
		return -ENOMEM;
	if (write_number_take(l, op) < 0) {
		free(op);
		return -ENOMEM;
	}
	op->fd = fd;
	op->len = (uint32_t)len;
	memcpy(op->data, data, len);
	op->done = done;
	op->arg = arg;
	list_add_tail(&l->outbox, &op->link);
	return 0;
}

static void write_completed(struct loop *l, uint64_t user_data, int res)
{
	uint32_t n = user_data_number(user_data);
	struct write_op *op = l->writes[n];

	l->writes[n] = NULL;
	if (op->done)
		op->done(op->arg, res);
	free(op);
}

/* --- timers ------------------------------------------------------------------------ */

int loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t at_ms)
{
	int r;

	t->at_ms = at_ms;
	if (t->loop) {
		timers_moved(&l->timers, t);
		return 0;
	}
	r = timers_add(&l->timers, t);
	if (r == 0)
		t->loop = l;
	return r;
}

void loop_timer_del(struct loop_timer *t)
{
	if (!t->loop)
		return;
	timers_remove(&t->loop->timers, t);
	t->loop = NULL;
}

static void timers_run(struct loop *l)
{
	uint64_t now = io_now_ms();
	struct loop_timer *t;

	/* A timer set for "now" by a timer fires too, but not for ever in one turn. */
	for (uint32_t n = l->timers.count; n > 0; n--) {
		t = timers_first(&l->timers);
		if (!t || t->at_ms > now)
			return;
		loop_timer_del(t);
		t->fired(t);
	}
}

/* --- mailbox ----------------------------------------------------------------------- */

static void mail_wake(struct loop *l)
{
	uint64_t one = 1;
	/* EAGAIN means that the counter is full, so the loop is awake already. */
	ssize_t n = write(l->mail_fd, &one, sizeof(one));

	(void)n;
}

void loop_post(struct loop *l, struct loop_task *t)
{
	bool first;

	pthread_mutex_lock(&l->mail_lock);
	first = list_is_empty(&l->mail);
	list_add_tail(&l->mail, &t->link);
	pthread_mutex_unlock(&l->mail_lock);
	if (first)
		mail_wake(l);
}

void loop_stop(struct loop *l)
{
	int saved = errno;

	atomic_store(&l->stop, true);
	mail_wake(l);
	errno = saved;
}

static void mail_ready(struct loop_watch *w, uint32_t revents)
{
	uint64_t count;

	(void)revents;
	while (read(w->fd, &count, sizeof(count)) > 0)
		;
}

/* Everything posted before now, in order; what these post in turn waits for the next turn. */
static void mail_run(struct loop *l)
{
	struct list *last;

	pthread_mutex_lock(&l->mail_lock);
	while (!list_is_empty(&l->mail)) {
		struct list *node = l->mail.next;

		list_del(node);
		list_add_tail(&l->due, node);
	}
	pthread_mutex_unlock(&l->mail_lock);
	last = l->due.prev;
	while (!list_is_empty(&l->due)) {
		struct list *node = l->due.next;
		struct loop_task *t = container_of(node, struct loop_task, link);

		list_del(node);
		t->run(t);
		if (node == last)
			break;
	}
}

static bool mail_is_waiting(struct loop *l)
{
	bool waiting;

	pthread_mutex_lock(&l->mail_lock);
	waiting = !list_is_empty(&l->mail) || !list_is_empty(&l->due);
	pthread_mutex_unlock(&l->mail_lock);
	return waiting;
}

/* --- ring -------------------------------------------------------------------------- */

/* Try the flags that save interrupts first; probed by doing, newest first. */
static int ring_init(struct loop *l, struct err *err)
{
	static const struct {
		unsigned flags;
		const char *text;
	} tries[] = {
		/* 6.1: completions are posted when this thread waits, without an IPI */
		{ IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		  "single issuer, deferred task work" },
		{ IORING_SETUP_COOP_TASKRUN, "cooperative task work" },	/* 5.19 */
		{ 0, "plain" },
	};
	int r = -EINVAL;

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]) && r == -EINVAL; i++) {
		struct io_uring_params p = {
			.flags = tries[i].flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
			.cq_entries = RING_CQ_ENTRIES,
		};

		r = io_uring_queue_init_params(RING_ENTRIES, &l->ring, &p);
		if (r == 0)
			log_debug("loop: io_uring ready (%s)", tries[i].text);
	}
	if (r == -EPERM || r == -ENOSYS)
		return err_sys(err, -r, "io_uring is not available (kernel without it, "
			       "kernel.io_uring_disabled set, or a seccomp filter)");
	if (r < 0)
		return err_sys(err, -r, "cannot set up io_uring");
	/* Children have no business in the ring; and User Mode Linux 6.12 corrupts its own
	 * page counts when a process with a ring forks (kernel-notes/lab.md). */
	io_uring_ring_dontfork(&l->ring);
	return 0;
}

/* Turn wishes into entries. Returns whether some had to stay behind. */
static bool flush(struct loop *l)
{
	while (!list_is_empty(&l->outbox)) {
		struct write_op *op = list_first(&l->outbox, struct write_op, link);
		struct io_uring_sqe *sqe = io_uring_get_sqe(&l->ring);

		if (!sqe)
			return true;
		list_del(&op->link);
		io_uring_prep_write(sqe, op->fd, op->data, op->len, (uint64_t)-1);
		io_uring_sqe_set_data64(sqe, user_data_pack(CQE_WRITE, 0, op->number));
	}
	while (l->todo_first != NO_SLOT) {
		uint32_t i = l->todo_first;
		struct slot *s = &l->slots[i];

		if (!slot_flush(l, i))
			return true;
		l->todo_first = s->next;
		s->todo = false;
		if (!s->watch)
			slot_free(l, i);
	}
	return false;
}

static int wait_ms(const struct loop *l, int timeout_ms)
{
	const struct loop_timer *t = timers_first(&l->timers);
	uint64_t now;

	if (!t)
		return timeout_ms;
	now = io_now_ms();
	if (t->at_ms <= now)
		return 0;
	if (timeout_ms >= 0 && t->at_ms - now > (uint64_t)timeout_ms)
		return timeout_ms;
	return t->at_ms - now > INT_MAX ? INT_MAX : (int)(t->at_ms - now);
}

static int submit_and_wait(struct loop *l, int timeout_ms)
{
	struct __kernel_timespec ts = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = timeout_ms % 1000 * 1000000LL,
	};
	struct io_uring_cqe *cqe;
	int r;

	r = io_uring_submit_and_wait_timeout(&l->ring, &cqe, 1, timeout_ms < 0 ? NULL : &ts,
					     NULL);
	/* EBUSY, EAGAIN: the kernel wants completions taken before it goes on. */
	if (r == -ETIME || r == -EINTR || r == -EBUSY || r == -EAGAIN)
		return 0;
	return r < 0 ? r : 0;
}

static void completions_run(struct loop *l)
{
	/* Bounded by what is there now, so that timers and mail get their turn. */
	for (unsigned n = io_uring_cq_ready(&l->ring); n > 0; n--) {
		struct io_uring_cqe *cqe;

		if (io_uring_peek_cqe(&l->ring, &cqe) != 0)
			return;
		uint64_t user_data = cqe->user_data;
		int res = cqe->res;
		uint32_t flags = cqe->flags;

		/* Before the callback: it may turn the loop itself. */
		io_uring_cqe_seen(&l->ring, cqe);
		if (user_data_kind(user_data) == CQE_POLL)
			poll_completed(l, user_data, res, flags);
		else if (user_data_kind(user_data) == CQE_WRITE)
			write_completed(l, user_data, res);
	}
}

int loop_turn(struct loop *l, int timeout_ms, struct err *err)
{
	int r;

	if (flush(l) || mail_is_waiting(l))
		timeout_ms = 0;
	r = submit_and_wait(l, wait_ms(l, timeout_ms));
	if (r < 0)
		return err_sys(err, -r, "io_uring failed");
	completions_run(l);
	timers_run(l);
	mail_run(l);
	return 0;
}

int loop_run(struct loop *l, struct err *err)
{
	while (!atomic_exchange(&l->stop, false)) {
		int r = loop_turn(l, -1, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int loop_new(struct loop **ret, struct err *err)
{
	struct loop *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return err_sys(err, ENOMEM, "event loop");
	l->free_slot = l->todo_first = l->todo_last = NO_SLOT;
	list_init(&l->outbox);
	list_init(&l->mail);
	list_init(&l->due);
	pthread_mutex_init(&l->mail_lock, NULL);
	l->mail_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->mail_fd < 0) {
		r = err_sys(err, errno, "cannot create an eventfd");
		goto fail;
	}
	r = ring_init(l, err);
	if (r < 0)
		goto fail_fd;
	l->mail_watch = (struct loop_watch){
		.ready = mail_ready, .fd = l->mail_fd, .events = POLLIN, .multishot = true,
	};
	r = loop_watch_add(l, &l->mail_watch);
	if (r < 0) {
		err_sys(err, -r, "event loop");
		goto fail_ring;
	}
	*ret = l;
	return 0;
fail_ring:
	io_uring_queue_exit(&l->ring);
fail_fd:
	close(l->mail_fd);
fail:
	pthread_mutex_destroy(&l->mail_lock);
	free(l);
	return r;
}

/*
 * Answers that are still queued reach the kernel before the ring goes. Their callbacks are
 * not called any more. Bounded: a write that does not complete is given up after a second.
 */
static void writes_drain(struct loop *l)
{
	for (int turn = 0; turn < 10; turn++) {
		bool more = flush(l), under_way = false;
		struct io_uring_cqe *cqe;

		for (uint32_t i = 0; i < l->nwrites && !under_way; i++)
			under_way = l->writes[i] != NULL;
		if ((!under_way && !more) || submit_and_wait(l, under_way ? 100 : 0) < 0)
			return;
		while (io_uring_peek_cqe(&l->ring, &cqe) == 0) {
			uint64_t user_data = cqe->user_data;
			uint32_t n = user_data_number(user_data);

			io_uring_cqe_seen(&l->ring, cqe);
			if (user_data_kind(user_data) != CQE_WRITE)
				continue;
			free(l->writes[n]);
			l->writes[n] = NULL;
		}
	}
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	writes_drain(l);
	io_uring_queue_exit(&l->ring);
	close(l->mail_fd);
	pthread_mutex_destroy(&l->mail_lock);
	for (uint32_t i = 0; i < l->nwrites; i++)
		free(l->writes[i]);
	free(l->writes);
	free(l->slots);
	timers_done(&l->timers);
	free(l);
}
