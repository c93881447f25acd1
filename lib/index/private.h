/* SPDX-License-Identifier: GPL-2.0-or-later */
/* private.h - inside lib/index: one run of index_make(). */
#ifndef LZ_INDEX_PRIVATE_H
#define LZ_INDEX_PRIVATE_H

#include "index/index.h"
#include "index/workers.h"
#include "oci/push.h"

/* Where a path of the prefetch list lies in a layer. */
struct index_hit {
	bool is_found;
	uint32_t start_span, end_span;
};

struct index_work {
	const struct oci_opts *client;
	const struct oci_ref *src, *dst;
	const struct oci_image *img;
	const struct index_opts *opts;
	struct index_result *result;
	struct index_progress *progress;	/* one per layer */
	struct index_hit **hits;	/* per layer, one per path; NULL where there is no zTOC */
	uint32_t *first;		/* per layer: the first layer with its digest */
};

/* One layer, on its thread's client: decide, build or reuse, put the zTOC; copy the layer. */
int index_one(struct index_work *w, const struct workers *workers, struct oci_client *c,
	      uint32_t number, struct err *err);

/* What an earlier image made of this layer, into the result: false if none did. */
bool index_memo_get(struct index_work *w, uint32_t number);
/* All layers that this image built. */
void index_memo_add(struct index_work *w);

/* Look for the paths of the prefetch list in a layer's zTOC. */
int index_prefetch_find(struct index_work *w, uint32_t number, const struct ztoc *z,
			struct err *err);
/*
 * Prefetch lists of all layers: put each, and append the index's entries for them to
 * layers[*n ..]. Topmost layer that has a path wins.
 */
int index_prefetch(struct index_work *w, struct oci_client *c,
		   struct soci_index_layer *layers, uint32_t *n, struct err *err);

#endif
