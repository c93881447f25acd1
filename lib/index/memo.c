/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memo.c - layers that earlier images of one run had: see index.h.
 *
 * Written between two runs of index_make(), only read by its threads.
 */
#include "index/private.h"

#include <stdlib.h>
#include <string.h>

struct memo_entry {
	struct digest layer, diff_id;
	struct index_layer_result result;
	struct index_hit *hits;		/* as struct index_work's */
};

struct index_memo {
	struct memo_entry *v;
	size_t n;
};

struct index_memo *index_memo_new(void)
{
	return calloc(1, sizeof(struct index_memo));
}

void index_memo_free(struct index_memo *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		free(m->v[i].hits);
	free(m->v);
	free(m);
}

static struct index_hit *copy_hits(const struct index_work *w, const struct index_hit *hits)
{
	size_t n = w->opts->nprefetch * sizeof(*hits);
	struct index_hit *copy = hits && n ? malloc(n) : NULL;

	if (copy)
		memcpy(copy, hits, n);
	return copy;
}

/* Another config may claim another tar for the layer: then it is read again, and refused. */
static const struct memo_entry *find(const struct index_memo *m, const struct oci_layer *layer)
{
	for (size_t i = 0; i < m->n; i++)
		if (digest_is_equal(&m->v[i].layer, &layer->desc.digest) &&
		    digest_is_equal(&m->v[i].diff_id, &layer->diff_id))
			return &m->v[i];
	return NULL;
}

bool index_memo_get(struct index_work *w, uint32_t number)
{
	const struct memo_entry *e =
		w->opts->memo ? find(w->opts->memo, &w->img->layers[number]) : NULL;

	if (!e)
		return false;
	if (e->hits) {
		w->hits[number] = copy_hits(w, e->hits);
		if (!w->hits[number])
			return false;
	}
	w->result->layers[number] = e->result;
	return true;
}

void index_memo_add(struct index_work *w)
{
	struct index_memo *m = w->opts->memo;
	struct memo_entry *more;

	for (uint32_t i = 0; m && i < w->img->nlayers; i++) {
		const struct oci_layer *layer = &w->img->layers[i];

		if (w->result->layers[i].state != INDEX_BUILT || find(m, layer))
			continue;
		more = reallocarray(m->v, m->n + 1, sizeof(*more));
		if (!more)
			return;		/* then it is read again */
		m->v = more;
		m->v[m->n] = (struct memo_entry){ .layer = layer->desc.digest,
						  .diff_id = layer->diff_id,
						  .result = w->result->layers[i],
						  .hits = copy_hits(w, w->hits[i]) };
		if (w->hits[i] && w->opts->nprefetch && !m->v[m->n].hits)
			return;
		m->n++;
	}
}
