/* SPDX-License-Identifier: GPL-2.0-or-later */
/* index.c - see index.h: all layers, and the index manifest at the end. */
#include "index/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define INDEX_MAX_BYTES (4u << 20)

DEFINE_CLEANUP(struct index_result *, index_result_free, index_result_freep)
DEFINE_CLEANUP(struct oci_client *, oci_client_free, oci_client_freep)

void index_result_free(struct index_result *r)
{
	if (!r)
		return;
	buf_done(&r->manifest);
	free(r->layers);
	free(r);
}

static int layer_job(void *arg, const struct workers *workers, struct oci_client *c,
		     uint32_t job, struct err *err)
{
	struct index_work *w = arg;
	char text[DIGEST_TEXT_SIZE];
	int r;

	if (w->first[job] != job)
		return 0;
	r = index_one(w, workers, c, job, err);
	if (r < 0 && r != -ECANCELED) {
		digest_format(&w->img->layers[job].desc.digest, text);
		err_prefix(err, "layer %u of %u (%.19s)", job + 1, w->img->nlayers, text);
	}
	return r;
}

/* What an image lists twice was indexed once. */
static void fill_repeated(struct index_work *w)
{
	for (uint32_t i = 0; i < w->img->nlayers; i++) {
		w->result->layers[i] = w->result->layers[w->first[i]];
		atomic_store(&w->progress[i].state, (int)w->result->layers[i].state);
	}
}

static int run_layers(struct index_work *w, struct err *err)
{
	const struct index_watch *watch = w->opts->watch;
	int r;

	if (watch)
		watch->begin(watch->arg, w->progress, w->img->nlayers);
	r = workers_run(w->client, w->opts->threads, w->progress, w->img->nlayers, layer_job, w,
			err);
	if (r == 0)
		fill_repeated(w);
	if (watch)
		watch->end(watch->arg);
	return r;
}

static int put_empty_config(struct index_work *w, struct oci_client *c, struct err *err)
{
	struct oci_desc desc = { .size = strlen(SOCI_EMPTY_CONFIG) };

	digest_of(SOCI_EMPTY_CONFIG, desc.size, &desc.digest);
	return oci_blob_put(c, w->dst, &desc, SOCI_EMPTY_CONFIG, err);
}

static uint32_t list_ztocs(const struct index_work *w, struct soci_index_layer *layers)
{
	uint64_t span_size = w->opts->span_size ? w->opts->span_size : ZTOC_BUILD_SPAN_BYTES;
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->img->nlayers; i++) {
		if (w->result->layers[i].state != INDEX_BUILT &&
		    w->result->layers[i].state != INDEX_REUSED)
			continue;
		layers[n++] = (struct soci_index_layer){
			.desc = w->result->layers[i].ztoc,
			.layer_digest = w->img->layers[i].desc.digest,
			.layer_media_type = w->img->layers[i].desc.media_type,
			.span_size = span_size,
			.disable_xattrs = w->result->layers[i].no_xattrs,
		};
	}
	return n;
}

static int write_manifest(struct index_work *w, struct oci_client *c,
			  const struct oci_desc *subject, struct err *err)
{
	struct index_result *res = w->result;
	cleanup_free struct soci_index_layer *layers =
		calloc(w->img->nlayers * 2 + 1, sizeof(*layers));
	struct soci_index_model model = { .version = w->opts->version,
					  .compat = w->opts->compat,
					  .layers = layers };
	int r;

	if (!layers)
		return err_sys(err, ENOMEM, "SOCI index");
	model.nlayers = list_ztocs(w, layers);
	if (model.nlayers == 0)
		return err_set(err, ERR_UNSUPPORTED, ENODATA,
			       "no layer could be indexed: all are smaller than "
			       "--min-layer-size, or of a type that a zTOC cannot index");
	r = index_prefetch(w, c, layers, &model.nlayers, err);
	if (r < 0)
		return r;
	if (subject)
		model.subject = *subject;
	r = soci_index_write(&model, &res->manifest);
	if (r < 0)
		return err_sys(err, -r, "SOCI index");
	digest_of(res->manifest.data, res->manifest.len, &res->desc.digest);
	res->desc.size = res->manifest.len;
	return put_empty_config(w, c, err);
}

static int result_new(uint32_t nlayers, struct index_result **ret, struct err *err)
{
	struct index_result *r = calloc(1, sizeof(*r));

	if (r)
		r->layers = calloc(nlayers ? nlayers : 1, sizeof(*r->layers));
	if (!r || !r->layers) {
		free(r);
		return err_sys(err, ENOMEM, "SOCI index");
	}
	r->nlayers = nlayers;
	r->manifest.max_bytes = INDEX_MAX_BYTES;
	*ret = r;
	return 0;
}

static int work_init(struct index_work *w, struct err *err)
{
	const struct oci_image *img = w->img;
	size_t n = img->nlayers ? img->nlayers : 1;

	w->hits = calloc(n, sizeof(*w->hits));
	w->first = calloc(n, sizeof(*w->first));
	w->progress = calloc(n, sizeof(*w->progress));
	if (!w->hits || !w->first || !w->progress)
		return err_sys(err, ENOMEM, "SOCI index");
	for (uint32_t i = 0; i < img->nlayers; i++) {
		w->progress[i].digest = img->layers[i].desc.digest;
		w->progress[i].size = img->layers[i].desc.size;
		while (!digest_is_equal(&img->layers[w->first[i]].desc.digest,
					&img->layers[i].desc.digest))
			w->first[i]++;
	}
	return 0;
}

static void work_done(struct index_work *w)
{
	for (uint32_t i = 0; w->hits && i < w->img->nlayers; i++)
		free(w->hits[i]);
	free(w->hits);
	free(w->first);
	free(w->progress);
}

int index_make(const struct oci_opts *client, const struct oci_ref *src,
	       const struct oci_image *img, const struct oci_ref *dst,
	       const struct oci_desc *subject, const struct index_opts *opts,
	       struct index_result **ret, struct err *err)
{
	cleanup_(index_result_freep) struct index_result *result = NULL;
	cleanup_(oci_client_freep) struct oci_client *c = NULL;
	cleanup_(work_done) struct index_work w = { .client = client, .src = src, .dst = dst,
						    .img = img, .opts = opts };
	int r = result_new(img->nlayers, &result, err);

	if (r == 0)
		r = work_init(&w, err);
	if (r < 0)
		return r;
	w.result = result;
	r = run_layers(&w, err);
	if (r == 0)
		r = oci_client_new(client, NULL, &c, err);
	if (r == 0)
		r = write_manifest(&w, c, subject, err);
	if (r == 0) {
		index_memo_add(&w);
		*ret = TAKE_PTR(result);
	}
	return r;
}
