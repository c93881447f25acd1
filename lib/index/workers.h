/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * workers.h - numbered jobs on a few threads, each with a registry client of its own.
 *
 * The first failure, or the stop flag of the client's options, ends all: jobs that run
 * have their blocking calls broken off with ECANCELED, no other is begun. Blocking.
 */
#ifndef LZ_INDEX_WORKERS_H
#define LZ_INDEX_WORKERS_H

#include "oci/client.h"

struct workers;

typedef int (*workers_fn)(void *arg, const struct workers *w, struct oci_client *c, uint32_t job,
			  struct err *err);

/* Jobs 0 .. n-1, in that order begun. threads 0: one per core. *err: of the first failure. */
int workers_run(const struct oci_opts *client, unsigned threads, uint32_t n, workers_fn fn,
		void *arg, struct err *err);
/* To be asked now and then by a job that computes for long. */
bool workers_is_stopped(const struct workers *w);

#endif
