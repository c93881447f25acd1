/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cachefiles.c - the on-demand cachefiles transport: requests in, answers out.
 *
 *	OPEN   known layer or image: copen with its size, from local knowledge, at once
 *	       unknown, but the kernel has it open (after `restore`): copen with the size of
 *	                             its file; READs of it are completed without data. Were it
 *	                             refused, the kernel would send it again and again as long
 *	                             as a reader waits, and the reader would never get EIO.
 *	       anything else:        copen -ENOENT, descriptor closed
 *	READ   of a layer:           a kreq for the conductor; completed when it answers
 *	       of a bootstrap:       filled from the local file by the pool (only where the
 *	                             kernel does not adopt our copy of it)
 *	CLOSE  pending READs are given back, the descriptor is closed
 *
 * Every READ is completed exactly once, with or without data: without, the reader gets EIO.
 * A hole that the kernel still finds after the completion is EIO as well, never zeros.
 * The device is never written through the ring: that hangs for ever (kernel-notes).
 *
 * Loop thread, but for the fill of a bootstrap, which is a job of a pool of its own.
 * Follows kernel-notes/cachefiles.md.
 */
#include "daemon/kernel/cachefiles.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/kernel/cachefiles_priv.h"
#include "daemon/log.h"

#define REQUESTS_PER_TURN 64
#define BOOTSTRAP_FILL_BYTES (1u << 20)

/* A READ that is not completed yet. */
struct cachefiles_read_req {
	struct kreq kreq;		/* first user: the conductor */
	struct pool_job job;		/* or the pool, for a bootstrap */
	struct list link;		/* object.reqs */
	struct cachefiles *t;
	struct cachefiles_object *object;	/* ref */
	struct cachefiles_image *image;		/* ref, or NULL */
	uint32_t msg_id;
};

static struct cachefiles_object *object_find(struct cachefiles *t, uint32_t id)
{
	struct cachefiles_object *object;

	list_for_each(object, &t->objects, link)
		if (object->object_id == id)
			return object;
	return NULL;
}

/* The layer that is open under this key takes note of its object (or of none). */
static void layer_object_set(struct cachefiles *t, struct cachefiles_object *old,
			     struct cachefiles_object *object, const char *key)
{
	struct cachefiles_layer *cl;

	list_for_each(cl, &t->layers, link) {
		if (strcmp(cl->key, key) != 0 || (old && cl->object != old))
			continue;
		if (cl->object)
			cachefiles_object_unref(cl->object);
		cl->object = object ? cachefiles_object_ref(object) : NULL;
	}
}

static void request_end(struct cachefiles_read_req *req)
{
	int rc = 0;

	if (!atomic_load(&req->object->closed))
		rc = cachefiles_read_complete(req->object->fd, req->msg_id);
	if (rc < 0)
		log_error("cachefiles: completing a read of %s: %s", req->object->key,
			  strerror(-rc));
	list_del(&req->link);
	if (req->image)
		cachefiles_image_unref(req->image);
	cachefiles_object_unref(req->object);
	free(req);
}

/* The kernel has dropped the object, or a new descriptor replaces this one. */
static void object_drop(struct cachefiles *t, struct cachefiles_object *object)
{
	struct cachefiles_read_req *req, *tmp;

	atomic_store(&object->closed, true);
	list_for_each_safe(req, tmp, &object->reqs, link)
		if (!req->image)
			conductor_request_drop(t->conductor, &req->kreq);
	pthread_mutex_lock(&t->lock);
	list_del(&object->link);
	layer_object_set(t, object, NULL, object->key);
	pthread_mutex_unlock(&t->lock);
	cachefiles_object_unref(object);
}

/* Size of what the key names, and whether we have it. */
static bool key_lookup(struct cachefiles *t, const char *key, uint64_t *ret_size)
{
	struct layer *l = conductor_layer_find(t->conductor, key);
	struct cachefiles_image *image;

	if (l && l->transport == &t->base && l->transport_data) {
		*ret_size = l->map->blob_size;
		return true;
	}
	WITH_LOCK(&t->lock);
	list_for_each(image, &t->images, link)
		if (strcmp(image->id, key) == 0) {
			*ret_size = image->size;
			return true;
		}
	return false;
}

/*
 * Not ours, or not any more: but an object that the kernel opens *again* has its file
 * already, whose size is good enough to get at its READs. A new one has none (ENOBUFS).
 */
static bool orphan_size(const struct cachefiles_request *req, uint64_t *ret_size)
{
	off_t size = lseek(req->fd, 0, SEEK_END);

	if (size <= 0)
		return false;
	*ret_size = (uint64_t)size;
	return true;
}

static struct cachefiles_object *object_new(const struct cachefiles_request *req)
{
	struct cachefiles_object *object;

	if (req->cookie_key_len >= sizeof(object->key))
		return NULL;
	object = calloc(1, sizeof(*object));
	if (!object)
		return NULL;
	list_init(&object->link);
	list_init(&object->reqs);
	atomic_init(&object->refs, 1);
	atomic_init(&object->closed, false);
	object->object_id = req->object_id;
	object->fd = req->fd;
	memcpy(object->key, req->cookie_key, req->cookie_key_len);
	return object;
}

static void open_refuse(struct cachefiles *t, const struct cachefiles_request *req, int num)
{
	cachefiles_copen(t->devfd, req->msg_id, -num);
	close(req->fd);		/* left open it hangs the next mount of this name */
}

static void open_handle(struct cachefiles *t, const struct cachefiles_request *req)
{
	struct cachefiles_object *object = object_new(req), *old, *tmp;
	uint64_t size;
	int rc;

	t->stats.opens++;
	if (!object) {
		open_refuse(t, req, ENOMEM);
		return;
	}
	if (!cachefiles_key_is(req, t->volume_key, object->key) ||
	    !key_lookup(t, object->key, &size)) {
		if (!orphan_size(req, &size)) {
			log_warning("cachefiles: the kernel opens %s, which is not ours",
				    object->key);
			open_refuse(t, req, ENOENT);
			free(object);
			return;
		}
		log_warning("cachefiles: %s is mounted, but not served here: what is missing of it "
			    "is EIO", object->key);
	}
	/* Opened again after `restore`: the old descriptor is dead. */
	list_for_each_safe(old, tmp, &t->objects, link)
		if (strcmp(old->key, object->key) == 0)
			object_drop(t, old);
	rc = cachefiles_copen(t->devfd, req->msg_id, (int64_t)size);
	if (rc < 0) {
		log_warning("cachefiles: open of %s: %s", object->key, strerror(-rc));
		cachefiles_object_unref(object);
		return;
	}
	WITH_LOCK(&t->lock);
	list_add_tail(&t->objects, &object->link);
	layer_object_set(t, NULL, object, object->key);
}

static void bootstrap_work(struct pool_job *job)
{
	struct cachefiles_read_req *req = container_of(job, struct cachefiles_read_req, job);
	uint64_t off = req->kreq.off, len = req->kreq.len, size = req->image->size;
	cleanup_free void *buf = NULL;
	uint64_t padded;
	int rc;

	if (len < BOOTSTRAP_FILL_BYTES)
		len = BOOTSTRAP_FILL_BYTES;
	if (len > size - off)
		len = size - off;
	padded = io_round_up(len, IO_BLOCK_BYTES);
	if (posix_memalign(&buf, IO_BLOCK_BYTES, padded))
		return;
	memset((uint8_t *)buf + len, 0, padded - len);
	rc = io_pread_full(req->image->fd, buf, len, off);
	if (rc == 0)
		rc = cachefiles_write(req->object->fd, buf, padded, off);
	if (rc < 0)
		log_error("cachefiles: bootstrap %s at %llu: %s", req->image->id,
			  (unsigned long long)off, strerror(-rc));
}

static void bootstrap_done(struct pool_job *job)
{
	request_end(container_of(job, struct cachefiles_read_req, job));
}

static struct cachefiles_image *image_get(struct cachefiles *t, const char *id)
{
	struct cachefiles_image *image;

	WITH_LOCK(&t->lock);
	list_for_each(image, &t->images, link)
		if (strcmp(image->id, id) == 0) {
			atomic_fetch_add(&image->refs, 1);
			return image;
		}
	return NULL;
}

/* Hand on a read of len > 0 bytes that lie within what the object's key names. */
static void read_dispatch(struct cachefiles *t, struct cachefiles_read_req *req)
{
	struct kreq *k = &req->kreq;
	struct layer *l = conductor_layer_find(t->conductor, req->object->key);

	if (l && l->transport == &t->base && l->transport_data && k->off < l->map->blob_size) {
		if (k->len > l->map->blob_size - k->off)
			k->len = l->map->blob_size - k->off;
		cachefiles_layer_recheck(t, l, req->object, k->off, k->len);
		k->layer = l;
		conductor_request(t->conductor, k);
		return;
	}
	req->image = image_get(t, req->object->key);
	if (req->image && k->off < req->image->size && k->off % IO_BLOCK_BYTES == 0) {
		t->stats.bootstrap_reads++;
		if (!t->pool && pool_new(t->loop, 1, &t->pool, NULL) < 0) {
			log_error("cachefiles: no thread to serve the bootstrap %s", req->image->id);
			request_end(req);
			return;
		}
		req->job = (struct pool_job){
			.work = bootstrap_work,
			.done = bootstrap_done,
			.prio = POOL_FAULT,
		};
		pool_submit(t->pool, &req->job);
		return;
	}
	log_warning("cachefiles: read of %s at %llu: nothing there", req->object->key,
		    (unsigned long long)k->off);
	request_end(req);
}

static void read_handle(struct cachefiles *t, const struct cachefiles_request *msg)
{
	struct cachefiles_object *object = object_find(t, msg->object_id);
	struct cachefiles_read_req *req;

	t->stats.reads++;
	if (!object) {
		/* Without a descriptor there is no way to answer; the kernel reopens first. */
		log_error("cachefiles: read of the unknown object %u", msg->object_id);
		return;
	}
	req = calloc(1, sizeof(*req));
	if (!req) {
		cachefiles_read_complete(object->fd, msg->msg_id);
		return;
	}
	list_init(&req->kreq.link);
	list_init(&req->kreq.by_deadline);
	req->kreq.transport = &t->base;
	req->kreq.off = msg->off;
	req->kreq.len = msg->len;
	req->t = t;
	req->object = cachefiles_object_ref(object);
	req->msg_id = msg->msg_id;
	list_add_tail(&object->reqs, &req->link);
	read_dispatch(t, req);
}

static void close_handle(struct cachefiles *t, const struct cachefiles_request *msg)
{
	struct cachefiles_object *object = object_find(t, msg->object_id);

	t->stats.closes++;
	if (object)
		object_drop(t, object);
}

static void request_handle(struct cachefiles *t, const struct cachefiles_request *req)
{
	switch (req->opcode) {
	case CACHEFILES_OP_OPEN:
		open_handle(t, req);
		break;
	case CACHEFILES_OP_READ:
		read_handle(t, req);
		break;
	case CACHEFILES_OP_CLOSE:
		close_handle(t, req);
		break;
	}
}

/* A message that does not fit itself: answered all the same, as far as it can be. */
static void request_refuse(struct cachefiles *t, const struct cachefiles_request *req)
{
	struct cachefiles_object *object = object_find(t, req->object_id);

	log_error("cachefiles: a message that this daemon does not understand (opcode %u)",
		  req->opcode);
	if (req->fd >= 0)
		open_refuse(t, req, EPROTO);
	else if (req->opcode == CACHEFILES_OP_READ && object)
		cachefiles_read_complete(object->fd, req->msg_id);
}

static void device_ready(struct loop_watch *w, uint32_t revents)
{
	struct cachefiles *t = container_of(w, struct cachefiles, watch);
	_Alignas(8) uint8_t buf[CACHEFILES_MSG_MAX_SIZE];
	struct cachefiles_request req;
	int rc = 1;

	(void)revents;
	for (int i = 0; i < REQUESTS_PER_TURN && rc > 0; i++) {
		rc = cachefiles_request_read(t->devfd, buf, &req);
		if (rc > 0)
			request_handle(t, &req);
	}
	/* EMFILE and the like failed one OPEN, which the kernel has told its mount. */
	if (rc == -EPROTO) {
		request_refuse(t, &req);
	} else if (rc == -EIO) {
		log_error("cachefiles: the cache is dead (see the kernel log); mounts answer EIO");
		loop_watch_del(w);
	} else if (rc < 0) {
		log_error("cachefiles: reading a request: %s", strerror(-rc));
	}
}

static int transport_start(struct transport *base, struct conductor *c, struct err *err)
{
	struct cachefiles *t = container_of(base, struct cachefiles, base);
	int rc;

	t->conductor = c;
	t->watch.ready = device_ready;
	t->watch.fd = t->devfd;
	t->watch.events = POLLIN;
	rc = loop_watch_add(t->loop, &t->watch);
	return rc < 0 ? err_sys(err, -rc, "cannot watch /dev/cachefiles") : 0;
}

static void transport_stop(struct transport *base)
{
	struct cachefiles *t = container_of(base, struct cachefiles, base);

	loop_watch_del(&t->watch);
}

static void transport_answer(struct transport *base, struct kreq *kreq, int status)
{
	(void)base;
	(void)status;	/* no data is how a failure is told */
	request_end(container_of(kreq, struct cachefiles_read_req, kreq));
}

/* A whole segment has no hole: the kernel does not ask again. */
static int transport_segment_complete(struct transport *base, struct layer *l,
				      uint32_t segment, struct err *err)
{
	(void)base;
	(void)l;
	(void)segment;
	(void)err;
	return 0;
}

static void transport_free(struct transport *base)
{
	struct cachefiles *t = container_of(base, struct cachefiles, base);
	struct cachefiles_object *object, *tmp;
	struct cachefiles_image *image, *tmp2;

	if (t->pool)
		pool_free(t->pool);
	list_for_each_safe(object, tmp, &t->objects, link) {
		list_del(&object->link);
		cachefiles_object_unref(object);
	}
	list_for_each_safe(image, tmp2, &t->images, link) {
		list_del(&image->link);
		cachefiles_image_unref(image);
	}
	if (t->devfd >= 0)
		close(t->devfd);
	if (t->dirfd >= 0)
		close(t->dirfd);
	if (t->statefd >= 0)
		close(t->statefd);
	pthread_mutex_destroy(&t->lock);
	free(t->dir);
	free(t->domain);
	free(t);
}

static const struct transport_ops cachefiles_ops = {
	.name = "cachefiles",
	.mounted_by_others = true,
	.start = transport_start,
	.stop = transport_stop,
	.free = transport_free,
	.layer_open = cachefiles_layer_open,
	.layer_close = cachefiles_layer_close,
	.segment_write = cachefiles_segment_write,
	.segment_complete = transport_segment_complete,
	.layer_sync = cachefiles_layer_sync,
	.answer = transport_answer,
	.image_prepare = cachefiles_image_prepare,
	.image_forget = cachefiles_image_forget,
	.mount = cachefiles_mount,
};

struct cachefiles *cachefiles_alloc(const struct cachefiles_opts *opts)
{
	struct cachefiles *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->base.ops = &cachefiles_ops;
	t->loop = opts->loop;
	t->guardian = opts->guardian;
	t->no_seeding = opts->no_seeding;
	t->devfd = t->dirfd = t->statefd = -1;
	t->bstop = opts->bstop ? opts->bstop : 1;
	t->dir = strdup(opts->dir);
	t->domain = strdup(opts->domain ? opts->domain : "lazyerofs");
	pthread_mutex_init(&t->lock, NULL);
	list_init(&t->objects);
	list_init(&t->layers);
	list_init(&t->images);
	if (t->dir && t->domain) {
		snprintf(t->volume_key, sizeof(t->volume_key), "erofs,%s", t->domain);
		return t;
	}
	transport_free(&t->base);
	return NULL;
}

static int kernel_check(const struct cachefiles_opts *opts, struct err *err)
{
	struct utsname uts;
	int rc;

	if (uname(&uts))
		return err_sys(err, errno, "uname");
	rc = cachefiles_kernel_check(uts.release, uts.version, err);
	if (rc == 0 || !opts->any_kernel)
		return rc;
	log_warning("cachefiles: %s; served all the same, as configured",
		    err ? err->text : "kernel below the floor");
	return 0;
}

int cachefiles_transport_new(const struct cachefiles_opts *opts, struct transport **ret,
			     struct err *err)
{
	struct cachefiles *t;
	int rc = kernel_check(opts, err);

	if (rc < 0)
		return rc;
	if (opts->domain && strlen(opts->domain) > CACHEFILES_DOMAIN_MAX)
		return err_set(err, ERR_UNSUPPORTED, EINVAL,
			       "domain \"%s\" is longer than %d characters", opts->domain,
			       CACHEFILES_DOMAIN_MAX);
	t = cachefiles_alloc(opts);
	if (!t)
		return err_sys(err, ENOMEM, "cachefiles transport");
	rc = cachefiles_device_open(t, opts, err);
	if (rc == 0)
		rc = cachefiles_selftest(t, &t->seeding, err);
	if (rc == 0 && t->guardian && !t->adopted)
		rc = guardian_put(t->guardian, CACHEFILES_GUARDIAN_NAME, t->devfd, err);
	if (rc < 0) {
		transport_free(&t->base);
		return rc;
	}
	t->stats.adopted = t->adopted;
	t->stats.seeding = t->seeding;
	log_info("cachefiles: %s cache %s, domain %s, %s", t->adopted ? "took over" : "bound",
		 t->dir, t->domain,
		 t->seeding ? "data files made beforehand are adopted" :
			      "data files are the kernel's own: lost by a power cut while mounted");
	*ret = &t->base;
	return 0;
}

void cachefiles_stats_get(struct transport *base, struct cachefiles_stats *ret)
{
	*ret = container_of(base, struct cachefiles, base)->stats;
}
