/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fanotify.h - the kernel transport that needs no special kernel: EROFS mounted from plain
 * files, whose missing bytes are asked for by fanotify pre-content events (Linux 6.14).
 * Facts: kernel-notes/fanotify.md.
 *
 *   CACHE_DIR/layers/BLOB_ID/seg/NNNNN    one file per segment: a prefix of verified bytes
 *   CACHE_DIR/images/IMAGE_ID/bootstrap.fanotify    complete, opened by its own path
 *   RUN_DIR/cache[.N]    private read-only bind mounts of CACHE_DIR, one per shard, marked;
 *                        EROFS opens the segment files through them, nobody else
 *
 * A segment file begins empty and grows at its end: it never has a hole, so a read of what
 * is not there is an error in the kernel, whoever is alive.
 *
 * A shard is one fanotify group with its bind mount and journal; segment k of a layer is
 * opened through shard k mod N. All shards are served by the loop thread.
 */
#ifndef LZ_DAEMON_FANOTIFY_H
#define LZ_DAEMON_FANOTIFY_H

#include <stdint.h>

#include "base/err.h"
#include "daemon/kernel/guardian.h"
#include "daemon/kernel/transport.h"
#include "daemon/loop/loop.h"
#include "daemon/notify.h"

#define FANOTIFY_SHARDS_MAX 8u

struct fanotify_opts {
	const char *cache_dir, *run_dir;	/* absolute; copied */
	struct loop *loop;			/* borrowed */
	struct guardian *guardian;		/* borrowed, or NULL: nobody keeps the groups */
	struct notify_fds *fds;			/* borrowed, or NULL: from systemd's fd store */
	uint32_t shards;			/* 0: one */
};

struct fanotify_stats {
	uint64_t events, answered_ok, answered_error;
	uint64_t unknown_files;		/* events of files that no layer here has: EIO */
	uint64_t leftovers, leftovers_unknown;	/* taken over from the daemon before */
	uint64_t overflows;		/* must stay 0: the kernel let reads through */
	uint64_t answer_failures;	/* answers that the kernel refused */
	uint64_t read_failures;		/* events denied for want of a descriptor */
	uint64_t pending;
};

/*
 * Take over the groups that an earlier daemon left with the guardian or systemd, or make
 * new ones; mark the bind mounts. No event is read before ->start(): until then readers
 * wait. Call before other descriptors are opened in number: the event descriptors of the
 * predecessor are answered by number, and these numbers are set aside here.
 * ->free() only when the loop runs no more.
 */
int fanotify_transport_new(const struct fanotify_opts *opts, struct transport **ret,
			   struct err *err);
void fanotify_transport_stats(const struct transport *t, struct fanotify_stats *ret);

#endif
