/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cachefiles_priv.h - what the files of the cachefiles transport share; nobody else.
 *
 * Lock order: cachefiles.lock, then cachefiles_layer.lock. Neither is held across a
 * blocking call, but for the few directory and xattr calls said below.
 */
#ifndef LZ_DAEMON_CACHEFILES_PRIV_H
#define LZ_DAEMON_CACHEFILES_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/digest.h"
#include "daemon/fill/conductor.h"
#include "daemon/fill/layer.h"
#include "daemon/kernel/cachefiles.h"
#include "daemon/kernel/cachefiles_path.h"
#include "daemon/kernel/cachefiles_proto.h"
#include "daemon/pool.h"

#define CACHEFILES_GUARDIAN_NAME "cachefiles"

/*
 * An object that the kernel holds open: its anonymous descriptor, closed when the last
 * reference goes, so that a worker's write can never land in a descriptor used anew.
 * In the table from OPEN to CLOSE; loop thread, refs any thread.
 */
struct cachefiles_object {
	struct list link;		/* cachefiles.objects */
	struct list reqs;		/* struct cachefiles_read_req.link, loop thread */
	atomic_uint refs;
	atomic_bool closed;		/* the kernel has dropped it */
	uint32_t object_id;
	int fd;
	char key[CACHEFILES_KEY_MAX + 1];
};

/* layer.transport_data */
struct cachefiles_layer {
	struct list link;		/* cachefiles.layers */
	pthread_mutex_t lock;		/* written[], fd */
	const struct layer_map *map;	/* borrowed from the layer */
	struct cachefiles_path path;
	char key[DIGEST_HEX_LEN + 1];
	int statefd;			/* DIR/state/<blob ID>: the record of fill/state.h */
	int fd;				/* the backing file by its path; -1: not seeded */
	struct cachefiles_object *object;	/* or NULL; cachefiles.lock */
	uint64_t *written;		/* present bytes per segment, as written by us */
};

/* A prepared image: the bootstrap's object. */
struct cachefiles_image {
	struct list link;		/* cachefiles.images */
	atomic_uint refs;
	char id[DIGEST_HEX_LEN + 1];
	int fd;				/* the bootstrap */
	uint64_t size;
};

struct cachefiles {
	struct transport base;
	struct loop *loop;
	/*
	 * For bootstraps, made when the first is asked for: the daemon's pool may be full of
	 * mount(2) calls that wait for these very reads.
	 */
	struct pool *pool;
	struct guardian *guardian;
	struct conductor *conductor;	/* set by start */
	struct loop_watch watch;
	int devfd, dirfd, statefd;
	bool adopted;			/* the device came from the guardian */
	bool seeding;			/* the kernel adopts files made by us */
	bool no_seeding;		/* but we are told not to make any */
	unsigned bstop;			/* percent */
	char *dir, *domain;
	char volume_key[CACHEFILES_KEY_MAX + 1];

	pthread_mutex_t lock;		/* the three lists, object pointers of layers */
	struct list objects, layers, images;
	struct cachefiles_stats stats;	/* loop thread */
};

/* --- cachefiles.c: a transport that has no device and no directory yet ---------------- */
struct cachefiles *cachefiles_alloc(const struct cachefiles_opts *opts);

/* --- cachefiles_dev.c: main thread --------------------------------------------------- */
/* Sets dirfd and statefd; then devfd and adopted: a fresh device is bound, not yet deposited. */
int cachefiles_directories_open(struct cachefiles *t, struct err *err);
int cachefiles_device_open(struct cachefiles *t, const struct cachefiles_opts *opts,
			   struct err *err);

/* --- cachefiles_selftest.c: main thread, device bound, nothing mounted ---------------- */
/*
 * Mounts a tiny image of our own and proves: a request is served, a completion without
 * data is EIO and never zeros, and (*ret_seeding) a file made by us is adopted.
 */
int cachefiles_selftest(struct cachefiles *t, bool *ret_seeding, struct err *err);

/* --- cachefiles_layer.c: worker threads ----------------------------------------------- */
int cachefiles_layer_open(struct transport *t, struct layer *l, struct err *err);
void cachefiles_layer_close(struct transport *t, struct layer *l);
int cachefiles_segment_write(struct transport *t, struct layer *l, uint32_t segment,
			     uint64_t off, const uint8_t *data, uint64_t len,
			     struct err *err);
int cachefiles_layer_sync(struct transport *t, struct layer *l, struct err *err);
/*
 * Loop thread: the kernel asks for [off, off+len) of the blob, which layer_has(). Where its
 * file really has holes, our books are wrong: correct them.
 */
void cachefiles_layer_recheck(struct cachefiles *t, struct layer *l,
			      struct cachefiles_object *object, uint64_t off, uint64_t len);

/* --- cachefiles_mount.c: worker threads ------------------------------------------------ */
int cachefiles_image_prepare(struct transport *t, const struct image_spec *spec,
			     struct err *err);
void cachefiles_image_forget(struct transport *t, const char *image_id);
int cachefiles_mount(struct transport *t, const struct image_spec *spec, const char *target,
		     struct err *err);
void cachefiles_image_unref(struct cachefiles_image *image);
/* Erofs mounts of our domain that are there although the cache was bound anew. */
unsigned cachefiles_mounts_count(const char *domain);

/* --- references: any thread -------------------------------------------------------------- */
void cachefiles_object_unref(struct cachefiles_object *object);		/* cachefiles_layer.c */
static inline struct cachefiles_object *cachefiles_object_ref(struct cachefiles_object *object)
{
	atomic_fetch_add(&object->refs, 1);
	return object;
}

#endif
