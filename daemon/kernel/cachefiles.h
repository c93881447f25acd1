/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cachefiles.h - the on-demand cachefiles path (Linux 5.19 to 7.1; floor in
 * cachefiles_proto.h), behind transport.h.
 *
 * One layer blob is one cache object; its data file is the kernel's own backing file,
 *	DIR/cache/Ierofs,DOMAIN/@hh/D<blob ID>
 * whose holes are what the kernel asks for. An image's bootstrap is an object as well,
 * copied there whole before the mount. All images share one domain, so a layer that several
 * images hold is one object. Our records lie in DIR/state.
 *
 * Life of the kernel's side: the device descriptor also lies with the guardian. A daemon
 * that finds it there adopts it and writes `restore`; without it the cache is bound anew,
 * and what was mounted before answers EIO until it is unmounted (never wrong bytes).
 *
 * Order for main: cachefiles_transport_new() - layer_open() and image_prepare() of all that
 * was mounted before - start(): a pending OPEN must find its layer.
 */
#ifndef LZ_DAEMON_CACHEFILES_H
#define LZ_DAEMON_CACHEFILES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "daemon/kernel/guardian.h"
#include "daemon/kernel/transport.h"
#include "daemon/loop/loop.h"

/*
 * Linux 6.9+ names a mount's folder below /sys/fs/erofs "DOMAIN,FSID" cut to 36 characters,
 * and a second mount of the same name fails: 15 characters of the image ID must stay.
 */
#define CACHEFILES_DOMAIN_MAX 20

struct cachefiles_opts {
	struct loop *loop;
	struct guardian *guardian;	/* NULL: a dead daemon means EIO until umount */
	const char *dir;		/* the cache: ext4, xfs or btrfs; made if missing */
	const char *tag;		/* of the cache; NULL: "lazyerofs" */
	const char *domain;		/* domain_id of all mounts; NULL: "lazyerofs" */
	/* percent, 0 = the kernel's default; brun > bcull > bstop, the same for files */
	unsigned brun, bcull, bstop, frun, fcull, fstop;
	bool any_kernel;		/* serve on a kernel below the floor too */
	bool no_seeding;		/* as on a kernel that does not adopt files made by us */
};

/*
 * Opens or adopts the device, binds the cache, runs the self-test (not on an adopted
 * device: its requests are somebody's). Blocks for a second or so; main thread, before the
 * loop runs. -EOPNOTSUPP when this kernel cannot, with the reason.
 */
int cachefiles_transport_new(const struct cachefiles_opts *opts, struct transport **ret,
			     struct err *err);

struct cachefiles_stats {
	uint64_t opens, closes, reads, bootstrap_reads;
	uint64_t lost_blocks;		/* present by our books, a hole for the kernel */
	bool adopted, seeding;
};

void cachefiles_stats_get(struct transport *t, struct cachefiles_stats *ret);

#endif
