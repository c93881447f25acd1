/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timers.h - binary heap of the loop's timers, earliest first. Loop thread only.
 *
 * heap[0] fires first; each timer knows its place (heap_index), so that removal is
 * O(log n). Memory grows when a timer is added, never when one is moved or removed.
 */
#ifndef LZ_DAEMON_LOOP_TIMERS_H
#define LZ_DAEMON_LOOP_TIMERS_H

#include "daemon/loop/loop.h"

struct timers {
	struct loop_timer **heap;
	uint32_t count, cap;
};

void timers_done(struct timers *h);
/* Add t with t->at_ms set. 0 or -ENOMEM. */
int timers_add(struct timers *h, struct loop_timer *t);
/* t->at_ms was changed. */
void timers_moved(struct timers *h, struct loop_timer *t);
void timers_remove(struct timers *h, struct loop_timer *t);
/* Earliest, or NULL. */
struct loop_timer *timers_first(const struct timers *h);

#endif
