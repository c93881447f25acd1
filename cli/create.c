/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * create.c - `lazyerofs create`: the SOCI index (v1) of an image, put beside it.
 *
 * The image stays as it is; the index names it as its subject and is found from there.
 */
#include "cli/registry.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "cli/indexing.h"
#include "oci/push.h"

DEFINE_CLEANUP(struct oci_client *, oci_client_free, client_freep)
DEFINE_CLEANUP(struct index_result *, index_result_free, result_freep)

static int create_one(struct indexing *w, struct oci_client *c, const struct oci_ref *ref,
		      const struct cli_images *images, size_t i, struct err *err)
{
	const struct oci_image *img = images->v[i];
	cleanup_(result_freep) struct index_result *res = NULL;
	int r = indexing_run(w, ref, img, images->n, ref, &res, err);

	if (r == 1)
		return 0;
	if (r == 0)
		r = oci_referrer_put(c, ref, &img->manifest.digest, SOCI_INDEX_V1_TYPE,
				     res->manifest.data, res->manifest.len, NULL, err);
	return r < 0 ? r : indexing_report(w, img, &img->manifest, res, err);
}

static int run(struct indexing *w, const char *name, struct err *err)
{
	cleanup_(client_freep) struct oci_client *c = NULL;
	cleanup_(cli_images_done) struct cli_images images = { 0 };
	struct oci_ref ref;
	int r = oci_ref_parse(name, &ref, err);

	if (r == 0)
		r = oci_client_new(&w->client, NULL, &c, err);
	if (r == 0)
		r = cli_images_resolve(c, &w->registry, &ref, false, &images, err);
	if (r == 0)
		r = indexing_check(w, c, &ref, &images, NULL, err);
	for (size_t i = 0; r == 0 && i < images.n; i++)
		r = create_one(w, c, &ref, &images, i, err);
	return r;
}

int cmd_create(int argc, char **argv)
{
	struct indexing w = INDEXING_INIT(SOCI_INDEX_V1);
	const struct cli_opt opts[] = { INDEXING_OPTS(&w), CLI_PLATFORM_OPTS(&w.registry),
					CLI_REGISTRY_OPTS(&w.registry), CLI_OPT_END };
	const struct cli_usage usage = {
		.command = "create", .args = "IMAGE", .min_args = 1, .max_args = 1,
		.text = "Make the SOCI index (v1) of IMAGE and put it beside the image, in its\n"
			"registry or layout. The image itself is not changed.",
		.opts = opts,
	};
	struct cli_args args;
	struct err err = ERR_INIT;
	int rc = cli_parse(&usage, argc, argv, &args);

	if (rc < 0)
		rc = indexing_begin(&w, usage.command);
	if (rc < 0)
		rc = indexing_end(&w, run(&w, args.v[0], &err), &err);
	indexing_done(&w);
	return rc;
}
