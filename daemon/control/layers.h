/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layers.h - the layers that are open: each once, however many images hold it.
 *
 *	         get                     opened                    last put
 *	(none) ──────> OPENING ────────────────> OPEN ──────────────────> CLOSING ──> (none)
 *	               pool: files, transport    conductor serves it      jobs end,
 *	               failed ──> (none)                                  pool: transport
 *
 * A get during OPENING waits for it; one during CLOSING waits and opens anew. Loop thread;
 * all callbacks come from there, and never from inside the call.
 */
#ifndef LZ_DAEMON_LAYERS_H
#define LZ_DAEMON_LAYERS_H

#include "daemon/control/store.h"
#include "daemon/fill/conductor.h"
#include "daemon/pool.h"
#include "oci/ref.h"

struct layers;
struct layers_entry;

struct layers_opts {
	struct loop *loop;
	struct pool *pool;
	struct conductor *conductor;
	struct transport *transport;
	struct store *store;
	/* Where the bytes of the layer come from. blob_fd is taken: the whole layer, or -1. */
	int (*source_make)(void *arg, const struct oci_ref *ref, const struct oci_desc *desc,
			   int blob_fd, struct source **ret, struct err *err);
	void *source_arg;
	bool background;
};

struct layers_get {
	struct list link;		/* the layers' */
	const struct image_record_layer *rec;
	const struct oci_ref *ref;	/* both borrowed until done */
	/* entry is yours until layers_put(); NULL on failure */
	void (*done)(struct layers_get *g, struct layers_entry *entry, const struct err *err);
	struct loop_task task;		/* the layers' */
	struct layers_entry *entry;
};

int layers_new(const struct layers_opts *opts, struct layers **ret, struct err *err);
/* All entries must be gone: layers_is_empty(). */
void layers_free(struct layers *ls);
bool layers_is_empty(const struct layers *ls);
/* -ENOMEM: done is not called. */
int layers_get(struct layers *ls, struct layers_get *g);
void layers_put(struct layers *ls, struct layers_entry *e);
struct layer *layers_entry_layer(const struct layers_entry *e);
/* The entry is of an image that is in use (or no longer is): it may be filled meanwhile. */
void layers_want(struct layers *ls, struct layers_entry *e, bool wanted);
/* Background fill of all wanted layers and those to come. */
void layers_background_set(struct layers *ls, bool on);

#endif
