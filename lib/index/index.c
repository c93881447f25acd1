/* SPDX-License-Identifier: GPL-2.0-or-later */
/* index.c - see index.h: the threads, and the index manifest at the end. */
#include "index/private.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define THREADS_MAX 16u
#define INDEX_MAX_BYTES (4u << 20)

DEFINE_CLEANUP(struct index_result *, index_result_free, index_result_freep)
DEFINE_CLEANUP(struct oci_client *, oci_client_free, oci_client_freep)

const char *index_layer_state_name(enum index_layer_state state)
{
	switch (state) {
	case INDEX_LAYER_WAITING:
		return "waiting";
	case INDEX_LAYER_BUSY:
		return "indexing";
	case INDEX_LAYER_BUILT:
		return "indexed";
	case INDEX_LAYER_REUSED:
		return "was indexed";
	case INDEX_LAYER_SKIPPED_SMALL:
		return "skipped: small";
	case INDEX_LAYER_SKIPPED_TYPE:
		return "skipped: type";
	}
	return "?";
}

bool index_is_stopped(const struct index_work *w)
{
	return atomic_load(&w->failed) || (w->opts->stop && atomic_load(w->opts->stop));
}

void index_result_free(struct index_result *r)
{
	if (!r)
		return;
	buf_done(&r->manifest);
	free(r->layers);
	free(r);
}

static void note_failure(struct index_work *w, uint32_t number, const struct err *err)
{
	char text[DIGEST_TEXT_SIZE];

	pthread_mutex_lock(&w->lock);
	if (!atomic_exchange(&w->failed, true)) {
		w->err = *err;
		if (number != UINT32_MAX) {
			digest_format(&w->img->layers[number].desc.digest, text);
			err_prefix(&w->err, "layer %u of %u (%.19s)", number + 1, w->img->nlayers,
				   text);
		}
	}
	pthread_mutex_unlock(&w->lock);
}

static void *work_thread(void *arg)
{
	struct index_work *w = arg;
	cleanup_(oci_client_freep) struct oci_client *c = NULL;
	struct err err = ERR_INIT;

	if (oci_client_new(w->client, NULL, &c, &err) < 0) {
		note_failure(w, UINT32_MAX, &err);
		return NULL;
	}
	while (!index_is_stopped(w)) {
		uint32_t number = atomic_fetch_add(&w->next, 1);

		if (number >= w->img->nlayers)
			break;
		if (index_one(w, c, number, &err) < 0)
			note_failure(w, number, &err);
	}
	return NULL;
}

static int run_threads(struct index_work *w, struct err *err)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned want = w->opts->threads ? w->opts->threads : cores > 0 ? (unsigned)cores : 1;
	pthread_t threads[THREADS_MAX];
	unsigned n = 0;

	if (want > w->img->nlayers)
		want = w->img->nlayers;
	if (want > THREADS_MAX)
		want = THREADS_MAX;
	while (n < want && pthread_create(&threads[n], NULL, work_thread, w) == 0)
		n++;
	if (n == 0 && w->img->nlayers)
		return err_set(err, ERR_SYSTEM, EAGAIN, "cannot start a thread");
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	if (atomic_load(&w->failed)) {
		if (err)
			*err = w->err;
		return -w->err.num;
	}
	if (index_is_stopped(w))
		return err_set(err, ERR_SYSTEM, ECANCELED, "interrupted");
	return 0;
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
		if (w->result->layers[i].state != INDEX_LAYER_BUILT &&
		    w->result->layers[i].state != INDEX_LAYER_REUSED)
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

int index_make(const struct oci_opts *client, const struct oci_ref *src,
	       const struct oci_image *img, const struct oci_ref *dst,
	       const struct oci_desc *subject, const struct index_opts *opts,
	       struct index_result **ret, struct err *err)
{
	cleanup_(index_result_freep) struct index_result *result = NULL;
	cleanup_(oci_client_freep) struct oci_client *c = NULL;
	struct index_work w = { .client = client, .src = src, .dst = dst, .img = img,
				.opts = opts, .lock = PTHREAD_MUTEX_INITIALIZER };
	int r = result_new(img->nlayers, &result, err);

	if (r < 0)
		return r;
	w.result = result;
	w.ztocs = calloc(img->nlayers ? img->nlayers : 1, sizeof(*w.ztocs));
	if (!w.ztocs)
		return err_sys(err, ENOMEM, "SOCI index");
	r = run_threads(&w, err);
	if (r == 0)
		r = oci_client_new(client, NULL, &c, err);
	if (r == 0)
		r = write_manifest(&w, c, subject, err);
	for (uint32_t i = 0; i < img->nlayers; i++)
		buf_done(&w.ztocs[i]);
	free(w.ztocs);
	if (r == 0)
		*ret = TAKE_PTR(result);
	return r;
}
