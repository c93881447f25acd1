/* SPDX-License-Identifier: GPL-2.0-or-later */
/* images.c - see images.h. Loop thread, but for the work functions and image_mount(). */
#include "daemon/control/images.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/log.h"

#define HELD_CHECK_MS 2000u	/* mounts that are not in our table */

enum image_state {
	IMAGE_OPENING,
	IMAGE_OPEN,
	IMAGE_CLOSING,
};

struct image_part {
	struct layers_get get;
	struct image *image;
	struct layers_entry *entry;
};

struct image {
	struct list link;		/* images.list */
	struct images *images;
	enum image_state state;
	unsigned users, nmounts;
	bool wanted;			/* in use: its layers are filled in the background */
	struct list waiters;		/* struct images_get */
	char id[DIGEST_HEX_LEN + 1];
	struct image_record *rec;
	struct oci_ref ref;
	struct image_part *parts;	/* rec->nlayers */
	struct layer **layers;		/* OPEN: of the parts, for the transport */
	uint32_t waiting;		/* parts not there yet */
	struct loop_task begun;
	char bootstrap[STORE_PATH_SIZE];
	struct pool_job job;
	struct err err;
	int result;
};

struct images {
	struct images_opts opts;
	struct list list;
	struct loop_timer check;
	bool closing;
};

static void image_free(struct image *i)
{
	list_del(&i->link);
	image_record_free(i->rec);
	free(i->parts);
	free(i->layers);
	free(i);
}

static void image_want(struct image *i, bool wanted)
{
	if (i->wanted == wanted)
		return;
	i->wanted = wanted;
	for (uint32_t k = 0; k < i->rec->nlayers; k++)
		layers_want(i->images->opts.layers, i->parts[k].entry, wanted);
}

static void parts_put(struct image *i)
{
	image_want(i, false);
	for (uint32_t k = 0; k < i->rec->nlayers; k++)
		if (i->parts[k].entry)
			layers_put(i->images->opts.layers, TAKE_PTR(i->parts[k].entry));
}

static struct image_spec spec_of(const struct image *i)
{
	return (struct image_spec){
		.image_id = i->id,
		.bootstrap_path = i->bootstrap,
		.layers = i->layers,
		.nlayers = i->rec->nlayers,
	};
}

/* --- opening --------------------------------------------------------------------------- */

static void get_served(struct loop_task *t)
{
	struct images_get *g = container_of(t, struct images_get, task);

	g->done(g, g->image, NULL);
}

static void serve(struct image *i, struct images_get *g)
{
	i->users++;
	g->image = i;
	g->task.run = get_served;
	loop_post(i->images->opts.loop, &g->task);
}

static void open_failed(struct image *i)
{
	struct err err = i->err;
	struct list waiters;
	struct images_get *g;

	list_init(&waiters);
	while (!list_is_empty(&i->waiters)) {
		g = list_first(&i->waiters, struct images_get, link);
		list_del(&g->link);
		list_add_tail(&waiters, &g->link);
	}
	parts_put(i);
	image_free(i);
	while (!list_is_empty(&waiters)) {
		g = list_first(&waiters, struct images_get, link);
		list_del(&g->link);
		g->done(g, NULL, &err);
	}
}

static void prepare_done(struct pool_job *job)
{
	struct image *i = container_of(job, struct image, job);
	struct images_get *g;

	if (i->result < 0) {
		open_failed(i);
		return;
	}
	i->state = IMAGE_OPEN;
	image_want(i, true);
	while (!list_is_empty(&i->waiters)) {
		g = list_first(&i->waiters, struct images_get, link);
		list_del(&g->link);
		serve(i, g);
	}
}

static void prepare_work(struct pool_job *job)
{
	struct image *i = container_of(job, struct image, job);
	struct transport *t = i->images->opts.transport;
	struct image_spec spec = spec_of(i);

	i->result = t->ops->image_prepare(t, &spec, &i->err);
}

static void parts_there(struct image *i)
{
	if (i->result < 0) {
		open_failed(i);
		return;
	}
	for (uint32_t k = 0; k < i->rec->nlayers; k++)
		i->layers[k] = layers_entry_layer(i->parts[k].entry);
	i->job = (struct pool_job){ .work = prepare_work, .done = prepare_done,
				    .prio = POOL_FAULT };
	pool_submit(i->images->opts.pool, &i->job);
}

static void part_done(struct layers_get *get, struct layers_entry *entry, const struct err *err)
{
	struct image_part *p = container_of(get, struct image_part, get);
	struct image *i = p->image;

	p->entry = entry;
	if (!entry && i->result == 0) {
		i->err = *err;
		i->result = -err->num;
	}
	if (--i->waiting == 0)
		parts_there(i);
}

/* All parts were asked for; some, or all, are there already. */
static void begun(struct loop_task *t)
{
	struct image *i = container_of(t, struct image, begun);

	if (--i->waiting == 0)
		parts_there(i);
}

static void image_begin(struct image *i)
{
	struct images *im = i->images;

	i->result = 0;
	/* One more than there are, so that no failure of a part ends the image in here. */
	i->waiting = i->rec->nlayers + 1;
	for (uint32_t k = 0; k < i->rec->nlayers; k++) {
		struct image_part *p = &i->parts[k];

		p->image = i;
		p->get.rec = &i->rec->layers[k];
		p->get.ref = &i->ref;
		p->get.done = part_done;
		if (layers_get(im->opts.layers, &p->get) < 0) {
			struct err err = ERR_INIT;

			err_sys(&err, ENOMEM, "layer %u", k);
			part_done(&p->get, NULL, &err);
		}
	}
	i->begun.run = begun;
	loop_post(im->opts.loop, &i->begun);
}

static struct image *image_find(struct images *im, const char *id)
{
	struct image *i;

	list_for_each(i, &im->list, link)
		if (strcmp(i->id, id) == 0)
			return i;
	return NULL;
}

static int image_new(struct images *im, struct image_record *rec, struct image **ret,
		     struct err *err)
{
	struct image *i = calloc(1, sizeof(*i));
	size_t n = rec->nlayers ? rec->nlayers : 1;
	int r;

	if (!i) {
		image_record_free(rec);
		return err_sys(err, ENOMEM, "image");
	}
	list_init(&i->link);
	list_init(&i->waiters);
	i->images = im;
	i->rec = rec;
	i->parts = calloc(n, sizeof(*i->parts));
	i->layers = calloc(n, sizeof(*i->layers));
	image_record_id(rec, i->id);
	store_bootstrap_path(im->opts.store, i->id, i->bootstrap);
	r = i->parts && i->layers ? oci_ref_parse(rec->reference, &i->ref, err)
				  : err_sys(err, ENOMEM, "image");
	if (r < 0) {
		image_free(i);
		return r;
	}
	*ret = i;
	return 0;
}

int images_get(struct images *im, struct image_record *rec, struct images_get *g,
	       struct err *err)
{
	char id[DIGEST_HEX_LEN + 1];
	struct image *i;
	int r;

	image_record_id(rec, id);
	i = im->closing ? NULL : image_find(im, id);
	if (i) {
		image_record_free(rec);
		if (i->state == IMAGE_OPEN)
			serve(i, g);
		else
			list_add_tail(&i->waiters, &g->link);
		return 0;
	}
	if (im->closing) {
		image_record_free(rec);
		return err_set(err, ERR_SYSTEM, ESHUTDOWN, "the daemon is stopping");
	}
	r = image_new(im, rec, &i, err);
	if (r < 0)
		return r;
	list_add_tail(&im->list, &i->link);
	list_add_tail(&i->waiters, &g->link);
	image_begin(i);
	return 0;
}

/* --- closing --------------------------------------------------------------------------- */

static void forget_done(struct pool_job *job)
{
	struct image *i = container_of(job, struct image, job);

	parts_put(i);
	if (list_is_empty(&i->waiters)) {
		image_free(i);
		return;
	}
	/* Wanted again meanwhile. */
	i->state = IMAGE_OPENING;
	image_begin(i);
}

static void forget_work(struct pool_job *job)
{
	struct image *i = container_of(job, struct image, job);
	struct transport *t = i->images->opts.transport;

	if (t->ops->image_forget)
		t->ops->image_forget(t, i->id);
}

static void image_close(struct image *i)
{
	log_debug("image %.12s is not used any more", i->id);
	i->state = IMAGE_CLOSING;
	i->job = (struct pool_job){ .work = forget_work, .done = forget_done,
				    .prio = POOL_FAULT };
	pool_submit(i->images->opts.pool, &i->job);
}

/* Close those that nobody needs; *ret_again: some are held where we cannot see them. */
static void sweep(struct images *im, bool *ret_again)
{
	bool stay = im->opts.transport->ops->mounted_by_others && !im->closing;
	struct image *i, *tmp;

	*ret_again = false;
	list_for_each_safe(i, tmp, &im->list, link) {
		bool held = false;

		if (i->state != IMAGE_OPEN)
			continue;
		if (!i->users && !i->nmounts && !im->closing)
			held = store_image_is_held(im->opts.store, i->id, im->opts.domain);
		*ret_again |= held;
		image_want(i, i->users || i->nmounts || held);
		if (!i->wanted && !stay)
			image_close(i);
	}
}

static void sweep_soon(struct images *im, uint32_t ms)
{
	if (!im->check.loop)
		loop_timer_set(im->opts.loop, &im->check, io_now_ms() + ms);
}

static void check_fired(struct loop_timer *t)
{
	struct images *im = container_of(t, struct images, check);
	bool again;

	sweep(im, &again);
	if (again)
		sweep_soon(im, HELD_CHECK_MS);
}

void images_put(struct images *im, struct image *image)
{
	if (--image->users == 0)
		sweep_soon(im, 0);
}

void images_mounts_changed(struct images *im, const struct mounts *mounts)
{
	struct image *i;

	list_for_each(i, &im->list, link)
		i->nmounts = im->closing ? 0 : mounts_count(mounts, i->id);
	sweep_soon(im, 0);
}

void images_close_all(struct images *im)
{
	struct image *i;
	bool again;

	im->closing = true;
	list_for_each(i, &im->list, link)
		i->nmounts = 0;
	sweep(im, &again);
}

bool images_is_empty(const struct images *im)
{
	return list_is_empty(&im->list);
}

/* --- the rest -------------------------------------------------------------------------- */

int image_mount(struct image *image, const char *target, struct err *err)
{
	struct transport *t = image->images->opts.transport;
	struct image_spec spec = spec_of(image);

	return t->ops->mount(t, &spec, target, err);
}

const struct image_record *image_rec(const struct image *image)
{
	return image->rec;
}

const char *image_id(const struct image *image)
{
	return image->id;
}

struct layer *image_layer(const struct image *image, uint32_t i)
{
	return image->layers[i];
}

bool image_is_open(const struct image *image)
{
	return image->state == IMAGE_OPEN;
}

void images_each(struct images *im, void (*fn)(void *arg, const struct image *image),
		 void *arg)
{
	struct image *i;

	list_for_each(i, &im->list, link)
		fn(arg, i);
}

int images_new(const struct images_opts *opts, struct images **ret, struct err *err)
{
	struct images *im = calloc(1, sizeof(*im));

	if (!im)
		return err_sys(err, ENOMEM, "images");
	im->opts = *opts;
	im->check.fired = check_fired;
	list_init(&im->list);
	*ret = im;
	return 0;
}

void images_free(struct images *im)
{
	if (!im)
		return;
	loop_timer_del(&im->check);
	free(im);
}
