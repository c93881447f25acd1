/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.h - the OCI distribution client: bytes by digest, from a registry, its mirrors or
 * a layout on disk, through one interface.
 *
 * One client = one curl multi handle, one thread (its "owner"). It runs in two ways:
 *   - sync: no hooks; the calls of oci/image.h drive it with oci_client_wait()
 *   - on an event loop: hooks tell the loop which descriptors and timer to watch; the loop
 *     calls oci_client_fd_ready() / oci_client_timer_fired(); callbacks come from there
 *
 * A request here is the whole story: token or Basic authentication (401 -> credentials ->
 * token -> again), redirects (final URL remembered per blob, renewed on 401/403/expiry),
 * mirrors in order, retries with exponential back-off + jitter + Retry-After on transport
 * errors, 408, 429, 5xx; time-outs; strict check of status, Content-Range and length.
 * 200 to a range is accepted and cut. Too short or too long is an error, never padded.
 * A retry resumes where the data stopped, so each byte is delivered once, in order.
 */
#ifndef LZ_OCI_CLIENT_H
#define LZ_OCI_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "oci/ref.h"

#define OCI_MANIFEST_MAX_BYTES (4u << 20)	/* of any manifest or index of images */

struct oci_client;
struct oci_repo;	/* one repository or layout: credentials, token, mirrors, final URLs */
struct oci_req;		/* one request under way */

struct oci_opts {
	const char *user_agent;		/* NULL: "lazyerofs/VERSION" */
	const char *docker_config;	/* see creds_lookup(); NULL: $DOCKER_CONFIG, ~/.docker */
	const char *hosts_dirs;		/* colon list of hosts.toml / certs.d roots; NULL: the usual */
	const char *ca_file;		/* extra CA bundle, NULL: system */
	const char *plain_http;		/* comma list of host[:port] where http is allowed;
					 * loopback addresses are always allowed */
	const char *username, *password;	/* explicit; NULL: look them up */
	bool insecure_tls;		/* do not verify certificates (explicit user choice) */
	uint32_t connect_timeout_ms;	/* 0: 5000 */
	uint32_t stall_timeout_ms;	/* no byte for so long = failed attempt; 0: 10000 */
	uint32_t retries;		/* after the first try; 0: 8 (about 8 s of back-off) */
	bool no_retries;		/* fail at the first failure */
	uint32_t max_connections;	/* per host; 0: 8 */
	const atomic_bool *stop;	/* sync: set by anyone, blocking calls soon end with
					 * ECANCELED; or NULL */
};

/* How an event loop carries the client. All calls happen on the owner thread. */
struct oci_hooks {
	void *arg;
	/* Watch fd for POLLIN/POLLOUT in events; 0 = forget it. */
	void (*watch_fd)(void *arg, int fd, int events);
	/* Call oci_client_timer_fired() in ms milliseconds; -1 = disarm. */
	void (*set_timer)(void *arg, int64_t ms);
	/* Run work(data) on some other thread, then done(data) on the owner thread: used for
	 * credential helpers and files. Must not fail silently: -errno = not taken. A job
	 * that was taken is run to its done(data), even after oci_client_free(). */
	int (*run_blocking)(void *arg, void (*work)(void *), void (*done)(void *), void *data);
};

int oci_client_new(const struct oci_opts *opts, const struct oci_hooks *hooks,
		   struct oci_client **ret, struct err *err);
/* Cancels what is under way: each request gets its done callback with ECANCELED. */
void oci_client_free(struct oci_client *c);
void oci_client_fd_ready(struct oci_client *c, int fd, int events);
void oci_client_timer_fired(struct oci_client *c);
/* Sync: run until *done. */
int oci_client_wait(struct oci_client *c, const bool *done, struct err *err);

/* The repository of ref (tag and digest do not matter); shared, counted. To be put back
 * before the client is freed. */
int oci_repo_get(struct oci_client *c, const struct oci_ref *ref, struct oci_repo **ret,
		 struct err *err);
void oci_repo_put(struct oci_repo *repo);
DEFINE_CLEANUP(struct oci_repo *, oci_repo_put, oci_repo_putp)
#define cleanup_repo cleanup_(oci_repo_putp)

struct oci_read {
	/* Bytes in order; non-zero ends the request with that -errno. Never NULL. */
	int (*on_data)(void *arg, const uint8_t *data, size_t len);
	/* Exactly once, last; err is NULL on success. The request is gone after it. May be
	 * called before oci_blob_read() returned. */
	void (*on_done)(void *arg, const struct err *err);
	void *arg;
	uint32_t deadline_ms;	/* for the whole story; 0: none */
	bool background;	/* others go first where connections are short */
};

/*
 * Read blob bytes [off, off+len) (len > 0; blob_size bounds it). With off 0 and len
 * UINT64_MAX the whole blob, whose size must then equal desc->size unless unknown.
 * Digests are the caller's to check.
 */
int oci_blob_read(struct oci_repo *repo, const struct oci_desc *desc, uint64_t off,
		  uint64_t len, const struct oci_read *read, struct oci_req **ret,
		  struct err *err);
/* on_done follows with ECANCELED, at once; of kind NETWORK where the text tells of a failed try. */
void oci_req_cancel(struct oci_req *req);
/* Stop / go on taking bytes from the network. */
void oci_req_pause(struct oci_req *req, bool pause);

/* Counters since the start, for status and metrics. */
struct oci_stats {
	uint64_t requests, bytes, retries, auth_exchanges, failures;
};
void oci_client_stats(const struct oci_client *c, struct oci_stats *ret);

#endif
