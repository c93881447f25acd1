/* SPDX-License-Identifier: GPL-2.0-or-later */
/* indexing.c - see indexing.h. */
#include "cli/indexing.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/progress.h"
#include "cli/ztoc_common.h"
#include "oci/json.h"
#include "oci/push.h"

#define PREFETCH_MAX_BYTES (16u << 20)

/* --- options ----------------------------------------------------------------------- */

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Without space around it; nothing counts for nothing. */
static int add_path(struct indexing *w, const char *s, size_t n)
{
	const char **v;

	for (; n && is_space(*s); s++, n--)
		;
	for (; n && is_space(s[n - 1]); n--)
		;
	if (n == 0)
		return 0;
	v = reallocarray(w->paths.v, w->paths.n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	w->paths.v = v;
	v[w->paths.n] = strndup(s, n);
	if (!v[w->paths.n])
		return -ENOMEM;
	w->paths.n++;
	return 0;
}

static int read_prefetch_json(struct indexing *w, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	cleanup_json json_t *doc = NULL;
	const json_t *item;
	json_error_t why;
	size_t i;
	int r = cli_read_file(w->prefetch_json, PREFETCH_MAX_BYTES, &b, err);

	if (r < 0)
		return r;
	doc = json_loadb(b.data ? (char *)b.data : "", b.len, JSON_DECODE_ANY, &why);
	if (!json_is_array(doc) && !json_is_null(doc))
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "%s: not a JSON array of strings%s%s",
			       w->prefetch_json, doc ? "" : ": ", doc ? "" : why.text);
	json_array_foreach(doc, i, item) {
		if (!json_is_string(item) && !json_is_null(item))
			return err_set(err, ERR_UNSUPPORTED, EINVAL,
				       "%s: element %zu is not a string", w->prefetch_json, i);
		if (add_path(w, json_string_value(item), json_string_length(item)) < 0)
			return err_sys(err, ENOMEM, "%s", w->prefetch_json);
	}
	return 0;
}

/* The options are comma lists, elements of the file are not. */
static int read_prefetch(struct indexing *w, struct err *err)
{
	for (size_t i = 0; i < w->prefetch.n; i++)
		for (const char *s = w->prefetch.v[i];; s++) {
			size_t n = strcspn(s, ",");

			if (add_path(w, s, n) < 0)
				return err_sys(err, ENOMEM, "--prefetch-file");
			s += n;
			if (!*s)
				break;
		}
	return w->prefetch_json ? read_prefetch_json(w, err) : 0;
}

static void warn_path(const char *path)
{
	cli_warn("--prefetch-file: no indexed layer has %s", path);
}

static const char *check_opts(struct indexing *w)
{
	if (!w->opts.span_size || w->opts.span_size > INT64_MAX)
		return "--span-size is out of range";
	if (!w->opts.max_ztoc_bytes)
		return "--max-ztoc-size is out of range";
	if (w->threads > 64)
		return "--threads is out of range";
	if (!strcmp(w->compat, "soci-0.1"))
		w->opts.compat = SOCI_COMPAT_0_1;
	else if (!strcmp(w->compat, "soci-0.2"))
		w->opts.compat = SOCI_COMPAT_0_2;
	else
		return "--compat is soci-0.1 or soci-0.2";
	if (w->optimizations && strcmp(w->optimizations, "xattr") != 0)
		return "--optimizations knows xattr only";
	w->opts.mark_no_xattrs = w->optimizations;
	return NULL;
}

int indexing_begin(struct indexing *w, const char *command)
{
	const char *wrong = check_opts(w);
	struct err err = ERR_INIT;

	if (wrong)
		return cli_misuse(command, "%s", wrong);
	if (read_prefetch(w, &err) < 0)
		return cli_fail(&err);
	w->opts.threads = (unsigned)w->threads;
	w->opts.prefetch = w->paths.v;
	w->opts.nprefetch = w->paths.n;
	w->opts.warn = warn_path;
	if (cli_registry_opts(&w->registry, &w->client, &err) < 0)
		return cli_fail(&err);
	w->client.stop = cli_stop_flag();
	w->progress = progress_new("layer");
	w->opts.watch = progress_watch(w->progress);
	w->opts.memo = index_memo_new();
	if (w->json) {
		w->report = json_array();
		if (!w->report)
			return cli_failf("out of memory");
	}
	return -1;
}

/* --- work -------------------------------------------------------------------------- */

/* Will the layer be read? */
static bool is_needed(const struct indexing *w, const struct oci_layer *layer,
		      const struct oci_ref *dst)
{
	return dst || (index_is_indexable(layer, &w->opts) && (!layer->has_ztoc || w->opts.force));
}

static int check_layer(const struct indexing *w, struct oci_client *c,
		       const struct oci_ref *src, const struct oci_image *img, uint32_t i,
		       const struct oci_ref *dst, struct err *err)
{
	const struct oci_desc *desc = &img->layers[i].desc;
	char platform[OCI_PLATFORM_TEXT_SIZE], digest[DIGEST_TEXT_SIZE];
	int r = 1;

	if (is_needed(w, &img->layers[i], dst))
		r = oci_blob_exists(c, src, desc, err);
	if (r == 0 && dst)
		r = oci_blob_exists(c, dst, desc, err);
	if (r != 0)
		return r < 0 ? r : 0;
	oci_platform_format(&img->platform, platform);
	digest_format(&desc->digest, digest);
	return err_set(err, ERR_UNSUPPORTED, ENOENT, "%s: layer %u of %u, %s, is not in the layout, "
		       "or not of its size", platform, i + 1, img->nlayers, digest);
}

int indexing_check(const struct indexing *w, struct oci_client *c, const struct oci_ref *src,
		   struct cli_images *images, const struct oci_ref *dst, struct err *err)
{
	int r = 0;

	if (!src->is_layout)
		return 0;
	for (size_t i = 0; i < images->n; i++)
		for (uint32_t k = 0; r == 0 && k < images->v[i]->nlayers; k++)
			r = check_layer(w, c, src, images->v[i], k, dst, err);
	return r < 0 || !dst ? r : cli_images_drop_partial(c, src, images, err);
}

int indexing_run(struct indexing *w, const struct oci_ref *src, const struct oci_image *img,
		 size_t n, const struct oci_ref *dst, struct index_result **ret,
		 struct err *err)
{
	bool is_v1 = w->opts.version == SOCI_INDEX_V1;
	struct err e = ERR_INIT;
	char platform[OCI_PLATFORM_TEXT_SIZE];
	int r = index_make(&w->client, src, img, dst, is_v1 ? &img->manifest : NULL, &w->opts, ret,
			   &e);

	if (r == -ENODATA && ++w->nskipped < n) {
		oci_platform_format(&img->platform, platform);
		cli_warn("%s: %s", platform, e.text);
		return 1;
	}
	if (r < 0 && err)
		*err = e;
	return r;
}

/* --- report ------------------------------------------------------------------------ */

static bool has_ztoc(const struct index_result *res, uint32_t i)
{
	return res->layers[i].state == INDEX_BUILT ||
	       res->layers[i].state == INDEX_REUSED;
}

static json_t *layer_json(const struct oci_layer *layer, const struct index_result *res,
			  uint32_t i)
{
	char text[DIGEST_TEXT_SIZE];
	json_t *o;

	digest_format(&layer->desc.digest, text);
	o = json_pack("{s:s, s:I, s:s, s:s}", "digest", text, "size",
		      (json_int_t)layer->desc.size, "media_type", layer->desc.media_type, "state",
		      index_state_name(res->layers[i].state));
	if (!o || !has_ztoc(res, i))
		return o;
	digest_format(&res->layers[i].ztoc.digest, text);
	json_object_set_new(o, "accepted", ztoc_accepted_json(res->layers[i].accepted));
	json_object_set_new(o, "ztoc",
			    json_pack("{s:s, s:I, s:I, s:I}", "digest", text, "size",
				      (json_int_t)res->layers[i].ztoc.size, "spans",
				      (json_int_t)res->layers[i].spans, "entries",
				      (json_int_t)res->layers[i].files));
	return o;
}

static int report_json(struct indexing *w, const struct oci_image *img,
		       const struct oci_desc *manifest, const struct index_result *res)
{
	char platform[OCI_PLATFORM_TEXT_SIZE], digest[DIGEST_TEXT_SIZE], index[DIGEST_TEXT_SIZE];
	json_t *layers = json_array();

	for (uint32_t i = 0; i < res->nlayers; i++)
		json_array_append_new(layers, layer_json(&img->layers[i], res, i));
	oci_platform_format(&img->platform, platform);
	digest_format(&manifest->digest, digest);
	digest_format(&res->desc.digest, index);
	return json_array_append_new(
		w->report,
		json_pack("{s:s, s:s, s:{s:s, s:I, s:s}, s:o}", "platform", platform, "manifest",
			  digest, "index", "digest", index, "size", (json_int_t)res->desc.size,
			  "version", w->opts.version == SOCI_INDEX_V1 ? "v1" : "v2", "layers",
			  layers));
}

static void add_row(struct cli_table *t, const struct oci_layer *layer,
		    const struct index_result *res, uint32_t i)
{
	char digest[DIGEST_TEXT_SIZE], size[24], ztoc[24] = "", spans[24] = "", files[24] = "";

	digest_format(&layer->desc.digest, digest);
	digest[19] = '\0';
	cli_format_size(layer->desc.size, size);
	if (has_ztoc(res, i)) {
		cli_format_size(res->layers[i].ztoc.size, ztoc);
		snprintf(spans, sizeof(spans), "%" PRIu32, res->layers[i].spans);
		snprintf(files, sizeof(files), "%" PRIu64, res->layers[i].files);
	}
	cli_table_add(t, (const char *const[]){ digest, size,
						index_state_name(res->layers[i].state),
						ztoc, spans, files });
}

static int report_table(struct indexing *w, const struct oci_image *img,
			const struct oci_desc *manifest, const struct index_result *res)
{
	static const char *const heads[] = { "LAYER",   ">SIZE",  "STATE",
					     ">ZTOC", ">SPANS", ">ENTRIES" };
	struct cli_table *t = cli_table_new(heads, 6);
	char digest[DIGEST_TEXT_SIZE], platform[OCI_PLATFORM_TEXT_SIZE];
	uint32_t n = 0;
	int rc;

	for (uint32_t i = 0; i < res->nlayers; i++) {
		n += has_ztoc(res, i);
		add_row(t, &img->layers[i], res, i);
	}
	oci_platform_format(&img->platform, platform);
	digest_format(&manifest->digest, digest);
	printf("image  %s  %s\n", digest, platform);
	rc = cli_table_print(t, stdout);
	cli_table_free(t);
	digest_format(&res->desc.digest, digest);
	printf("index  %s  v%d, %u of %u layers\n", digest,
	       w->opts.version == SOCI_INDEX_V1 ? 1 : 2, n, res->nlayers);
	return rc == CLI_OK ? 0 : -ENOMEM;
}

int indexing_report(struct indexing *w, const struct oci_image *img,
		    const struct oci_desc *manifest, const struct index_result *res,
		    struct err *err)
{
	char name[DIGEST_TEXT_SIZE];
	int r;

	for (uint32_t i = 0; i < res->nlayers; i++) {
		digest_format(&img->layers[i].desc.digest, name);
		ztoc_warn_accepted(name, res->layers[i].accepted);
	}
	r = w->json ? report_json(w, img, manifest, res) :
			  report_table(w, img, manifest, res);

	return r < 0 ? err_sys(err, ENOMEM, "report") : 0;
}

int indexing_end(struct indexing *w, int r, const struct err *err)
{
	if (r == -ECANCELED)
		return cli_failf("interrupted: not all was indexed");
	if (r < 0)
		return cli_fail(err);
	return w->json ? cli_json_print(json_incref(w->report)) : CLI_OK;
}

void indexing_done(struct indexing *w)
{
	cli_list_done(&w->prefetch);
	for (size_t i = 0; i < w->paths.n; i++)
		free((char *)w->paths.v[i]);
	cli_list_done(&w->paths);
	cli_list_done(&w->registry.platforms);
	json_decref(w->report);
	progress_free(w->progress);
	index_memo_free(w->opts.memo);
}
