/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * workers.h - a job for each of some blobs, on a few threads, each with a registry client of
 * its own. The largest blob is begun first, so that none is left over for a single thread.
 *
 * The first failure, or the stop flag of the client's options, ends all: jobs that run
 * have their blocking calls broken off with ECANCELED, no other is begun. Blocking.
 */
#ifndef LZ_INDEX_WORKERS_H
#define LZ_INDEX_WORKERS_H

#include "index/watch.h"
#include "oci/client.h"

struct workers;

typedef int (*workers_fn)(void *arg, const struct workers *w, struct oci_client *c, uint32_t job,
			  struct err *err);

/* A job is the number of a blob in blobs[0 .. n). threads 0: one per core. *err: of the first
 * failure. */
int workers_run(const struct oci_opts *client, unsigned threads,
		const struct index_progress *blobs, uint32_t n, workers_fn fn, void *arg,
		struct err *err);
/*
 * What on_progress of a transfer tells of a blob, and whether it may go on: the callback of
 * jobs that read one (arg: struct workers_watch).
 */
struct workers_watch {
	struct index_progress *progress;
	const struct workers *workers;
};
int workers_progress(void *arg, uint64_t bytes);
/* To be asked now and then by a job that computes for long. */
bool workers_is_stopped(const struct workers *w);

#endif
