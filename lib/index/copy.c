/* SPDX-License-Identifier: GPL-2.0-or-later */
/* copy.c - see copy.h: the plan carried out. */
#include "index/copy_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "index/present.h"
#include "index/workers.h"
#include "oci/manifest.h"
#include "oci/push.h"
#include "oci/soci_write.h"
#include "oci/transfer.h"

DEFINE_CLEANUP(struct copy *, copy_free, copy_freep)

void copy_ref_by_digest(const struct oci_ref *ref, const struct digest *digest,
			struct oci_ref *ret)
{
	*ret = *ref;
	ret->tag[0] = '\0';
	ret->has_digest = true;
	ret->digest = *digest;
}

int copy_new(struct oci_client *c, const struct oci_ref *src, const struct oci_ref *dst,
	     struct copy **ret, struct err *err)
{
	struct copy *k = calloc(1, sizeof(*k));

	if (!k)
		return err_sys(err, ENOMEM, "copy");
	k->c = c;
	k->src = src;
	k->dst = dst;
	*ret = k;
	return 0;
}

void copy_free(struct copy *k)
{
	if (!k)
		return;
	for (uint32_t i = 0; i < k->ndocs; i++)
		buf_done(&k->docs[i].bytes);
	free(k->docs);
	free(k->blobs);
	free(k->refs);
	free(k);
}

/* --- blobs --------------------------------------------------------------------------- */

struct blobs_work {
	const struct copy *k;
	const struct copy_opts *opts;
	struct index_progress *progress;
};

static int blob_job(void *arg, const struct workers *workers, struct oci_client *c,
		    uint32_t job, struct err *err)
{
	static const enum index_state states[] = { [OCI_TRANSFER_SENT] = INDEX_COPIED,
						   [OCI_TRANSFER_PRESENT] = INDEX_PRESENT,
						   [OCI_TRANSFER_MOUNTED] = INDEX_MOUNTED };
	struct blobs_work *w = arg;
	const struct copy_blob *blob = &w->k->blobs[job];
	struct workers_watch watch = { .progress = &w->progress[job], .workers = workers };
	const struct oci_transfer t = {
		.from = w->k->src, .to = w->k->dst, .desc = &blob->desc,
		.chunk_bytes = w->opts->chunk_bytes, .on_progress = workers_progress, .arg = &watch,
	};
	enum oci_transfer_sent sent = OCI_TRANSFER_SENT;
	char text[DIGEST_TEXT_SIZE];
	int r;

	atomic_store(&watch.progress->state, INDEX_COPYING);
	r = oci_blob_transfer(c, &t, &sent, err);
	if (r < 0 && sent == OCI_TRANSFER_NO_SOURCE && !blob->is_needed) {
		atomic_store(&watch.progress->state, INDEX_MISSING);
		return 0;
	}
	if (r < 0) {
		digest_format(&blob->desc.digest, text);
		return r == -ECANCELED ? r : err_prefix(err, "blob %s", text);
	}
	atomic_store(&watch.progress->state, (int)states[sent]);
	return 0;
}

static void count_blobs(const struct blobs_work *w, struct copy_stats *stats)
{
	for (uint32_t i = 0; i < w->k->nblobs; i++) {
		switch (atomic_load(&w->progress[i].state)) {
		case INDEX_COPIED:
			stats->blobs++;
			stats->bytes += w->k->blobs[i].desc.size;
			break;
		case INDEX_PRESENT:
			stats->present++;
			break;
		case INDEX_MOUNTED:
			stats->mounted++;
			break;
		}
	}
}

static int send_blobs(struct blobs_work *w, struct copy_stats *stats, struct err *err)
{
	const struct index_watch *watch = w->opts->watch;
	const struct copy *k = w->k;
	int r;

	for (uint32_t i = 0; i < k->nblobs; i++) {
		w->progress[i].digest = k->blobs[i].desc.digest;
		w->progress[i].size = k->blobs[i].desc.size;
	}
	if (watch)
		watch->begin(watch->arg, w->progress, k->nblobs);
	r = workers_run(w->opts->client, w->opts->threads, w->progress, k->nblobs, blob_job, w,
			err);
	if (watch)
		watch->end(watch->arg);
	count_blobs(w, stats);
	return r;
}

/* --- manifests ----------------------------------------------------------------------- */

static bool is_complete(const struct blobs_work *w, const struct copy_doc *d)
{
	for (uint32_t i = 0; i < d->nrefs; i++)
		if (atomic_load(&w->progress[w->k->refs[d->refs + i]].state) == INDEX_MISSING)
			return false;
	return true;
}

/* By digest; an index v1 so that it is found from its subject. */
static int put_doc(const struct copy *k, const struct copy_doc *d, struct err *err)
{
	struct oci_ref to;

	if (d->has_subject)
		return oci_referrer_put(k->c, k->dst, &d->subject, SOCI_INDEX_V1_TYPE,
					d->bytes.data, d->bytes.len, NULL, err);
	copy_ref_by_digest(k->dst, &d->desc.digest, &to);
	return oci_manifest_put(k->c, &to, d->desc.media_type, d->bytes.data, d->bytes.len, NULL,
				err);
}

static int put_docs(const struct blobs_work *w, struct copy_stats *stats, struct err *err)
{
	const struct copy *k = w->k;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < k->ndocs; i++) {
		if (!is_complete(w, &k->docs[i])) {
			stats->incomplete++;
			continue;
		}
		r = put_doc(k, &k->docs[i], err);
		stats->images += k->docs[i].is_image;
		stats->indexes += k->docs[i].is_soci;
	}
	return r;
}

int copy_run(struct copy *k, const struct copy_opts *opts, struct copy_stats *ret,
	     struct err *err)
{
	cleanup_free struct index_progress *progress = calloc(k->nblobs + 1, sizeof(*progress));
	struct blobs_work w = { .k = k, .opts = opts, .progress = progress };
	int r;

	if (!progress)
		return err_sys(err, ENOMEM, "copy");
	*ret = (struct copy_stats){ .incomplete = k->incomplete };
	r = send_blobs(&w, ret, err);
	return r < 0 ? r : put_docs(&w, ret, err);
}

/* --- one image ----------------------------------------------------------------------- */

static bool has_image(const json_t *index)
{
	const json_t *e;
	size_t i;

	json_array_foreach(json_object_get(index, "manifests"), i, e)
		if (manifest_is_image_entry(e))
			return true;
	return false;
}

/* Plans what hangs on the document that src names; of a list, what is there of it. */
static int add_top(struct copy *k, const struct oci_desc *top, struct buf *bytes,
		   const struct copy_opts *opts, struct err *err)
{
	const struct present_opts popts = { .whole = true, .tell = opts->tell };
	cleanup_json json_t *doc = NULL;
	enum manifest_kind kind;
	int r = jdoc_parse(bytes->data, bytes->len, "manifest", &doc, err);

	if (r == 0)
		r = manifest_kind_of(doc, top->media_type, "manifest", &kind, err);
	if (r < 0)
		return r;
	if (kind == MANIFEST_IMAGE)
		return copy_add(k, &top->digest, err);
	r = present_filter(k->c, k->src, &popts, bytes, err);
	if (r > 0) {
		json_decref(TAKE_PTR(doc));
		r = jdoc_parse(bytes->data, bytes->len, "image index", &doc, err);
		if (r == 0 && !has_image(doc))
			r = err_set(err, ERR_UNSUPPORTED, ENOENT, "the layout holds none of the "
				    "images that it lists");
	}
	return r < 0 ? r : copy_add_list(k, doc, err);
}

int copy_image(struct oci_client *c, const struct oci_ref *src, const struct oci_ref *dst,
	       const struct copy_opts *opts, struct copy_stats *stats, struct oci_desc *ret,
	       struct err *err)
{
	cleanup_buf struct buf bytes = BUF_INIT(OCI_MANIFEST_MAX_BYTES);
	cleanup_(copy_freep) struct copy *k = NULL;
	struct oci_desc top;
	int r = oci_manifest_get(c, src, &bytes, &top, err);

	if (r == 0 && dst->has_digest && !digest_is_equal(&dst->digest, &top.digest))
		return err_set(err, ERR_UNSUPPORTED, EINVAL,
			       "the source is not what the destination's digest says");
	if (r == 0 && dst->is_layout)
		r = oci_layout_create(dst->dir, err);
	if (r == 0)
		r = copy_new(c, src, dst, &k, err);
	if (r == 0)
		r = add_top(k, &top, &bytes, opts, err);
	if (r == 0)
		r = copy_run(k, opts, stats, err);
	return r < 0 ? r : oci_manifest_put(c, dst, top.media_type, bytes.data, bytes.len, ret, err);
}
