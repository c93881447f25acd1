/* SPDX-License-Identifier: GPL-2.0-or-later */
/* one.c - one layer of index_make(): skip, use again, or build. On a thread of its own. */
#include "index/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "index/layer.h"
#include "oci/transfer.h"

/* Of a zTOC that exists already; larger ones are built anew. */
#define REUSE_MAX_BYTES (256u << 20)
#define NONDISTRIBUTABLE "application/vnd.oci.image.layer.nondistributable."

DEFINE_CLEANUP(struct ztoc *, ztoc_free, ztoc_freep)

static void set_state(struct index_work *w, uint32_t number, enum index_state state)
{
	w->result->layers[number].state = state;
	atomic_store(&w->progress[number].state, (int)state);
}

/*
 * soci 0.10 to 0.13 stopped at the end of the first gzip member, and called itself like
 * later ones. Then the last span is all the rest; one that is longer than a span, which a
 * huge deflate block makes too, is not trusted.
 */
static bool may_lack_members(const struct ztoc *z, uint64_t span_size)
{
	uint32_t n = ztoc_span_count(z);
	struct ztoc_span last;

	if (ztoc_compression(z) != ZTOC_GZIP || n == 0)
		return false;
	ztoc_span_get(z, n - 1, &last);
	return last.out_end - last.out_start > span_size;
}

/* Would we build the same? Span size and tool decide; both are inside the zTOC. */
static bool is_as_wanted(const struct index_work *w, const struct ztoc *z)
{
	uint64_t span_size = w->opts->span_size ? w->opts->span_size : ZTOC_BUILD_SPAN_BYTES;
	const char *tool = soci_build_tool(w->opts->compat);
	struct ztoc_str have = ztoc_build_tool(z);

	if (ztoc_span_size(z) != span_size || have.len != strlen(tool) ||
	    memcmp(have.s, tool, have.len))
		return false;
	return w->opts->compat == SOCI_COMPAT_0_1 || !may_lack_members(z, span_size);
}

static bool has_prefix(struct ztoc_str s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.len >= n && !memcmp(s.s, prefix, n);
}

/* By its end alone, as soci does: "x.wh..wh..opq" is one, too. */
static bool is_opaque_mark(struct ztoc_str name)
{
	static const char mark[] = ".wh..wh..opq";
	size_t n = sizeof(mark) - 1;

	return name.len >= n && !memcmp(name.s + name.len - n, mark, n);
}

/* soci's condition for com.amazon.soci.disable-xattrs. */
static bool has_no_xattrs(const struct ztoc *z)
{
	for (uint64_t i = 0; i < ztoc_entry_count(z); i++) {
		struct ztoc_entry e;

		ztoc_entry_get(z, i, &e);
		if (is_opaque_mark(e.name))
			return false;
		for (uint32_t k = 0; k < e.nxattrs; k++) {
			struct ztoc_xattr x;

			ztoc_xattr_get(z, i, k, &x);
			if (has_prefix(x.key, "SCHILY.xattr."))
				return false;
		}
	}
	return true;
}

/* What else is asked about a layer: its zTOC, which is not kept, tells. */
static int look_into(struct index_work *w, uint32_t number, const void *data, size_t len,
		     struct err *err)
{
	cleanup_(ztoc_freep) struct ztoc *z = NULL;
	int r;

	if (!w->opts->mark_no_xattrs && !w->opts->nprefetch)
		return 0;
	r = ztoc_open(data, len, &z, err);
	if (r < 0)
		return r;
	w->result->layers[number].no_xattrs = w->opts->mark_no_xattrs && has_no_xattrs(z);
	return index_prefetch_find(w, number, z, err);
}

/* 1: the present zTOC serves; 0: build one. A broken or missing one is no failure. */
static int try_reuse(struct index_work *w, struct oci_client *c, uint32_t number,
		     struct err *err)
{
	const struct oci_layer *layer = &w->img->layers[number];
	cleanup_buf struct buf bytes = BUF_INIT(REUSE_MAX_BYTES);
	cleanup_(ztoc_freep) struct ztoc *z = NULL;
	int r;

	if (!layer->has_ztoc || w->opts->force || layer->ztoc.size > REUSE_MAX_BYTES)
		return 0;
	if (oci_blob_get(c, w->src, &layer->ztoc, &bytes, NULL) < 0 ||
	    ztoc_open(bytes.data, bytes.len, &z, NULL) < 0 || !is_as_wanted(w, z))
		return 0;
	r = oci_blob_put(c, w->dst, &layer->ztoc, bytes.data, err);
	if (r == 0)
		r = look_into(w, number, bytes.data, bytes.len, err);
	if (r < 0)
		return r;
	w->result->layers[number].ztoc = layer->ztoc;
	w->result->layers[number].spans = ztoc_span_count(z);
	w->result->layers[number].files = ztoc_entry_count(z);
	return 1;
}

static int build(struct index_work *w, struct workers_watch *watch, struct oci_client *c,
		 uint32_t number, struct err *err)
{
	const struct index_layer_opts opts = {
		.build = { .compat = w->opts->compat == SOCI_COMPAT_0_1 ? ZTOC_BUILD_SOCI_0_1 :
									  ZTOC_BUILD_SOCI_0_2,
			   .span_size = w->opts->span_size,
			   .max_ztoc_bytes = w->opts->max_ztoc_bytes,
			   .strict = w->opts->strict },
		.blob_fd = -1,
		.to = w->opts->copy_layers ? w->dst : NULL,
		.chunk_bytes = w->opts->chunk_bytes,
		.progress = workers_progress,
		.arg = watch,
	};
	struct ztoc_built built;
	struct oci_desc desc = { 0 };
	int r = index_layer_build(c, w->src, &w->img->layers[number], &opts, &built, err);

	if (r < 0)
		return r;
	desc.digest = built.ztoc;
	desc.size = built.len;
	r = oci_blob_put(c, w->dst, &desc, built.bytes, err);
	if (r == 0)
		r = look_into(w, number, built.bytes, built.len, err);
	if (r == 0) {
		w->result->layers[number].ztoc = desc;
		w->result->layers[number].spans = built.spans;
		w->result->layers[number].files = built.entries;
		w->result->layers[number].accepted = built.accepted;
	}
	free(built.bytes);
	return r;
}

/* A layer that is not read for its zTOC. */
static int copy(struct index_work *w, struct workers_watch *watch, struct oci_client *c,
		uint32_t number, struct err *err)
{
	const struct oci_transfer t = {
		.from = w->src, .to = w->dst, .desc = &w->img->layers[number].desc,
		.chunk_bytes = w->opts->chunk_bytes, .on_progress = workers_progress, .arg = watch,
	};

	if (!w->opts->copy_layers)
		return 0;
	set_state(w, number, INDEX_COPYING);
	return oci_blob_transfer(c, &t, NULL, err);
}

/* What soci makes a zTOC of. A layer without compression that may not be distributed is not. */
static bool is_indexed_type(const struct oci_layer *layer)
{
	return layer->kind == OCI_LAYER_GZIP ||
	       (layer->kind == OCI_LAYER_TAR &&
		strncmp(layer->desc.media_type, NONDISTRIBUTABLE, strlen(NONDISTRIBUTABLE)));
}

bool index_is_indexable(const struct oci_layer *layer, const struct index_opts *opts)
{
	return is_indexed_type(layer) && layer->desc.size >= opts->min_layer_bytes;
}

int index_one(struct index_work *w, const struct workers *workers, struct oci_client *c,
	      uint32_t number, struct err *err)
{
	struct workers_watch watch = { .progress = &w->progress[number], .workers = workers };
	const struct oci_layer *layer = &w->img->layers[number];
	enum index_state state;
	int r = 0;

	set_state(w, number, INDEX_INDEXING);
	if (!is_indexed_type(layer)) {
		state = layer->kind == OCI_LAYER_ZSTD ? INDEX_SKIPPED_ZSTD : INDEX_SKIPPED_TYPE;
	} else if (layer->desc.size < w->opts->min_layer_bytes) {
		state = INDEX_SKIPPED_SMALL;
	} else if (index_memo_get(w, number)) {
		state = INDEX_REUSED;
	} else {
		r = try_reuse(w, c, number, err);
		state = r == 1 ? INDEX_REUSED : INDEX_BUILT;
	}
	if (r == 0 && state == INDEX_BUILT)
		r = build(w, &watch, c, number, err);
	else if (r >= 0)
		r = copy(w, &watch, c, number, err);
	if (r == 0)
		set_state(w, number, state);
	return r;
}
