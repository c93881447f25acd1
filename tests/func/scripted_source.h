/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scripted_source.h - a source in memory that misbehaves on demand. Loop thread only.
 *
 * The n-th read (from 0) acts as script[n] says; reads beyond the script are good.
 */
#ifndef LZ_TESTS_SCRIPTED_SOURCE_H
#define LZ_TESTS_SCRIPTED_SOURCE_H

#include <stdbool.h>

#include "daemon/fill/source.h"
#include "daemon/loop/loop.h"

enum act {
	ACT_GOOD,
	ACT_REFUSE,		/* read() fails */
	ACT_ERROR,		/* on_done with an error after `at` bytes */
	ACT_SHORT,		/* on_done without an error after `at` bytes */
	ACT_LONG,		/* one byte too many */
	ACT_FLIP,		/* one bit wrong at byte `at` of the read */
	ACT_STALL,		/* silence after `at` bytes */
	ACT_HOLD,		/* like STALL, until scripted_release() */
	ACT_INSIDE,		/* good, all callbacks from inside read() */
};

struct script {
	enum act act;
	uint64_t at;
};

struct scripted {
	struct source source;
	struct loop *loop;
	const uint8_t *data;
	uint64_t size;
	struct script script[16];
	bool always;			/* script[0] holds for every read */
	unsigned trouble_one_in;	/* instead of the script: any trouble, by chance */
	uint32_t piece_max;		/* pieces of 1..piece_max bytes */
	uint32_t seed;
	/* seen */
	unsigned reads, under_way;
	uint64_t served_bytes;
	struct list held;		/* reads that wait for scripted_release() */
	bool freed;
};

/* The struct stays the caller's; layer_free() only marks it as freed. */
void scripted_init(struct scripted *s, struct loop *l, const uint8_t *data, uint64_t size);
void scripted_release(struct scripted *s);
/* Held reads end with an error. */
void scripted_fail_held(struct scripted *s);

#endif
