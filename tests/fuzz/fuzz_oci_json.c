/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_oci_json.c - any bytes as image index, manifest, config, SOCI index, list of
 * referrers, docker config: refused cleanly, or read without harm.
 *
 * fuzz-sources: lib/oci/json.c lib/oci/manifest.c lib/oci/index.c lib/oci/creds.c lib/oci/auth.c lib/base/err.c lib/base/digest.c lib/base/buf.c lib/base/io.c
 * fuzz-libs: -ljansson -lnettle
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "oci/creds.h"
#include "oci/index.h"
#include "oci/manifest.h"

static void as_config(const uint8_t *data, size_t len)
{
	struct oci_layer layers[2];
	struct oci_image img = { .nlayers = 2, .layers = layers };
	struct creds creds = { 0 };
	struct err err = ERR_INIT;
	char helper[64];

	memset(layers, 0, sizeof(layers));
	manifest_parse_config(data, len, "c", &img, &err);
	if (creds_from_config(data, len, "docker.io", &creds, helper, &err) == 0)
		creds_done(&creds);
}

/* The index of an image that is the same document read as an image manifest. */
static void as_index(const uint8_t *data, size_t len, struct oci_image *img)
{
	struct err err = ERR_INIT;
	uint32_t n = 0;
	int r = index_parse(data, len, "x", img, &err);

	for (uint32_t i = 0; i < img->nlayers; i++)
		n += img->layers[i].has_ztoc;
	if ((r == 0) != (n > 0) || (r < 0 && !err.text[0]))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct oci_platform amd64 = { "linux", "amd64", "" };
	struct oci_desc cand[INDEX_MAX_CANDIDATES], desc;
	struct oci_image img = { 0 };
	struct err err = ERR_INIT;
	enum manifest_kind kind;
	struct digest soci;
	bool has_soci;
	json_t *doc;

	as_config(data, len);
	if (jdoc_parse(data, len, "d", &doc, &err) < 0)
		return 0;
	manifest_kind_of(doc, MEDIA_OCI_INDEX, "d", &kind, &err);
	manifest_choose(doc, &amd64, MANIFEST_NEAREST, "d", NULL, &desc, &err);
	manifest_choose(doc, &amd64, MANIFEST_EXACT, "d", NULL, &desc, &err);
	if (index_candidates(doc, cand) > (int)INDEX_MAX_CANDIDATES)
		abort();
	manifest_parse_image(doc, "d", &img, &has_soci, &soci, &err);
	as_index(data, len, &img);
	free(img.layers);
	json_decref(doc);
	return 0;
}
