/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * restore.c - after a restart: whatever the kernel still holds, or may be asked to mount, is
 * opened again before the transport answers its first request. Main thread, the loop is
 * turned from here.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/daemon.h"
#include "daemon/log.h"

/* A disk that hangs must not keep the other images from being served. */
#define RESTORE_MS 60000u

struct restore {
	struct images *images;
	unsigned waiting, done, failed;
};

struct restore_one {
	struct images_get get;
	struct restore *all;
	char id[DIGEST_HEX_LEN + 1];
};

static void one_done(struct images_get *get, struct image *image, const struct err *err)
{
	struct restore_one *one = container_of(get, struct restore_one, get);
	struct restore *all = one->all;

	all->waiting--;
	if (image) {
		log_info("image %.12s (%s) is served again", one->id,
			 image_rec(image)->reference);
		images_put(all->images, image);
		all->done++;
	} else {
		log_error("image %.12s cannot be served again: %s", one->id, err->text);
		all->failed++;
	}
	free(one);
}

static void one_start(struct daemon *d, struct restore *all, const char *id)
{
	struct restore_one *one = calloc(1, sizeof(*one));
	struct image_record *rec;
	struct err err = ERR_INIT;

	if (!one)
		return;
	memcpy(one->id, id, sizeof(one->id));
	one->all = all;
	one->get.done = one_done;
	all->waiting++;
	if (store_image_load(d->store, id, &rec, &err) < 0 ||
	    images_get(d->images, rec, &one->get, &err) < 0)
		one_done(&one->get, NULL, &err);
}

void restore_images(struct daemon *d)
{
	/* Outlives this call where an image hangs. */
	struct restore *all = calloc(1, sizeof(*all));
	cleanup_free char (*ids)[DIGEST_HEX_LEN + 1] = NULL;
	uint64_t end = io_now_ms() + RESTORE_MS;
	struct err err = ERR_INIT;
	size_t n = 0;

	if (!all || store_images(d->store, &ids, &n, &err) < 0) {
		log_error("images cannot be restored: %s", all ? err.text : "no memory");
		free(all);
		return;
	}
	all->images = d->images;
	for (size_t i = 0; i < n; i++)
		if (d->transport->ops->mounted_by_others ||
		    store_image_is_held(d->store, ids[i], d->config.domain))
			one_start(d, all, ids[i]);
	while (all->waiting && io_now_ms() < end && loop_turn(d->loop, 100, NULL) == 0)
		;
	if (all->waiting) {
		log_error("%u images are not open after %u s: going on", all->waiting,
			  RESTORE_MS / 1000);
		return;
	}
	if (all->done || all->failed)
		log_info("%u images restored, %u failed", all->done, all->failed);
	free(all);
}
