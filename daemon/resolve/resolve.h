/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolve.h - inside lazyerofs-resolve: from an image reference to a staging folder.
 *
 *	STAGING/image.json	the record (daemon/control/image_record.h), written last
 *	STAGING/N.ztoc		zTOC of layer N, digest-checked, or built here
 *	STAGING/N.blob		the whole of layer N, digest-checked, where its zTOC was built here
 * N.ztoc and N.blob are left out where the cache (daemon/control/store.h) has them already;
 * who installs them checks that again.
 *
 * The program has the network but no privileges; it is the only part of lazyerofs that
 * parses manifests and indexes. One thread (and the builder's).
 */
#ifndef LZ_DAEMON_RESOLVE_H
#define LZ_DAEMON_RESOLVE_H

#include "daemon/control/image_record.h"
#include "oci/image.h"

struct resolve_opts {
	struct oci_ref ref;
	struct oci_platform platform;
	bool has_index;
	struct digest index;		/* explicit SOCI index */
	bool refuse_unindexed;		/* layers without a zTOC are an error */
	bool build_index;		/* index all layers here if the image has no index */
	int staging_dirfd;
	const char *cache_dir;		/* NULL: nothing is there yet */
};

/* Exit code that tells "the image has no SOCI index" from other failures. */
#define RESOLVE_EXIT_NO_INDEX 4
/* Any other failure: this and its enum err_kind. */
#define RESOLVE_EXIT_KIND 16

int resolve_image(struct oci_client *c, const struct resolve_opts *opts, struct err *err);

/*
 * cached.c: is the layer's zTOC in the cache? Where the layer has none in the registry: is
 * one here that was built for it, and its bytes? Then *ret is filled in.
 */
bool resolve_layer_is_cached(const struct resolve_opts *opts, const struct oci_layer *layer,
			     struct image_record_layer *ret);

/* One layer whose zTOC does not stand in the registry (layer.c). */
int resolve_layer_build(struct oci_client *c, const struct resolve_opts *opts, uint32_t number,
			const struct oci_layer *layer, struct image_record_layer *ret,
			struct err *err);

/* "progress TEXT" on stdout. */
void resolve_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
