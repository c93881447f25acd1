/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conductor.h - kernel request -> present? -> fetch -> verify -> inflate -> write -> answer.
 *
 * The one room that knows all the others. Loop thread only.
 *
 * A fill job takes one segment (and the next, where the last chunk of the first needs the
 * next one's spans), fetches the missing spans in one range request, checks each span's
 * sha256, inflates it on the pool and appends it; waiting requests whose range is then
 * present are answered at once. One job per segment at a time (single flight).
 * Memory stays within memory_max_bytes (and one job's base of about 1 MiB): a span whose
 * output does not fit is kept compressed until its digest holds, in memory up to
 * spool_bytes, else in an unlinked temporary file. Any span size works.
 *
 * Every request is answered exactly once: 0 when present, else -EIO (kept to the errnos
 * that the transport can carry) on failure or when its deadline passes. A failed job fails
 * the requests that needed it, never the loop; the next request starts anew.
 * Background fill runs when nothing waits: layer by layer, segment by segment, rate-limited.
 */
#ifndef LZ_DAEMON_CONDUCTOR_H
#define LZ_DAEMON_CONDUCTOR_H

#include "daemon/fill/layer.h"
#include "daemon/kernel/transport.h"
#include "daemon/loop/loop.h"
#include "daemon/pool.h"

struct conductor;

struct conductor_opts {
	struct loop *loop;
	struct pool *pool;
	int spool_dirfd;		/* for O_TMPFILE; borrowed */
	uint64_t memory_max_bytes;	/* bytes in flight, compressed and inflated */
	uint64_t spool_bytes;		/* spans larger than this are spooled */
	uint32_t deadline_ms;		/* per kernel request */
	uint32_t max_jobs;		/* range requests at once for faults */
	uint32_t background_jobs;	/* 0: no background fill */
	uint64_t background_rate;	/* compressed bytes per second, 0: no limit */
	uint32_t sync_ms;		/* make what was filled durable so often (layer_sync);
					 * 0: only when a layer is complete */
};

struct conductor_stats {
	uint64_t requests, answered_ok, answered_error, expired;
	uint64_t jobs, job_failures, spans_verified, digest_mismatches;
	uint64_t fetched_bytes, written_bytes, background_bytes;
	uint64_t pending, memory_bytes;
};

int conductor_new(const struct conductor_opts *opts, struct conductor **ret, struct err *err);
/* Answers what is pending with -EIO, ends all jobs, waits for the pool's part of them. */
void conductor_free(struct conductor *c);

/* Serve l from now on: transport->layer_open() was called and found what is present. */
void conductor_layer_add(struct conductor *c, struct layer *l);
/* Pending requests get -EIO; returns when no job touches l any more (done on the loop). */
void conductor_layer_remove(struct conductor *c, struct layer *l,
			    void (*done)(void *arg), void *arg);
struct layer *conductor_layer_find(struct conductor *c, const char *blob_id);

/*
 * From a transport: req is the conductor's until transport->answer(req) gives it back,
 * which may be before this returns.
 */
void conductor_request(struct conductor *c, struct kreq *req);
/* The reader went away: answer it now, whatever its state. */
void conductor_request_drop(struct conductor *c, struct kreq *req);

void conductor_background_set(struct conductor *c, struct layer *l, bool on);
/*
 * Fill the segments of blob bytes [off, off+len) in the background before all others,
 * whether background fill of the layer is on or not. 0 or -ENOMEM, -EINVAL.
 */
int conductor_prefetch(struct conductor *c, struct layer *l, uint64_t off, uint64_t len);
void conductor_stats_get(const struct conductor *c, struct conductor_stats *ret);

#endif
