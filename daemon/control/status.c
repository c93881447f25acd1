/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status.c - the daemon's state as JSON, for `lazyerofs status`. Loop thread. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "config.h"
#include "daemon/daemon.h"
#include "daemon/kernel/cachefiles.h"
#include "daemon/kernel/fanotify.h"

static void put_u64(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

static void put_text(json_t *o, const char *key, const char *text)
{
	json_t *v = json_string(text);

	json_object_set_new(o, key, v ? v : json_string("(not UTF-8)"));
}

static void put_digest(json_t *o, const char *key, const struct digest *d)
{
	char text[DIGEST_TEXT_SIZE];

	digest_format(d, text);
	put_text(o, key, text);
}

static json_t *totals_json(struct daemon *d)
{
	struct conductor_stats c;
	struct oci_stats o;
	json_t *t = json_object();

	conductor_stats_get(d->conductor, &c);
	oci_client_stats(fetch_client(d->fetch), &o);
	put_u64(t, "requests", c.requests);
	put_u64(t, "answered_ok", c.answered_ok);
	put_u64(t, "answered_error", c.answered_error);
	put_u64(t, "expired", c.expired);
	put_u64(t, "pending", c.pending);
	put_u64(t, "jobs", c.jobs);
	put_u64(t, "job_failures", c.job_failures);
	put_u64(t, "spans_verified", c.spans_verified);
	put_u64(t, "digest_mismatches", c.digest_mismatches);
	put_u64(t, "fetched_bytes", c.fetched_bytes);
	put_u64(t, "background_bytes", c.background_bytes);
	put_u64(t, "written_bytes", c.written_bytes);
	put_u64(t, "memory_bytes", c.memory_bytes);
	put_u64(t, "registry_requests", o.requests);
	put_u64(t, "registry_bytes", o.bytes);
	put_u64(t, "registry_retries", o.retries);
	put_u64(t, "registry_failures", o.failures);
	return t;
}

static json_t *kernel_json(struct daemon *d)
{
	json_t *k = json_object();

	if (strcmp(d->transport->ops->name, "fanotify") == 0) {
		struct fanotify_stats f;

		fanotify_transport_stats(d->transport, &f);
		put_u64(k, "events", f.events);
		put_u64(k, "answered_ok", f.answered_ok);
		put_u64(k, "answered_error", f.answered_error);
		put_u64(k, "unknown_files", f.unknown_files);
		put_u64(k, "leftovers", f.leftovers);
		put_u64(k, "overflows", f.overflows);
		put_u64(k, "answer_failures", f.answer_failures);
		put_u64(k, "read_failures", f.read_failures);
		put_u64(k, "pending", f.pending);
	} else if (strcmp(d->transport->ops->name, "cachefiles") == 0) {
		struct cachefiles_stats c;

		cachefiles_stats_get(d->transport, &c);
		put_u64(k, "opens", c.opens);
		put_u64(k, "closes", c.closes);
		put_u64(k, "reads", c.reads);
		put_u64(k, "bootstrap_reads", c.bootstrap_reads);
		put_u64(k, "lost_blocks", c.lost_blocks);
		json_object_set_new(k, "adopted", json_boolean(c.adopted));
		json_object_set_new(k, "seeding", json_boolean(c.seeding));
	}
	return k;
}

static json_t *layer_json(const struct image_record_layer *rec, const struct layer *l)
{
	json_t *o = json_object();

	put_digest(o, "digest", &rec->desc.digest);
	put_digest(o, "ztoc", &rec->ztoc);
	put_u64(o, "size", rec->desc.size);
	json_object_set_new(o, "local", json_boolean(rec->local));
	if (!l)
		return o;
	put_text(o, "blob_id", l->blob_id);
	put_u64(o, "data_bytes", l->map->blob_size);
	put_u64(o, "present_bytes", l->present_bytes);
	put_u64(o, "segments", l->map->nsegments);
	json_object_set_new(o, "complete", json_boolean(layer_is_complete(l)));
	return o;
}

static json_t *mounts_json(struct daemon *d, const char *image_id)
{
	json_t *array = json_array();
	const struct mounts_item *m;

	list_for_each(m, mounts_items(d->mounts), link)
		if (strcmp(m->image_id, image_id) == 0)
			json_array_append_new(array, json_string(m->point));
	return array;
}

struct each {
	struct daemon *d;
	json_t *array;
};

static void image_json(void *arg, const struct image *image)
{
	const struct image_record *rec = image_rec(image);
	json_t *o = json_object(), *layers = json_array();
	bool open = image_is_open(image);
	struct each *e = arg;
	uint64_t data = 0, present = 0;

	put_text(o, "id", image_id(image));
	put_text(o, "reference", rec->reference);
	put_text(o, "platform", rec->platform);
	put_digest(o, "manifest", &rec->manifest.digest);
	if (rec->has_index)
		put_digest(o, "index", &rec->index);
	put_text(o, "state", open ? "open" : "changing");
	for (uint32_t i = 0; i < rec->nlayers; i++) {
		const struct layer *l = open ? image_layer(image, i) : NULL;

		data += l ? l->map->blob_size : 0;
		present += l ? l->present_bytes : 0;
		json_array_append_new(layers, layer_json(&rec->layers[i], l));
	}
	put_u64(o, "data_bytes", data);
	put_u64(o, "present_bytes", present);
	json_object_set_new(o, "layers", layers);
	json_object_set_new(o, "mounts", mounts_json(e->d, image_id(image)));
	json_array_append_new(e->array, o);
}

json_t *status_json(struct daemon *d)
{
	struct each e = { d, json_array() };
	json_t *o = json_object();

	put_text(o, "version", PACKAGE_VERSION);
	put_u64(o, "pid", (uint64_t)getpid());
	put_u64(o, "uptime_ms", io_now_ms() - d->started_ms);
	put_text(o, "kernel_path", d->transport->ops->name);
	put_text(o, "dir", d->config.dir);
	put_text(o, "run_dir", d->config.run_dir);
	json_object_set_new(o, "background", json_boolean(d->config.background));
	json_object_set_new(o, "totals", totals_json(d));
	json_object_set_new(o, "kernel", kernel_json(d));
	images_each(d->images, image_json, &e);
	json_object_set_new(o, "images", e.array);
	return o;
}
