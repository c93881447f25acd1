/* SPDX-License-Identifier: GPL-2.0-or-later */
/* layers.c - see layers.h. Loop thread, but for the two work functions. */
#include "daemon/control/layers.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/log.h"

enum entry_state {
	ENTRY_OPENING,
	ENTRY_OPEN,
	ENTRY_CLOSING,
};

struct layers_entry {
	struct list link;		/* layers.entries */
	struct layers *layers;
	enum entry_state state;
	unsigned refs;			/* gets served and not yet put */
	unsigned wanted;		/* images in use that hold it */
	struct list waiters;		/* struct layers_get */
	char blob_id[DIGEST_HEX_LEN + 1];
	struct layer *layer;		/* OPEN, CLOSING */
	/* opening and closing */
	struct pool_job job;
	struct image_record_layer rec;
	struct oci_ref ref;
	struct store_layer files;
	struct err err;
	int result;
};

struct layers {
	struct layers_opts opts;
	struct list entries;
};

static void entry_open(struct layers_entry *e);

static void entry_free(struct layers_entry *e)
{
	list_del(&e->link);
	free(e);
}

static struct layers_entry *entry_find(struct layers *ls, const char *blob_id)
{
	struct layers_entry *e;

	list_for_each(e, &ls->entries, link)
		if (strcmp(e->blob_id, blob_id) == 0)
			return e;
	return NULL;
}

/* --- telling those who wait ------------------------------------------------------------ */

static void get_served(struct loop_task *t)
{
	struct layers_get *g = container_of(t, struct layers_get, task);

	g->done(g, g->entry, NULL);
}

static void serve(struct layers_entry *e, struct layers_get *g)
{
	e->refs++;
	g->entry = e;
	g->task.run = get_served;
	loop_post(e->layers->opts.loop, &g->task);
}

static void open_finished(struct layers_entry *e)
{
	struct list waiters;
	struct layers_get *g;

	if (e->result == 0) {
		e->state = ENTRY_OPEN;
		while (!list_is_empty(&e->waiters)) {
			g = list_first(&e->waiters, struct layers_get, link);
			list_del(&g->link);
			serve(e, g);
		}
		return;
	}
	/* The entry goes before its waiters hear of it: they may ask again. */
	list_init(&waiters);
	while (!list_is_empty(&e->waiters)) {
		g = list_first(&e->waiters, struct layers_get, link);
		list_del(&g->link);
		list_add_tail(&waiters, &g->link);
	}
	struct err err = e->err;

	entry_free(e);
	while (!list_is_empty(&waiters)) {
		g = list_first(&waiters, struct layers_get, link);
		list_del(&g->link);
		g->done(g, NULL, &err);
	}
}

/* --- opening --------------------------------------------------------------------------- */

static void transport_done(struct pool_job *job)
{
	struct layers_entry *e = container_of(job, struct layers_entry, job);
	struct layers_opts *o = &e->layers->opts;

	if (e->result < 0) {
		layer_free(e->layer);
		e->layer = NULL;
	} else {
		conductor_layer_add(o->conductor, e->layer);
		conductor_background_set(o->conductor, e->layer, o->background && e->wanted);
	}
	open_finished(e);
}

static void transport_work(struct pool_job *job)
{
	struct layers_entry *e = container_of(job, struct layers_entry, job);
	struct transport *t = e->layers->opts.transport;

	e->layer->transport = t;
	e->result = t->ops->layer_open(t, e->layer, &e->err);
}

/* Back on the loop with the files: a source, a layer, and off to the transport. */
static int layer_make(struct layers_entry *e)
{
	struct layers_opts *o = &e->layers->opts;
	struct store_layer *f = &e->files;
	struct source *source;
	int r;

	r = o->source_make(o->source_arg, &e->ref, &e->rec.desc, TAKE_FD(f->blob_fd), &source,
			   &e->err);
	if (r < 0) {
		store_layer_done(f);
		return r;
	}
	return layer_new(TAKE_PTR(f->map), TAKE_FD(f->ztoc_fd), source, &e->layer, &e->err);
}

static void files_done(struct pool_job *job)
{
	struct layers_entry *e = container_of(job, struct layers_entry, job);

	if (e->result == 0)
		e->result = layer_make(e);
	if (e->result < 0) {
		open_finished(e);
		return;
	}
	e->job.work = transport_work;
	e->job.done = transport_done;
	pool_submit(e->layers->opts.pool, &e->job);
}

static void files_work(struct pool_job *job)
{
	struct layers_entry *e = container_of(job, struct layers_entry, job);

	e->result = store_layer_open(e->layers->opts.store, &e->rec, &e->files, &e->err);
	if (e->result == 0 && e->files.map->comp_size != e->rec.desc.size) {
		e->result = err_set(&e->err, ERR_CORRUPT, EBADMSG,
				    "layer %.12s: the zTOC is for a layer of another size",
				    e->blob_id);
		store_layer_done(&e->files);
	}
}

static void entry_open(struct layers_entry *e)
{
	const struct layers_get *g = list_first(&e->waiters, struct layers_get, link);

	e->state = ENTRY_OPENING;
	e->rec = *g->rec;
	e->ref = *g->ref;
	e->err = (struct err)ERR_INIT;
	e->job = (struct pool_job){ .work = files_work, .done = files_done, .prio = POOL_FAULT };
	pool_submit(e->layers->opts.pool, &e->job);
}

int layers_get(struct layers *ls, struct layers_get *g)
{
	char id[DIGEST_HEX_LEN + 1];
	struct layers_entry *e;

	layer_blob_id(&g->rec->ztoc, id);
	e = entry_find(ls, id);
	if (e) {
		if (e->state == ENTRY_OPEN)
			serve(e, g);
		else
			list_add_tail(&e->waiters, &g->link);
		return 0;
	}
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->layers = ls;
	memcpy(e->blob_id, id, sizeof(id));
	list_init(&e->waiters);
	list_add_tail(&ls->entries, &e->link);
	list_add_tail(&e->waiters, &g->link);
	entry_open(e);
	return 0;
}

/* --- closing --------------------------------------------------------------------------- */

static void close_done(struct pool_job *job)
{
	struct layers_entry *e = container_of(job, struct layers_entry, job);

	layer_free(e->layer);
	e->layer = NULL;
	if (list_is_empty(&e->waiters))
		entry_free(e);
	else
		entry_open(e);
}

static void close_work(struct pool_job *job)
{
	struct layers_entry *e = container_of(job, struct layers_entry, job);
	struct transport *t = e->layers->opts.transport;

	t->ops->layer_close(t, e->layer);
}

static void removed(void *arg)
{
	struct layers_entry *e = arg;

	e->job = (struct pool_job){ .work = close_work, .done = close_done, .prio = POOL_FAULT };
	pool_submit(e->layers->opts.pool, &e->job);
}

void layers_put(struct layers *ls, struct layers_entry *e)
{
	if (--e->refs)
		return;
	e->state = ENTRY_CLOSING;
	conductor_layer_remove(ls->opts.conductor, e->layer, removed, e);
}

/* --- the rest -------------------------------------------------------------------------- */

struct layer *layers_entry_layer(const struct layers_entry *e)
{
	return e->layer;
}

bool layers_is_empty(const struct layers *ls)
{
	return list_is_empty(&ls->entries);
}

void layers_want(struct layers *ls, struct layers_entry *e, bool wanted)
{
	e->wanted += wanted ? 1 : -1u;
	conductor_background_set(ls->opts.conductor, e->layer,
				 ls->opts.background && e->wanted);
}

void layers_background_set(struct layers *ls, bool on)
{
	struct layers_entry *e;

	ls->opts.background = on;
	list_for_each(e, &ls->entries, link)
		if (e->state == ENTRY_OPEN)
			conductor_background_set(ls->opts.conductor, e->layer,
						 on && e->wanted);
}

int layers_new(const struct layers_opts *opts, struct layers **ret, struct err *err)
{
	struct layers *ls = calloc(1, sizeof(*ls));

	if (!ls)
		return err_sys(err, ENOMEM, "layers");
	ls->opts = *opts;
	list_init(&ls->entries);
	*ret = ls;
	return 0;
}

void layers_free(struct layers *ls)
{
	free(ls);
}
