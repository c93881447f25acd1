/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * budget.h - how much memory the fill path uses. Any thread.
 *
 * Every large allocation of a job is taken from the budget first. A job's base is forced
 * when no other job runs, so that something always goes on; whatever else does not fit is
 * done in a way that needs no memory (spooling), never waited for: no deadlock.
 */
#ifndef LZ_DAEMON_FILL_BUDGET_H
#define LZ_DAEMON_FILL_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct budget {
	uint64_t max_bytes;
	_Atomic uint64_t used_bytes;
};

static inline bool budget_take(struct budget *b, uint64_t bytes)
{
	uint64_t used = atomic_load(&b->used_bytes);

	do {
		if (bytes > b->max_bytes || used > b->max_bytes - bytes)
			return false;
	} while (!atomic_compare_exchange_weak(&b->used_bytes, &used, used + bytes));
	return true;
}

static inline void budget_force(struct budget *b, uint64_t bytes)
{
	atomic_fetch_add(&b->used_bytes, bytes);
}

static inline void budget_give(struct budget *b, uint64_t bytes)
{
	atomic_fetch_sub(&b->used_bytes, bytes);
}

#endif
