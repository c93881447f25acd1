/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake.h - a transport without a kernel, for tests: segments in memory, and a witness.
 *
 * The test knows the true bytes of each layer blob and says so with fake_layer_truth().
 * The fake then holds the fill path to its promises: it compares every byte at the moment
 * it is written and again when a request is answered, checks that writes append, are
 * aligned and never overlap in time within a segment, and that each request is answered
 * exactly once. What is wrong is counted and the first is kept as text; nothing aborts.
 *
 * Not part of the daemon: linked into tests only.
 */
#ifndef LZ_DAEMON_KERNEL_FAKE_H
#define LZ_DAEMON_KERNEL_FAKE_H

#include <pthread.h>

#include "daemon/fill/layer.h"
#include "daemon/kernel/transport.h"

struct fake_request {
	struct kreq kreq;
	struct list link;		/* fake's list of all */
	unsigned answers;
	int status;
};

struct fake {
	struct transport transport;
	struct conductor *conductor;
	struct list requests;

	/* knobs; any thread under lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t space_left_bytes;	/* writes beyond fail with ENOSPC */
	bool block_writes;		/* segment_write waits until it is false */
	int sync_error;			/* layer_sync fails with -errno */
	unsigned fail_write_one_in;	/* 0: none fails by chance */
	unsigned seed;

	/* what was seen; under lock where workers write it */
	unsigned writes_waiting;
	unsigned violations;
	char first_violation[256];
	unsigned syncs, completes, writes;
	uint64_t answered_ok, answered_error;	/* loop thread */
};

void fake_init(struct fake *f);
/* All requests must have been answered, or it counts as a violation. Returns violations. */
unsigned fake_done(struct fake *f);

/* Call before layer_open; truth is blob_size bytes and stays the caller's. */
int fake_layer_truth(struct fake *f, struct layer *l, const uint8_t *truth);
/* Frees what layer_open and fake_layer_truth made. */
void fake_layer_done(struct layer *l);
/* As after a restart: the layer's segments hold lens (floored to 4 KiB) of true bytes. */
void fake_layer_preset(struct layer *l, const uint64_t *lens);
/* Present length of a segment, as written. */
uint64_t fake_segment_len(const struct layer *l, uint32_t segment);
uint64_t fake_segment_synced(const struct layer *l, uint32_t segment);

/* A read by the kernel; NULL without memory. Lives until fake_done(). */
struct fake_request *fake_read(struct fake *f, struct layer *l, uint64_t off, uint64_t len);

void fake_block_writes(struct fake *f, bool on);
void fake_set_space(struct fake *f, uint64_t bytes);
/* How many writes stand at the barrier of block_writes now. */
unsigned fake_writes_blocked(struct fake *f);

#endif
