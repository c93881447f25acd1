/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timer.h - the client's one-shot timers: back-off, stall, deadline.
 *
 * A list sorted by due time; there are as many timers as requests, so a list will do.
 * Owner thread only. A timer is embedded in its user, and must be stopped before that is
 * freed. fn may stop or start any timer, its own too.
 */
#ifndef LZ_OCI_TIMER_H
#define LZ_OCI_TIMER_H

#include <stdint.h>

#include "base/list.h"

struct timer {
	struct list node;
	uint64_t due_ms;		/* io_now_ms() clock */
	void (*fn)(void *arg);
	void *arg;
};

struct timers {
	struct list head;
};

void timers_init(struct timers *ts);
void timer_init(struct timer *t, void (*fn)(void *arg), void *arg);
/* (Re)arm: fire once in_ms from now. */
void timer_start(struct timers *ts, struct timer *t, uint64_t in_ms);
void timer_stop(struct timer *t);
/* Fire what is due at now_ms. */
void timers_run(struct timers *ts, uint64_t now_ms);
/* Milliseconds until the next one is due, 0 if it is late, -1 if there is none. */
int64_t timers_next(const struct timers *ts, uint64_t now_ms);

#endif
