/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conductor_private.h - what conductor.c, job.c, background.c and durable.c share.
 *
 *	conductor.c   requests, waiters, deadlines, layers; which segment gets a job
 *	job.c         one job: source -> pieces -> worker steps -> publish
 *	background.c  which segment is filled when nobody waits, and how fast
 *	durable.c     layer_sync from time to time
 *
 * Loop thread only. A segment belongs to at most one job; segment.job says to which.
 */
#ifndef LZ_DAEMON_FILL_CONDUCTOR_PRIVATE_H
#define LZ_DAEMON_FILL_CONDUCTOR_PRIVATE_H

#include "daemon/fill/budget.h"
#include "daemon/fill/conductor.h"
#include "daemon/fill/decode.h"

/* Staging, pieces in flight, the inflater: a job's memory whatever it fetches. */
#define JOB_BASE_BYTES (1u << 20)
#define JOB_WINDOW_BYTES (256u << 10)	/* compressed bytes waiting for the worker */
/* A source that is alive but slower than this is given up: requests end in bounded time. */
#define JOB_MIN_BYTES_PER_MS 16u

struct log_limit {
	uint64_t window_ms;
	unsigned count, dropped;
};

struct background {
	double tokens;			/* bytes that may still be taken */
	uint64_t tokens_ms;		/* when they were counted */
	struct loop_timer timer;	/* tokens, or the end of a layer's back-off */
	bool throttled;			/* jobs are paused until the timer */
};

struct conductor {
	struct conductor_opts opts;
	struct budget budget;
	struct list layers;
	struct list ready;		/* segment.ready: readers wait, no job yet */
	struct list jobs;		/* fill_job.link */
	struct list pending;		/* kreq.by_deadline, earliest first */
	struct loop_timer deadline;
	uint32_t fault_jobs, background_jobs;
	unsigned syncs;			/* under way in the pool */
	struct loop_timer sync_timer;
	struct background background;
	struct conductor_stats stats;
	struct log_limit log;		/* of jobs */
	struct log_limit expired_log;	/* of requests: many for each job that explains them */
	bool stopping;
};

struct fill_job {
	struct list link;
	struct conductor *c;
	struct layer *layer;
	struct fill_plan plan;
	uint64_t want_end, start_pos;	/* of the plan's segment */
	bool background;		/* now; a fault makes it false */
	bool began_background;
	bool base_taken;

	/* the source's side */
	struct source_read read;
	bool reading, paused;
	uint64_t read_len, received_bytes;
	struct err source_err;		/* num 0: none */
	struct list pieces;		/* not yet with the worker */
	uint64_t queued_bytes;		/* received, not yet used by the worker */
	uint64_t progress_ms;		/* the last byte came then */
	struct loop_timer watchdog;

	/* the worker's side: its own while `working` */
	struct pool_job pool_job;
	bool working;
	struct decode decode;
	struct append append;
	bool padded;
	int step_result;
	struct err step_err;

	bool retried, cancelled, ended, more;
	struct loop_task kick;
	bool kicked;
};

/* --- job.c ------------------------------------------------------------------------ */
/*
 * Start a job for segment (idle, not complete, its layer has a source unless only padding
 * is missing). conductor_job_ended() follows later, never from inside. -errno: not started.
 */
int job_start(struct conductor *c, struct layer *l, uint32_t segment, uint64_t want_end,
	      bool background, struct err *err);
/* Ends soon with ECANCELED. */
void job_cancel(struct fill_job *job);
/* A reader waits for it: treat it as a fault from now on. */
void job_promote(struct fill_job *job);
/* Pause or resume its source as its window, the rate and the faults demand. */
void job_update_pause(struct fill_job *job);

/* --- conductor.c ------------------------------------------------------------------ */
/* Segment i has grown: answer who can be answered. */
void conductor_segment_grew(struct conductor *c, struct layer *l, uint32_t i);
/* The segments are free again, and job goes away after this. err NULL: all went well. */
void conductor_job_ended(struct conductor *c, struct fill_job *job, const struct err *err);
/* Start what can be started: faults first, then background. */
void conductor_pump(struct conductor *c);
/* A job or sync of l ended: is its removal waiting for that? */
void conductor_layer_released(struct conductor *c, struct layer *l);
/* May one more line about failures be logged now? */
bool log_limit_ok(struct log_limit *ll);

/* --- background.c ------------------------------------------------------------------ */
void background_init(struct conductor *c);
void background_done(struct conductor *c);
void background_pump(struct conductor *c);
/* n bytes were taken by a background job. */
void background_charge(struct conductor *c, uint64_t n);
/* Must background jobs hold still now? */
bool background_is_held(const struct conductor *c);
void background_job_ended(struct layer *l, const struct err *err);
/* Faults began or ended: hold or release the running background jobs. */
void background_update_pause(struct conductor *c);

/* --- durable.c ---------------------------------------------------------------------- */
void durable_layer_written(struct conductor *c, struct layer *l);
void durable_init(struct conductor *c);
void durable_done(struct conductor *c);

#endif
