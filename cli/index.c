/* SPDX-License-Identifier: GPL-2.0-or-later */
/* index.c - `lazyerofs index list|info|rm`: the SOCI indexes of an image. */
#include "cli/registry.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "index/copy.h"
#include "oci/index.h"
#include "oci/json.h"
#include "oci/push.h"

#define BUILD_TOOL "com.amazon.soci.build-tool-identifier"

DEFINE_CLEANUP(struct oci_client *, oci_client_free, client_freep)

struct index_args {
	struct cli_registry registry;
	const char *image, *digest;
	bool json, all;
};

/* One image and its indexes. */
struct look {
	struct oci_client *c;
	const struct oci_image *img;
	struct oci_index_list list;
};

typedef int (*look_fn)(const struct index_args *a, const struct look *look, void *arg,
		       struct err *err);

static int for_images(const struct index_args *a, look_fn fn, void *arg, struct err *err)
{
	cleanup_(client_freep) struct oci_client *c = NULL;
	cleanup_(cli_images_done) struct cli_images images = { 0 };
	struct cli_registry registry = a->registry;
	struct oci_opts opts;
	struct oci_ref ref;
	int r = oci_ref_parse(a->image, &ref, err);

	if (r == 0)
		r = cli_registry_opts(&registry, &opts, err);
	if (r == 0)
		r = oci_client_new(&opts, NULL, &c, err);
	if (r == 0)
		r = cli_images_resolve(c, &registry, &ref, true, &images, err);
	for (size_t i = 0; r == 0 && i < images.n; i++) {
		struct look look = { .c = c, .img = images.v[i] };

		r = oci_index_list(c, look.img, &look.list, err);
		if (r == 0)
			r = fn(a, &look, arg, err);
	}
	return r;
}

static const char *found_name(enum oci_index_found found)
{
	switch (found) {
	case OCI_INDEX_ANNOTATION:
		return "annotation";
	case OCI_INDEX_REFERRERS:
		return "referrers";
	case OCI_INDEX_FALLBACK_TAG:
		return "fallback tag";
	case OCI_INDEX_EXPLICIT:
	case OCI_INDEX_NONE:
		break;
	}
	return "-";
}

/* The manifest of an index; -ENOENT if it is not there. */
static int get_index(const struct look *look, const struct digest *digest,
		     struct oci_desc *ret_desc, json_t **ret, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(OCI_MANIFEST_MAX_BYTES);
	struct oci_ref ref;
	int r;

	copy_ref_by_digest(&look->img->ref, digest, &ref);
	r = oci_manifest_get(look->c, &ref, &b, ret_desc, err);
	return r < 0 ? r : jdoc_parse(b.data ? b.data : (const void *)"", b.len, "SOCI index", ret,
				      err);
}

static const char *version_of(const json_t *doc)
{
	const char *type = jdoc_str(json_object_get(doc, "config"), "mediaType");

	return !type ? "?" : !strcmp(type, MEDIA_SOCI_V1) ? "v1" :
			     !strcmp(type, MEDIA_SOCI_V2) ? "v2" : "?";
}

/* --- list ---------------------------------------------------------------------------- */

struct row {
	char digest[DIGEST_TEXT_SIZE], image[DIGEST_TEXT_SIZE], platform[OCI_PLATFORM_TEXT_SIZE], tool[128];
	const char *version, *found;
	uint64_t ztocs, lists, bytes;	/* bytes: of zTOCs and prefetch lists */
};

static void fill_row(const struct look *look, uint32_t i, const json_t *doc, struct row *ret)
{
	const char *tool = jdoc_annotation(doc, BUILD_TOOL);
	const json_t *layers = json_object_get(doc, "layers");

	*ret = (struct row){ .version = doc ? version_of(doc) : "missing",
			     .found = found_name(look->list.v[i].found) };
	digest_format(&look->list.v[i].desc.digest, ret->digest);
	digest_format(&look->img->manifest.digest, ret->image);
	oci_platform_format(&look->img->platform, ret->platform);
	jdoc_clean(tool ? tool : "", ret->tool, sizeof(ret->tool));
	for (size_t k = 0; k < json_array_size(layers); k++) {
		struct oci_desc d;

		if (jdoc_desc(json_array_get(layers, k), &d) < 0)
			continue;
		ret->ztocs += !strcmp(d.media_type, MEDIA_SOCI_ZTOC);
		ret->lists += !strcmp(d.media_type, MEDIA_SOCI_PREFETCH);
		ret->bytes += d.size;
	}
}

struct listing {
	struct cli_table *table;
	json_t *json;
};

static int add_row(const struct listing *l, const struct row *row)
{
	char ztocs[24], size[24];

	if (l->json)
		return json_array_append_new(
			l->json,
			json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s}", "platform",
				  row->platform, "manifest", row->image, "digest", row->digest,
				  "version", row->version, "found", row->found, "ztocs",
				  (json_int_t)row->ztocs, "prefetch_lists", (json_int_t)row->lists,
				  "bytes", (json_int_t)row->bytes, "build_tool", row->tool));
	snprintf(ztocs, sizeof(ztocs), "%" PRIu64, row->ztocs);
	cli_format_size(row->bytes, size);
	cli_table_add(l->table, (const char *const[]){ row->digest, row->platform, row->version,
						       row->found, ztocs, size, row->tool });
	return 0;
}

static int list_image(const struct index_args *a, const struct look *look, void *arg,
		      struct err *err)
{
	(void)a;
	for (uint32_t i = 0; i < look->list.n; i++) {
		cleanup_json json_t *doc = NULL;
		struct oci_desc desc;
		struct row row;
		int r = get_index(look, &look->list.v[i].desc.digest, &desc, &doc, err);

		if (r < 0 && r != -ENOENT)
			return r;
		fill_row(look, i, doc, &row);
		if (add_row(arg, &row) < 0)
			return err_sys(err, ENOMEM, "list");
	}
	return 0;
}

static int index_list(const struct index_args *a, struct err *err)
{
	static const char *const heads[] = { "INDEX",	"PLATFORM", "VERSION", "FOUND BY",
					     ">ZTOCS", ">SIZE",    "BUILD TOOL" };
	struct listing l = { 0 };
	int r, rc = CLI_OK;

	if (a->json)
		l.json = json_array();
	else
		l.table = cli_table_new(heads, 7);
	r = for_images(a, list_image, &l, err);
	if (r == 0)
		rc = a->json ? cli_json_print(json_incref(l.json)) : cli_table_print(l.table, stdout);
	json_decref(l.json);
	cli_table_free(l.table);
	return r < 0 ? r : rc;
}

/* --- info ---------------------------------------------------------------------------- */

static int choose(const struct index_args *a, const struct look *look, struct digest *ret,
		  struct err *err)
{
	if (a->digest) {
		if (digest_parse(a->digest, strlen(a->digest), ret) < 0)
			return err_set(err, ERR_UNSUPPORTED, EINVAL, "\"%.100s\" is no digest",
				       a->digest);
		return 0;
	}
	if (!look->list.n)
		return err_set(err, ERR_UNSUPPORTED, ENOENT, "%s has no SOCI index", a->image);
	*ret = look->list.v[0].desc.digest;
	return 0;
}

static void info_row(struct cli_table *t, const json_t *o)
{
	const char *layer = jdoc_annotation(o, ANNOTATION_SOCI_LAYER);
	const char *span = jdoc_annotation(o, ANNOTATION_SOCI_SPAN_SIZE);
	char digest[DIGEST_TEXT_SIZE], size[24], layer_text[80], span_text[32];
	struct oci_desc d;

	if (jdoc_desc(o, &d) < 0)
		return;
	digest_format(&d.digest, digest);
	cli_format_size(d.size, size);
	jdoc_clean(layer ? layer : "", layer_text, sizeof(layer_text));
	jdoc_clean(span ? span : "", span_text, sizeof(span_text));
	cli_table_add(t, (const char *const[]){
				 !strcmp(d.media_type, MEDIA_SOCI_PREFETCH) ? "prefetch" : "zTOC",
				 digest, layer_text, size, span_text });
}

static int print_info(const struct digest *digest, const json_t *doc)
{
	static const char *const heads[] = { "KIND", "DIGEST", "OF LAYER", ">SIZE",
					     ">SPAN SIZE" };
	struct cli_table *t = cli_table_new(heads, 5);
	const json_t *layers = json_object_get(doc, "layers");
	const char *tool = jdoc_annotation(doc, BUILD_TOOL);
	char text[DIGEST_TEXT_SIZE], tool_text[128];
	struct digest subject;
	int rc;

	digest_format(digest, text);
	printf("index       %s\nversion     %s\n", text, version_of(doc));
	if (jdoc_digest(json_object_get(doc, "subject"), "digest", &subject) == 0) {
		digest_format(&subject, text);
		printf("subject     %s\n", text);
	}
	jdoc_clean(tool ? tool : "", tool_text, sizeof(tool_text));
	printf("build tool  %s\n", tool_text);
	for (size_t i = 0; i < json_array_size(layers); i++)
		info_row(t, json_array_get(layers, i));
	rc = cli_table_print(t, stdout);
	cli_table_free(t);
	return rc;
}

static int info_image(const struct index_args *a, const struct look *look, void *arg,
		      struct err *err)
{
	cleanup_json json_t *doc = NULL;
	struct digest digest;
	struct oci_desc desc;
	int r = choose(a, look, &digest, err);

	if (r == 0)
		r = get_index(look, &digest, &desc, &doc, err);
	if (r == 0)
		*(int *)arg = a->json ? cli_json_print(json_incref(doc)) : print_info(&digest, doc);
	return r;
}

static int index_info(const struct index_args *a, struct err *err)
{
	int rc = CLI_OK;
	int r = for_images(a, info_image, &rc, err);

	return r < 0 ? r : rc;
}

/* --- rm ------------------------------------------------------------------------------ */

static int rm_one(const struct look *look, const struct digest *digest, struct err *err)
{
	char text[DIGEST_TEXT_SIZE];
	int r = oci_index_delete(look->c, look->img, digest, err);

	digest_format(digest, text);
	if (r < 0)
		return err_prefix(err, "index %s", text);
	printf("removed  %s\n", text);
	return 0;
}

static int rm_image(const struct index_args *a, const struct look *look, void *arg,
		    struct err *err)
{
	const struct oci_index_list *list = &look->list;
	unsigned *removed = arg;
	struct digest want;
	int r = 0;

	if (a->digest && digest_parse(a->digest, strlen(a->digest), &want) < 0)
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "\"%.100s\" is no digest", a->digest);
	if (!a->digest && !a->all && list->n > 1)
		return err_set(err, ERR_UNSUPPORTED, EINVAL,
			       "%s has %u SOCI indexes: say which by its digest, or --all",
			       a->image, list->n);
	for (uint32_t i = 0; r == 0 && i < list->n; i++) {
		if (a->digest && !digest_is_equal(&list->v[i].desc.digest, &want))
			continue;
		if (a->all && list->v[i].found == OCI_INDEX_ANNOTATION)
			continue;
		r = rm_one(look, &list->v[i].desc.digest, err);
		*removed += r == 0;
	}
	return r;
}

static int index_rm(const struct index_args *a, struct err *err)
{
	unsigned removed = 0;
	int r = for_images(a, rm_image, &removed, err);

	if (r == 0 && !removed)
		return err_set(err, ERR_UNSUPPORTED, ENOENT, "%s has no such SOCI index to remove",
			       a->image);
	return r < 0 ? r : CLI_OK;
}

/* --- commands ------------------------------------------------------------------------ */

static int run_command(int (*fn)(const struct index_args *, struct err *), const char *name,
		       const char *words, const char *text, int max_args, int argc, char **argv)
{
	struct index_args a = { 0 };
	bool is_rm = fn == index_rm;
	const struct cli_opt opts[] = {
		CLI_PLATFORM_OPTS(&a.registry),
		CLI_REGISTRY_OPTS(&a.registry),
		is_rm ? (struct cli_opt)CLI_OPT_FLAG('\0', "all", "all indexes v1", &a.all) :
			(struct cli_opt)CLI_OPT_FLAG('\0', "json", "print JSON", &a.json),
		CLI_OPT_END
	};
	const struct cli_usage usage = { .command = name, .args = words, .min_args = 1,
					 .max_args = max_args, .text = text, .opts = opts };
	struct cli_args args;
	struct err err = ERR_INIT;
	int rc = cli_parse(&usage, argc, argv, &args);

	if (rc < 0) {
		a.image = args.v[0];
		a.digest = args.n > 1 ? args.v[1] : NULL;
		rc = fn(&a, &err);
		if (rc < 0)
			rc = cli_fail(&err);
	}
	cli_list_done(&a.registry.platforms);
	return rc;
}

static int cmd_index_list(int argc, char **argv)
{
	return run_command(index_list, "index list", "IMAGE",
			   "List the SOCI indexes of IMAGE, in the order in which they are looked\n"
			   "for: a mount takes the first.",
			   1, argc, argv);
}

static int cmd_index_info(int argc, char **argv)
{
	return run_command(index_info, "index info", "IMAGE [DIGEST]",
			   "Show a SOCI index of IMAGE (the one that a mount would take).", 2, argc,
			   argv);
}

static int cmd_index_rm(int argc, char **argv)
{
	return run_command(index_rm, "index rm", "IMAGE [DIGEST]",
			   "Remove a SOCI index (v1) of IMAGE from its registry or layout. The image\n"
			   "stays as it is.",
			   2, argc, argv);
}

int cmd_index(int argc, char **argv)
{
	static const struct cli_command table[] = {
		{ "list", "the SOCI indexes of an image", cmd_index_list },
		{ "ls", "the same", cmd_index_list },
		{ "info", "what an index holds", cmd_index_info },
		{ "rm", "remove an index", cmd_index_rm },
		{ NULL, NULL, NULL },
	};

	return cli_dispatch("lazyerofs index", table, NULL, argc, argv);
}
