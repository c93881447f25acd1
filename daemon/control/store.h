/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.h - images and layers on disk: what lies where, and what of it can be believed.
 *
 *	DIR/layers/<blob ID>/ztoc	the layer's zTOC
 *	                     map	its layer map (image/map.h), made from the zTOC
 *	                     blob	the whole layer, where no registry has its zTOC
 *	                     ...	the transport's own
 *	DIR/images/<image ID>/bootstrap.<kernel path>, bootstrap.<kernel path>.digest
 *	                      image.json	the record, put there last
 *	DIR/built/<layer digest>	digest of the zTOC that was built here for that layer
 *	DIR/staging/<name>/	being fetched; emptied at start
 *
 * Files are put in place whole, fsync'ed, by rename, and only where no valid one is, so a
 * crash at any point leaves at most staging behind. An image is there when its record is,
 * with everything that it names. Files are checked when they are opened: maps by their own
 * digest and the zTOC's name, bootstraps by theirs; zTOC files by the layer (layer.h).
 *
 * Blocking; pool threads, any number at once (installing is one at a time).
 */
#ifndef LZ_DAEMON_STORE_H
#define LZ_DAEMON_STORE_H

#include <stdbool.h>

#include "daemon/control/image_record.h"
#include "image/map.h"

#define STORE_PATH_SIZE 1400	/* of any path that store gives: CONFIG_TEXT_SIZE and names */

#define STORE_STAGING_SIZE (STORE_PATH_SIZE - 256)

struct store;

/* Makes the folders (0700) where they are missing; empties staging. dir: absolute. */
int store_open(const char *dir, const char *kernel_path, struct store **ret, struct err *err);
void store_close(struct store *s);
const char *store_dir(const struct store *s);
const char *store_kernel_path(const struct store *s);

/* --- staging ------------------------------------------------------------------------- */
int store_staging_new(struct store *s, char ret[STORE_STAGING_SIZE], struct err *err);
/* The folder and the files in it. */
void store_staging_remove(const char *path);
/* The record that the resolver left there. */
int store_staging_record(const char *staging, struct image_record **ret, struct err *err);

/* --- images -------------------------------------------------------------------------- */
/* The record of an image that is there; -ENOENT, or what is wrong with it. */
int store_image_load(struct store *s, const char *image_id, struct image_record **ret,
		     struct err *err);
/* Newest image with this reference and platform whose parts are all there; -ENOENT. */
int store_image_find(struct store *s, const char *reference, const char *platform,
		     struct image_record **ret, struct err *err);
/*
 * Is everything that the record names there, for our kernel path? Reads it all: 1, 0 or
 * -errno.
 */
int store_image_is_complete(struct store *s, const struct image_record *rec, struct err *err);
/*
 * Move staged files (N.ztoc, N.blob, N.map, bootstrap) into place, then write the record.
 */
int store_image_install(struct store *s, const char *staging, const struct image_record *rec,
			struct err *err);
/* Write the record anew: the same image, by another reference. */
int store_record_write(struct store *s, const struct image_record *rec, struct err *err);
/* IDs of all images, one after another: each DIGEST_HEX_LEN + 1 bytes; free() them. */
int store_images(struct store *s, char (**ret)[DIGEST_HEX_LEN + 1], size_t *ret_n,
		 struct err *err);
/*
 * Does the kernel still hold this image's file system, in whatever mount namespace or under
 * an overlay? true also when it cannot be told.
 */
bool store_image_is_held(struct store *s, const char *image_id, const char *domain);
void store_bootstrap_path(const struct store *s, const char *image_id,
			  char ret[STORE_PATH_SIZE]);

/* --- layers -------------------------------------------------------------------------- */
struct store_layer {
	struct layer_map *map;		/* yours */
	int ztoc_fd;			/* yours */
	int blob_fd;			/* yours; -1: the layer's bytes are not here */
};

int store_layer_open(struct store *s, const struct image_record_layer *rec,
		     struct store_layer *ret, struct err *err);
void store_layer_done(struct store_layer *l);
/* The staged zTOC of layer `number`, or the one in the cache where none was staged. */
void store_ztoc_path(const struct store *s, const char *staging, uint32_t number,
		     const struct image_record_layer *rec, char ret[STORE_PATH_SIZE]);
void store_layer_path(const struct store *s, const char *blob_id, const char *file,
		      char ret[STORE_PATH_SIZE]);

#endif
