/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop.h - the daemon's event loop: one io_uring, owned by one thread.
 *
 * The ring carries readiness of descriptors, timers, answers to the kernel (small writes,
 * batched into one submission per turn) and the mailbox by which other threads reach the
 * loop (an eventfd). Nothing else touches the ring: io_uring is an
 * implementation detail of this folder. Where the ring was measured to lose (buffered file
 * writes, anything to /dev/cachefiles), callers use plain system calls; see
 * kernel-notes/io_uring.md.
 *
 * Everything here is called on the loop's thread, except loop_post() and loop_stop().
 * Callbacks may add and delete any watch, timer or themselves.
 */
#ifndef LZ_DAEMON_LOOP_H
#define LZ_DAEMON_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

struct loop;

int loop_new(struct loop **ret, struct err *err);
void loop_free(struct loop *l);
/* Until loop_stop(); 0, or -errno when the ring itself fails. */
int loop_run(struct loop *l, struct err *err);
void loop_stop(struct loop *l);		/* any thread, also a signal handler */
/*
 * One turn: wait up to timeout_ms (-1: until something happens), then run what is due.
 * For those who must wait for their last callbacks after loop_run() returned, and for
 * tests. Also from inside a callback. 0 or -errno.
 */
int loop_turn(struct loop *l, int timeout_ms, struct err *err);

/* --- descriptors: readiness ---------------------------------------------------------
 * Level-triggered: a one-shot poll, armed again after each callback. It costs no system
 * call of its own, since it travels with the submission that waits. With `multishot` the
 * poll stays armed in the kernel and reports *changes*: ready must then read until EAGAIN.
 */
struct loop_watch {
	/* revents: POLLIN, POLLOUT, POLLERR, POLLHUP */
	void (*ready)(struct loop_watch *w, uint32_t revents);
	int fd;
	uint32_t events;
	bool multishot;		/* ready drains fd until EAGAIN */
	struct loop *loop;	/* NULL: not watched */
	uint32_t slot;		/* loop's own */
};

/* Caller has set ready, fd, events. The watch must stay in place until deleted. */
int loop_watch_add(struct loop *l, struct loop_watch *w);
int loop_watch_set(struct loop_watch *w, uint32_t events);
/* After this, ready is not called any more, whatever the ring still holds. */
void loop_watch_del(struct loop_watch *w);

/* --- timers: one-shot, CLOCK_MONOTONIC milliseconds (io_now_ms) --------------------- */
struct loop_timer {
	void (*fired)(struct loop_timer *t);
	uint64_t at_ms;
	struct loop *loop;	/* NULL: not set */
	uint32_t heap_index;
};

int loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t at_ms);
void loop_timer_del(struct loop_timer *t);

/* --- mailbox ---------------------------------------------------------------------- */
struct loop_task {
	struct list link;
	void (*run)(struct loop_task *t);
};

/* Any thread: run t->run(t) on the loop thread, in order of posting. Never fails. */
void loop_post(struct loop *l, struct loop_task *t);

/* --- small writes through the ring -------------------------------------------------- */
#define LOOP_WRITE_MAX 32
/*
 * Queue one write of data[0..len), len <= LOOP_WRITE_MAX (copied); submitted with the
 * others at the end of the turn. done (may be NULL) gets the result (bytes or -errno).
 * When the ring is full the write waits for the next turn: it is never dropped. Writes of
 * one turn may be carried out in any order. fd must be O_NONBLOCK (else the kernel waits
 * for POLLOUT, which neither fanotify nor cachefiles ever raises) and stay open until done.
 */
int loop_write(struct loop *l, int fd, const void *data, size_t len,
	       void (*done)(void *arg, int res), void *arg);

#endif
