/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * image_test.c - resolving images: from a scripted registry and from OCI layouts, with
 * every way of finding the SOCI index.
 */
#include "tests/unit/tap.h"

#include "tests/tools/registry.h"
#include "tests/oci/lab.h"
#include "oci/push.h"

#define MAIN "sha256:430749d89e61796dbef5eecac1d5dbf02c350bea70e17274fb2411aea8921077"
#define NODOT "sha256:580d9d911fd788f41e6b7d3e74c93cc6764fed75f45e6962a8753faf66f9d96f"
#define NODOT_V2_LIST "sha256:7dc7090951f309b5047c38e9777ace5b58c467fc7e103749bce381b253d8d223"
#define NODOT_V2 "sha256:7fc14f73569bb19bd84e553b0d1c6abdb4c95c5dd6d4a75c789b80eaaec3cc75"
#define NODOT_V2_INDEX \
	"sha256:a462f80aaa3c7b32bf28e1e900d6b7ec217670d932bd4eac71463c2e688a0987"

static struct registry reg;
static struct lab lab;

static int resolve(const char *what, const char *index, struct oci_image **ret,
		   struct err *err)
{
	static const struct oci_platform amd64 = { "linux", "amd64", "" };
	struct digest d;
	struct oci_ref ref;
	char text[4700];

	if (strncmp(what, "oci:", 4))
		snprintf(text, sizeof(text), "127.0.0.1:%d/%s", reg.port, what);
	else
		snprintf(text, sizeof(text), "%s", what);
	*err = (struct err)ERR_INIT;
	*ret = NULL;
	if (oci_ref_parse(text, &ref, err) < 0)
		bail("%s", err->text);
	if (index && digest_parse(index, strlen(index), &d) < 0)
		bail("digest");
	return oci_image_resolve(lab.c, &ref, &amd64, index ? &d : NULL, ret, err);
}

static void tag(const char *name, const char *digest)
{
	char body[300];

	snprintf(body, sizeof(body), "{\"name\": \"%s\", \"digest\": \"%s\"}", name, digest);
	registry_ctl(&reg, "tag", body);
}

static unsigned count_ztocs(const struct oci_image *img)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < img->nlayers; i++)
		n += img->layers[i].has_ztoc;
	return n;
}

static bool is_digest(const struct digest *d, const char *text)
{
	char own[DIGEST_TEXT_SIZE];

	digest_format(d, own);
	return !strcmp(own, text);
}

static void test_referrers(void)
{
	struct oci_image *img;
	struct err err;

	if (!ok(resolve("fix/main:latest", NULL, &img, &err) == 0, "main: %s", err.text))
		return;
	ok(is_digest(&img->manifest.digest, MAIN), "the manifest's digest is right");
	is_int(img->nlayers, 6, "six layers");
	is_str(img->platform.arch, "amd64", "platform from the config");
	is_int(img->index_found, OCI_INDEX_REFERRERS, "found through the referrers API");
	is_int(count_ztocs(img), 5, "five zTOCs");
	oci_image_free(img);
}

static void test_fallback_tag(void)
{
	struct oci_image *img;
	struct err err;

	registry_ctl(&reg, "set", "{\"referrers\": false}");
	is_int(resolve("fix/main", NULL, &img, &err), 0, "no referrers API, no fallback tag");
	is_int(img->index_found, OCI_INDEX_NONE, "no index is no error");
	oci_image_free(img);
	/* The list that soci push 0.4.1 wrote. */
	tag("fix/main:sha256-430749d89e61796dbef5eecac1d5dbf02c350bea70e17274fb2411aea8921077",
	    "sha256:eb0c4f63a981419c6745db2736c14f261fb73dc09fbebc6f0f00d62f3b0dd867");
	is_int(resolve("fix/main", NULL, &img, &err), 0, "with the fallback tag");
	is_int(img ? img->index_found : OCI_INDEX_NONE, OCI_INDEX_FALLBACK_TAG, "the index is found");
	is_int(img ? count_ztocs(img) : 0, 5, "five zTOCs");
	oci_image_free(img);
	registry_ctl(&reg, "reset", "{}");
}

static void test_v2(void)
{
	struct oci_image *img;
	struct err err;

	tag("fix/nodot:v2", NODOT_V2_LIST);
	if (!ok(resolve("fix/nodot:v2", NULL, &img, &err) == 0, "v2: %s", err.text))
		return;
	ok(is_digest(&img->manifest.digest, NODOT_V2), "the image, not the SOCI index, of the "
	   "converted list is chosen");
	is_int(img->index_found, OCI_INDEX_ANNOTATION, "found through the annotation");
	ok(is_digest(&img->index.digest, NODOT_V2_INDEX), "the right index");
	is_int(count_ztocs(img), 2, "two zTOCs");
	ok(img->layers[0].has_prefetch && img->layers[0].prefetch.size == 96,
	   "prefetch artifacts are noted, not taken for zTOCs");
	oci_image_free(img);
}

static void test_explicit(void)
{
	struct oci_image *img;
	struct err err;

	tag("fix/nodot:v1", NODOT);
	is_int(resolve("fix/nodot:v1", NODOT_V2_INDEX, &img, &err), 0, "explicit digest");
	if (img)
		is_int(img->index_found, OCI_INDEX_EXPLICIT, "and that one is used");
	oci_image_free(img);
	is_int(resolve("fix/main", NODOT_V2_INDEX, &img, &err), -EINVAL,
	       "an index of another image is refused");
	ok(strstr(err.text, "not one of its zTOCs"), "and says so: %s", err.text);
	is_int(resolve("fix/main", "sha256:00000000000000000000000000000000"
		       "00000000000000000000000000000000", &img, &err), -ENOENT,
	       "an explicit index that is not there is an error");
}

static void test_layout(void)
{
	struct oci_image *img;
	struct err err;
	char text[4200];

	snprintf(text, sizeof(text), "oci:%s", tap_src("tests/fixtures/soci/v2/nodot"));
	if (!ok(resolve(text, NULL, &img, &err) == 0, "layout: %s", err.text))
		return;
	is_int(img->index_found, OCI_INDEX_ANNOTATION, "index through the annotation");
	is_int(count_ztocs(img), 2, "two zTOCs");
	oci_image_free(img);
	strcat(text, ":nosuch");
	is_int(resolve(text, NULL, &img, &err), -ENOENT, "a tag that is not there");
	ok(strstr(err.text, "nosuch"), "is named: %s", err.text);
}

/* A registry that forbids to look for the tag, as one that may only be read might. */
static void test_list(void)
{
	struct oci_index_list list = { 0 };
	struct err err = ERR_INIT;
	struct oci_image *img;
	uint32_t n;

	if (resolve("fix/main:latest", NULL, &img, &err) < 0)
		bail("%s", err.text);
	is_int(oci_index_list(lab.c, img, &list, &err), 0, "list: %s", err.text);
	n = list.n;
	ok(n > 1 && digest_is_equal(&list.v[0].desc.digest, &img->index.digest),
	   "list: several indexes, the one that is taken is the first");
	registry_ctl(&reg, "fault", "{\"match\":\"manifests/sha256-\",\"do\":\"status\","
		     "\"status\":403,\"times\":-1}");
	is_int(oci_index_list(lab.c, img, &list, &err), 0, "list: 403 for the tag: %s", err.text);
	is_int(list.n, n, "list: the same indexes");
	registry_ctl(&reg, "reset", "{}");
	registry_ctl(&reg, "fault", "{\"match\":\"manifests/sha256-\",\"do\":\"status\","
		     "\"status\":500,\"times\":-1}");
	ok(oci_index_list(lab.c, img, &list, &err) < 0 && err.kind == ERR_NETWORK,
	   "list: 500 for the tag is a failure: %s", err.text);
	registry_ctl(&reg, "reset", "{}");
	oci_image_free(img);
}

int main(void)
{
	struct oci_opts opts = { .retries = 2, .docker_config = "/nonexistent",
				 .hosts_dirs = "/nonexistent" };

	reg = registry_start("--content", tap_src("tests/fixtures/soci"), "--tag",
			     "fix/main:latest=" MAIN, NULL);
	lab_open(&lab, false, &opts);
	test_referrers();
	test_fallback_tag();
	test_list();
	test_v2();
	test_explicit();
	test_layout();
	lab_close(&lab);
	registry_stop(&reg);
	return tap_done();
}
