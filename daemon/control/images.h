/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * images.h - the images that are open: their layers are served, they can be mounted.
 *
 * An image is open while somebody uses it (images_get .. images_put) or the kernel holds
 * its file system, be it under an overlay or in another mount namespace. After the last of
 * both it is closed; what is cached stays. On a kernel path where anybody can mount a
 * prepared image by its name, it stays open, and only its background fill ends. Whoever makes images mountable asks here: the
 * admin socket now, a snapshotter as well.
 *
 *	          get                    layers open, transport ready        idle
 *	(none) ─────────> OPENING ──────────────────────────────> OPEN ──────> CLOSING ──> (none)
 *
 * Loop thread; callbacks come from there and never from inside the call.
 */
#ifndef LZ_DAEMON_IMAGES_H
#define LZ_DAEMON_IMAGES_H

#include "daemon/control/layers.h"
#include "daemon/control/mounts.h"

struct images;
struct image;

struct images_opts {
	struct loop *loop;
	struct pool *pool;
	struct transport *transport;
	struct store *store;
	struct layers *layers;
	const char *domain;		/* cachefiles; borrowed */
};

struct images_get {
	struct list link;		/* the images' */
	/* image: yours until images_put(); NULL on failure */
	void (*done)(struct images_get *g, struct image *image, const struct err *err);
	struct loop_task task;		/* the images' */
	struct image *image;
};

int images_new(const struct images_opts *opts, struct images **ret, struct err *err);
/* images_close_all() and images_is_empty() before. */
void images_free(struct images *im);

/*
 * Open what the record says, whose parts are in the store; rec is taken, also on failure
 * (-errno: done is not called).
 */
int images_get(struct images *im, struct image_record *rec, struct images_get *g,
	       struct err *err);
void images_put(struct images *im, struct image *image);
/* The table of mounts was read anew: look which images are still needed. */
void images_mounts_changed(struct images *im, const struct mounts *mounts);
/* Orderly stop: close them all, mounted or not. */
void images_close_all(struct images *im);
bool images_is_empty(const struct images *im);

/* Worker: mount it; the image is yours (get). */
int image_mount(struct image *image, const char *target, struct err *err);

const struct image_record *image_rec(const struct image *image);
const char *image_id(const struct image *image);
struct layer *image_layer(const struct image *image, uint32_t i);
bool image_is_open(const struct image *image);
/* In the order they were opened. fn must not get or put. */
void images_each(struct images *im, void (*fn)(void *arg, const struct image *image),
		 void *arg);

#endif
