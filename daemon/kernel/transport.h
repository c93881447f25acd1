/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transport.h - what a kernel path looks like to the rest of the daemon.
 *
 * Two real ones, fanotify.c and cachefiles.c, and fake.c for tests. A transport turns
 * kernel messages into struct kreq in *blob space* (map.h), hands each to
 * conductor_request() and gets it back through ->answer exactly once. It owns the local
 * files that hold the data and how they are written; it knows nothing of registries,
 * spans or digests.
 *
 * Threads: "loop" callbacks run on the loop thread and must not block; "worker" callbacks
 * run on a pool thread, may block, and are not called twice at once for one layer segment.
 */
#ifndef LZ_DAEMON_TRANSPORT_H
#define LZ_DAEMON_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

struct conductor;
struct layer;
struct loop;
struct transport;

/* One read by the kernel. The transport embeds it in its own request and allocates it. */
struct kreq {
	struct list link;		/* conductor's */
	struct transport *transport;
	struct layer *layer;
	uint64_t off, len;		/* blob space, within the blob, len > 0 */
	struct list by_deadline;	/* conductor's */
	uint64_t deadline_ms;		/* set by the conductor */
	uint64_t arrived_us;		/* set by the conductor */
};

/* What is needed to make an image mountable, and to mount it. Borrowed strings. */
struct image_spec {
	const char *image_id;		/* 64 hex: fsid under cachefiles */
	const char *bootstrap_path;	/* absolute, of this transport's kind, complete */
	struct layer *const *layers;	/* bottom first; those without data included */
	uint32_t nlayers;
};

struct transport_ops {
	const char *name;		/* "fanotify", "cachefiles", "fake" */
	/* A prepared image is mounted without asking us (mount -o fsid=): it stays prepared
	 * for as long as the daemon runs, and again after a restart. */
	bool mounted_by_others;

	/* loop; serve kernel requests from now on. */
	int (*start)(struct transport *t, struct conductor *c, struct err *err);
	/* loop; take no new requests. Mounts stay; the guardian keeps the kernel's side. */
	void (*stop)(struct transport *t);
	void (*free)(struct transport *t);

	/*
	 * worker; make the layer's local files ready (create, recover) and set
	 * l->segments[].len and l->present_bytes to what is present and trusted.
	 */
	int (*layer_open)(struct transport *t, struct layer *l, struct err *err);
	/* worker; after conductor_layer_remove(). Records what is durable. */
	void (*layer_close)(struct transport *t, struct layer *l);

	/*
	 * worker; append verified bytes at the end of a segment: off (from the segment's
	 * start) is its present length, off, len and data (its address) multiples of 4 KiB.
	 * Different segments of a layer are written at once. Whole or an error;
	 * after an error nothing beyond off counts as present. ENOSPC is kept as such.
	 */
	int (*segment_write)(struct transport *t, struct layer *l, uint32_t segment,
			     uint64_t off, const uint8_t *data, uint64_t len,
			     struct err *err);
	/* worker; the segment is whole: the kernel needs us no more for it. */
	int (*segment_complete)(struct transport *t, struct layer *l, uint32_t segment,
				struct err *err);
	/* worker; fdatasync what was written and record it as trusted after a crash. May run
	 * while segments are written: what is recorded was whole before the fdatasync. Not
	 * twice at once for a layer. l->segments belongs to the loop; of it
	 * only len may be read here, as an atomic. */
	int (*layer_sync)(struct transport *t, struct layer *l, struct err *err);

	/* loop; give the kernel its answer, 0 or -errno, and free the request. */
	void (*answer)(struct transport *t, struct kreq *req, int status);

	/* worker; after layer_open of all layers: from now on a mount will succeed. */
	int (*image_prepare)(struct transport *t, const struct image_spec *spec,
			     struct err *err);
	void (*image_forget)(struct transport *t, const char *image_id);
	/* worker; mount read-only on the directory target. */
	int (*mount)(struct transport *t, const struct image_spec *spec, const char *target,
		     struct err *err);
};

struct transport {
	const struct transport_ops *ops;
};

#endif
