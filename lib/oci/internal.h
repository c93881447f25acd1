/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * internal.h - the client's inside, shared by the files of this room only.
 *
 * Owner thread only. Every public entry point is client_enter() ... client_leave(); the
 * outermost leave runs what had to wait (http_run_pending()), tells the loop about the
 * next timer, and frees a client whose owner gave it up inside a callback.
 */
#ifndef LZ_OCI_INTERNAL_H
#define LZ_OCI_INTERNAL_H

#include "base/list.h"
#include "oci/client.h"
#include "oci/hosts.h"
#include "oci/http.h"
#include "oci/timer.h"

#define OCI_MAX_REDIRECTS 10u

/* Work for another thread. Embed it; the client does not free it. */
struct oci_job {
	struct list node;
	struct oci_client *client;
	/* On the other thread: touches the job only. */
	void (*work)(struct oci_job *job);
	/* On the owner thread, once. is_orphan: client and all that belongs to it are gone,
	 * only free the job. */
	void (*done)(struct oci_job *job, bool is_orphan);
};

/* The descriptors and jobs of a client without hooks: its own little poll(2) loop. */
struct sync_loop {
	struct pollfd *fds;
	size_t nfds, cap;
	struct list jobs;		/* taken, not yet run */
};

struct oci_client {
	struct oci_opts opts;		/* strings owned, defaults filled in */
	struct oci_hooks hooks;
	bool is_sync, is_dying;
	unsigned depth;
	struct sync_loop sync;
	struct http *http;
	struct timers timers;
	struct timer curl_timer;
	uint64_t armed_due_ms;		/* what the loop was told; UINT64_MAX: nothing */
	struct list repos, reqs, jobs;
	uint64_t random;
	struct oci_stats stats;
};

/* What the public calls know of a request; first member of whatever it really is. */
struct oci_req {
	struct list node;		/* in client->reqs */
	struct oci_client *client;
	void (*cancel)(struct oci_req *req, const struct err *err);
	void (*pause)(struct oci_req *req, bool pause);
};

void client_enter(struct oci_client *c);
void client_leave(struct oci_client *c);
/* -errno: not taken, done will not be called. */
int client_run(struct oci_client *c, struct oci_job *job);
/* 0 .. limit-1, for jitter. */
uint64_t client_random(struct oci_client *c, uint64_t limit);

/* sync.c */
void sync_loop_init(struct oci_client *c);
void sync_loop_done(struct oci_client *c);

#endif
