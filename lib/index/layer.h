/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layer.h - one layer, read once from its source: its zTOC, checked against the image.
 *
 * Used by whoever makes indexes, and by the resolver for layers that have none. Blocking;
 * one client per thread.
 */
#ifndef LZ_INDEX_LAYER_H
#define LZ_INDEX_LAYER_H

#include "oci/image.h"
#include "ztoc/build.h"

struct index_layer_opts {
	struct ztoc_build_opts build;	/* compression is taken from the layer */
	int blob_fd;			/* the layer's bytes are written here too; -1: not kept */
	const struct oci_ref *to;	/* and put there, in the same pass; NULL: nowhere */
	uint64_t chunk_bytes;		/* as in struct oci_transfer */
	/* Called now and then with the bytes read so far; non-zero (-errno) ends the work. */
	int (*progress)(void *arg, uint64_t bytes);
	void *arg;
};

/*
 * Kinds: UNSUPPORTED for layers that are neither gzip nor plain tar, and for what a zTOC
 * cannot hold; CORRUPT when the bytes are not those of the layer's digest, or their tar
 * not that of its diff ID: then the layer is not put either (unless it was there, or the
 * registry took it over). *ret is the caller's to free (ret->bytes).
 */
int index_layer_build(struct oci_client *c, const struct oci_ref *ref,
		      const struct oci_layer *layer, const struct index_layer_opts *opts,
		      struct ztoc_built *ret, struct err *err);

#endif
