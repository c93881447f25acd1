/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_test.c - an image with its SOCI index is copied from one registry to another and to
 * a layout, and found again there; uploads that go wrong.
 */
#include "tests/unit/tap.h"

#include "tests/tools/registry.h"
#include "tests/oci/copy.h"
#include "tests/oci/lab.h"

#include <fcntl.h>
#include <ftw.h>

#define MAIN "sha256:430749d89e61796dbef5eecac1d5dbf02c350bea70e17274fb2411aea8921077"

#define HEAD_DEFAULT \
	"sha256:0254f0d1f28dc04acfcf3cf4fa71c57ded1436e9aa0fcea6a23e2183e2711e78"

static struct registry from, to;
static struct lab lab;
static const struct oci_platform amd64 = { "linux", "amd64", "" };

static struct oci_image *resolve(const struct oci_ref *ref)
{
	struct oci_image *img = NULL;
	struct err err = ERR_INIT;

	if (oci_image_resolve(lab.c, ref, &amd64, NULL, &img, &err) < 0)
		printf("# %s\n", err.text);
	return img;
}

/* Copy to ref and see that the copy is the image, with its index. */
static void copy_and_see(const struct oci_ref *dst, enum oci_index_found how,
			 uint64_t chunk_bytes, const char *name)
{
	struct oci_ref src = lab_ref("127.0.0.1:%d/fix/main", from.port);
	struct oci_image *img = resolve(&src), *copy;
	struct err err = ERR_INIT;

	if (!img)
		bail("the source does not resolve");
	is_int(copy_image(lab.c, img, dst, chunk_bytes, &err), 0, "%s: copied %s", name,
	       err.text);
	copy = resolve(dst);
	if (ok(copy != NULL, "%s: and resolved again", name)) {
		ok(digest_is_equal(&copy->manifest.digest, &img->manifest.digest),
		   "%s: same manifest", name);
		is_int(copy->index_found, how, "%s: the index is found", name);
		ok(digest_is_equal(&copy->index.digest, &img->index.digest), "%s: same index",
		   name);
		is_int(copy->layers[0].has_ztoc, img->layers[0].has_ztoc, "%s: zTOCs", name);
	}
	oci_image_free(copy);
	oci_image_free(img);
}

static void begin(const char *settings)
{
	struct oci_opts opts = { .docker_config = "/nonexistent", .hosts_dirs = "/nonexistent",
				 .retries = 2, .username = "user", .password = "secret" };

	registry_ctl(&to, "reset", "{}");
	registry_ctl(&to, "set", settings);
	lab_open(&lab, false, &opts);
}

static void test_registries(void)
{
	struct oci_ref dst = lab_ref("127.0.0.1:%d/copy/one:v1", to.port);

	begin("{\"auth\": \"bearer\"}");
	copy_and_see(&dst, OCI_INDEX_REFERRERS, 0, "token, referrers");
	is_int(registry_count(&to, "sha256-"), 0, "no fallback tag where none is needed");
	lab_close(&lab);
	begin("{\"auth\": \"basic\"}");
	dst = lab_ref("127.0.0.1:%d/copy/again:v1", to.port);
	copy_and_see(&dst, OCI_INDEX_REFERRERS, 0, "again");
	is_int(registry_count(&to, "^POST"), 0, "what is there is not sent again");
	lab_close(&lab);
	registry_stop(&to);
	to = registry_start("--content", "/nonexistent", NULL);
	begin("{\"subject_header\": false, \"referrers\": false}");
	dst = lab_ref("127.0.0.1:%d/copy/two:v1", to.port);
	copy_and_see(&dst, OCI_INDEX_FALLBACK_TAG, 100000, "old registry, in pieces");
	ok(registry_count(&to, "^PATCH") > 10, "layers went in pieces");
	copy_and_see(&dst, OCI_INDEX_FALLBACK_TAG, 0, "old registry, once more");
	is_int(registry_count(&to, "^PUT .*sha256-"), 1, "the fallback tag is written once");
	lab_close(&lab);
}

static int remove_one(const char *path, const struct stat *sb, int type, struct FTW *f)
{
	(void)sb;
	(void)type;
	(void)f;
	return remove(path);
}

static void test_layout(void)
{
	char dir[] = "/tmp/oci-push.XXXXXX";
	struct err err = ERR_INIT;
	struct oci_ref dst;

	if (!mkdtemp(dir))
		bail("mkdtemp");
	dst = lab_ref("oci:%s/new/layout:v1", dir);
	begin("{}");
	is_int(oci_layout_create(dst.dir, &err), 0, "a new layout");
	is_int(oci_layout_create(dst.dir, &err), 0, "creating it again changes nothing");
	copy_and_see(&dst, OCI_INDEX_REFERRERS, 0, "layout");
	copy_and_see(&dst, OCI_INDEX_REFERRERS, 0, "layout, once more");
	lab_close(&lab);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *rule, int want, const char *name)
{
	struct oci_ref dst = lab_ref("127.0.0.1:%d/x/y:1", to.port);
	struct oci_desc desc = { .size = 300000 };
	static uint8_t data[300000];
	struct err err = ERR_INIT;

	begin("{}");
	memset(data, name[0], sizeof(data));
	memcpy(data, name, strlen(name));
	digest_of(data, sizeof(data), &desc.digest);
	if (rule)
		registry_ctl(&to, "fault", rule);
	is_int(oci_blob_put(lab.c, &dst, &desc, data, &err), want, "%s %s", name, err.text);
	is_int(oci_blob_exists(lab.c, &dst, &desc, &err), want == 0, "%s: is it there?", name);
	lab_close(&lab);
}

static void test_faults(void)
{
	struct oci_ref dst = lab_ref("127.0.0.1:%d/x/y:1", to.port);
	struct oci_desc desc = { .size = 3 };
	struct err err = ERR_INIT;

	put(NULL, 0, "a blob");
	put("{\"match\":\"^POST\",\"do\":\"status\",\"status\":503}", 0, "503 to POST, then well");
	put("{\"match\":\"^PUT\",\"do\":\"reset\"}", 0, "PUT reset, then well");
	put("{\"match\":\"^PUT\",\"do\":\"status\",\"status\":404}", 0, "session lost, then well");
	put("{\"match\":\"^PUT\",\"do\":\"status\",\"status\":500,\"times\":-1}", -EIO,
	    "PUT always 500");
	put("{\"match\":\"^PUT\",\"do\":\"status\",\"status\":413,\"times\":-1}", -EPROTO,
	    "PUT too large");
	put("{\"match\":\"^POST\",\"do\":\"status\",\"status\":202}", -EPROTO, "no Location");
	put("{\"match\":\"^POST\",\"do\":\"status\",\"status\":403,\"times\":-1}", -EACCES,
	    "may not push");
	put("{\"match\":\"^PUT\",\"do\":\"status\",\"status\":201,\"headers\":"
	    "{\"Docker-Content-Digest\":\"" MAIN "\"}}", -EBADMSG, "it stored something else");
	begin("{}");
	digest_of("abc", 3, &desc.digest);
	is_int(oci_blob_put(lab.c, &dst, &desc, "abd", &err), -EBADMSG,
	       "bytes that are not the descriptor's are not sent");
	is_int(registry_count(&to, "."), 0, "at all");
	lab_close(&lab);
}

int main(void)
{
	from = registry_start("--content", tap_src("tests/fixtures/soci"), "--tag",
			      "fix/main:latest=" MAIN, NULL);
	/* Its zTOCs are not all among the fixtures. */
	registry_ctl(&from, "drop", "{\"digest\":\"" HEAD_DEFAULT "\"}");
	to = registry_start("--content", "/nonexistent", NULL);
	test_registries();
	test_layout();
	test_faults();
	registry_stop(&from);
	registry_stop(&to);
	return tap_done();
}
