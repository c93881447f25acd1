/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * oci_manifest_test.c - manifests, configs and SOCI indexes: the fixtures as they were
 * made by the real programs, and documents that must be refused.
 */
#include "tests/unit/tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "oci/index.h"
#include "oci/manifest.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define D3 "sha256:3333333333333333333333333333333333333333333333333333333333333333"
#define GZ "application/vnd.oci.image.layer.v1.tar+gzip"
#define DESC(type, digest) \
	"{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":5}"

static struct buf file(const char *rel)
{
	struct buf b = BUF_INIT(1 << 22);

	if (io_read_file(AT_FDCWD, tap_src(rel), &b) < 0)
		bail("%s", rel);
	return b;
}

static void test_json(void)
{
	static char deep[200], many[300000];
	static const char *const bad[] = { "", "[]", "{", "{\"a\":1,\"a\":2}", "{}x", "{\"a\":\"\xff\"}",
					   "{\"a\":\"\\u0000\"}" };
	static const char quoted[] =
		"{\"a\":\",,[[\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}";
	struct err err = ERR_INIT;
	json_t *doc;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(jdoc_parse(bad[i], strlen(bad[i]), "d", &doc, &err) < 0, "refused: %s: %s", bad[i],
		   err.text);
	memset(deep, '[', sizeof(deep));
	is_int(jdoc_parse(deep, sizeof(deep), "d", &doc, &err), -EFBIG, "too deep");
	memset(many, ',', sizeof(many));
	is_int(jdoc_parse(many, sizeof(many), "d", &doc, &err), -EFBIG, "too many values");
	is_int(jdoc_parse(quoted, strlen(quoted), "d", &doc, &err), 0, "strings do not count");
	json_decref(doc);
}

static int kind(const char *text, const char *media_type)
{
	struct err err = ERR_INIT;
	enum manifest_kind k;
	json_t *doc;
	int r;

	if (jdoc_parse(text, strlen(text), "d", &doc, &err) < 0)
		bail("%s", err.text);
	r = manifest_kind_of(doc, media_type, "d", &k, &err);
	json_decref(doc);
	return r < 0 ? r : (int)k;
}

static void test_kinds(void)
{
	is_int(kind("{\"schemaVersion\":2,\"manifests\":[]}", ""), MANIFEST_INDEX, "index");
	is_int(kind("{\"schemaVersion\":2,\"layers\":[],\"config\":{}}", "text/plain"),
	       MANIFEST_IMAGE, "image");
	is_int(kind("{\"schemaVersion\":2,\"layers\":[],\"manifests\":[]}", ""), -EINVAL, "both");
	is_int(kind("{\"schemaVersion\":2}", MEDIA_OCI_MANIFEST), -EINVAL, "neither");
	is_int(kind("{\"schemaVersion\":2,\"layers\":[],\"mediaType\":\"" MEDIA_OCI_INDEX "\"}",
		    ""), -EINVAL, "an image that says it is an index");
	is_int(kind("{\"schemaVersion\":2,\"manifests\":[],\"mediaType\":\"" MEDIA_OCI_INDEX "\"}",
		    MEDIA_OCI_MANIFEST), -EINVAL, "not what was announced");
	is_int(kind("{\"schemaVersion\":2,\"manifests\":[]}", MEDIA_OCI_MANIFEST), -EINVAL,
	       "announced as an image");
	is_int(kind("{\"schemaVersion\":1,\"layers\":[]}", ""), -EOPNOTSUPP, "schema 1");
	is_int(kind("{\"layers\":[]}", ""), -EOPNOTSUPP, "no schema");
}

#define ENTRY(digest, platform) \
	"{\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"digest\":\"" digest \
	"\",\"size\":5,\"platform\":" platform "}"

static void choose_fit(enum manifest_fit fit, const char *list, const char *platform,
		       const char *want)
{
	struct oci_platform p;
	struct err err = ERR_INIT;
	struct oci_desc d;
	char text[2000], got[DIGEST_TEXT_SIZE] = "none";
	json_t *doc;

	snprintf(text, sizeof(text), "{\"schemaVersion\":2,\"manifests\":[%s]}", list);
	if (jdoc_parse(text, strlen(text), "d", &doc, &err) < 0 ||
	    oci_platform_parse(platform, &p, &err) < 0)
		bail("%s: %s", text, err.text);
	if (manifest_choose(doc, &p, fit, "d", NULL, &d, &err) == 0)
		digest_format(&d.digest, got);
	is_str(got, want, "%s%s %s", fit == MANIFEST_EXACT ? "just " : "", platform, err.text);
	json_decref(doc);
}

static void choose(const char *list, const char *platform, const char *want)
{
	choose_fit(MANIFEST_NEAREST, list, platform, want);
}

static void choose_exact(const char *list, const char *platform, const char *want)
{
	choose_fit(MANIFEST_EXACT, list, platform, want);
}

static void test_choose(void)
{
	static const char arms[] =
		ENTRY(D1, "{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v6\"}") ","
		ENTRY(D2, "{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"}") ","
		ENTRY(D3, "{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"}");

	choose(arms, "linux/arm/v7", D2);
	choose(arms, "linux/arm/v6", D1);
	choose(arms, "linux/arm/v5", "none");
	choose(arms, "linux/arm64", D3);
	choose(arms, "linux/arm64/v8", D3);
	choose(arms, "linux/amd64", "none");
	choose(arms, "windows/arm64", "none");
	choose(ENTRY(D1, "{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v6\"}"),
	       "linux/arm/v7", D1);
	choose(ENTRY(D1, "{\"os\":\"unknown\",\"architecture\":\"unknown\"}"), "linux/amd64", "none");
	choose(DESC(MEDIA_OCI_MANIFEST, D1), "linux/amd64", D1);
	choose(DESC(MEDIA_OCI_MANIFEST, D1) "," DESC(MEDIA_OCI_MANIFEST, D2), "linux/amd64", "none");
	choose(DESC("application/x", D1), "linux/amd64", "none");
	choose("3,null,\"x\",[]", "linux/amd64", "none");
	choose(ENTRY("sha256:12", "{\"os\":\"linux\",\"architecture\":\"amd64\"}"), "linux/amd64",
	       "none");
}

#define AMD64 "{\"os\":\"linux\",\"architecture\":\"amd64\"}"

static void test_spellings(void)
{
	static const char arms[] =
		ENTRY(D1, "{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v6\"}") ","
		ENTRY(D2, "{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"}");
	static const char names[] =
		ENTRY(D1, "{\"os\":\"Linux\",\"architecture\":\"x86_64\"}") ","
		ENTRY(D2, "{\"os\":\"linux\",\"architecture\":\"aarch64\",\"variant\":\"8\"}");

	choose(arms, "linux/arm", D2);
	choose(arms, "linux/armhf", D2);
	choose(arms, "linux/armel", D1);
	choose(names, "linux/amd64", D1);
	choose(names, "arm64", D2);
	choose(ENTRY(D1, "{\"os\":\"linux\",\"architecture\":\"arm\"}"), "linux/arm/v6", D1);
	choose(ENTRY(D1, "{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"}"),
	       "linux/arm64/v9", D1);
	choose_exact(arms, "linux/arm", D2);
	choose_exact(names, "linux/x86_64", D1);
	choose_exact(names, "linux/arm64/v8", D2);
}

#define V2 "{\"os\":\"linux\",\"architecture\":\"amd64\",\"variant\":\"v2\"}"
#define FEATURES(list) "{\"os\":\"linux\",\"architecture\":\"amd64\",\"os.features\":[" list "]}"

/* Where a person named the platform, no other will do. */
static void test_exact(void)
{
	static const char v6[] =
		ENTRY(D1, "{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v6\"}");

	choose(ENTRY(D1, AMD64), "linux/amd64/v3", D1);
	choose_exact(ENTRY(D1, AMD64), "linux/amd64/v3", "none");
	choose_exact(ENTRY(D1, AMD64), "linux/amd64/v1", D1);
	choose(v6, "linux/arm/v7", D1);
	choose_exact(v6, "linux/arm/v7", "none");
	choose(ENTRY(D1, V2), "linux/amd64", D1);
	choose_exact(ENTRY(D1, V2), "linux/amd64", "none");
	choose_exact(ENTRY(D1, V2) "," ENTRY(D2, AMD64), "linux/amd64", D2);
	choose(ENTRY(D1, FEATURES("\"x\"")), "linux/amd64", D1);
	choose_exact(ENTRY(D1, FEATURES("\"x\"")), "linux/amd64", "none");
	choose(ENTRY(D1, FEATURES("\"x\"")) "," ENTRY(D2, AMD64), "linux/amd64", D2);
	choose_exact(ENTRY(D1, "{\"os\":\"windows\",\"architecture\":\"amd64\","
			       "\"os.features\":[\"win32k\"]}"), "windows/amd64", D1);
	choose_exact(DESC(MEDIA_OCI_MANIFEST, D1), "linux/amd64", D1);
}

#define ARTIFACT(digest, type, more) \
	"{\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"digest\":\"" digest \
	"\",\"size\":5,\"artifactType\":\"" type "\"" more "}"

#define SBOM ARTIFACT(D1, "application/spdx", ",\"platform\":" AMD64)

static void test_artifacts(void)
{
	choose(ARTIFACT(D1, "application/spdx", ""), "linux/amd64", "none");
	choose(SBOM, "linux/amd64", D1);
	choose(SBOM "," ENTRY(D2, AMD64), "linux/amd64", D2);
	choose(ARTIFACT(D1, MEDIA_SOCI_V2, ",\"platform\":" AMD64), "linux/amd64", "none");
	choose(ARTIFACT(D1, MEDIA_SOCI_V1, ",\"platform\":" AMD64), "linux/amd64", "none");
	choose(ARTIFACT(D1, "", ""), "linux/amd64", D1);
	choose(ENTRY(D1, "{\"os\":\"linux\",\"architecture\":\"unknown\"}"), "linux/unknown", "none");
	choose(ENTRY(D1, AMD64 ",\"annotations\":{\"vnd.docker.reference.type\":\"x\"}"), "linux/amd64",
	       "none");
}

/* Does the image `have` stand for whoever wants the platform of `want`? */
static void same(const char *want, const char *have, bool is)
{
	char text[700];
	struct err err = ERR_INIT;
	json_t *doc;

	snprintf(text, sizeof(text), "{\"a\":{\"platform\":%s},\"b\":{\"platform\":%s}}", want, have);
	if (jdoc_parse(text, strlen(text), "d", &doc, &err) < 0)
		bail("%s", err.text);
	is_int(manifest_is_same_platform(json_object_get(doc, "a"), json_object_get(doc, "b")), is,
	       "%s for %s", have, want);
	json_decref(doc);
}

#define WINDOWS(more) "{\"os\":\"windows\",\"architecture\":\"amd64\"" more "}"
#define VERSION(v) WINDOWS(",\"os.version\":\"" v "\"")

static void test_same_platform(void)
{
	same(AMD64, "{\"os\":\"linux\",\"architecture\":\"x86_64\",\"variant\":\"v1\"}", true);
	same(AMD64, "{\"os\":\"linux\",\"architecture\":\"amd64\",\"os.version\":\"6\"}", true);
	same(AMD64, "{\"os\":\"linux\",\"architecture\":\"arm64\"}", false);
	same(AMD64, FEATURES("\"x\""), false);
	same(FEATURES("\"x\""), AMD64, true);
	same(FEATURES("\"x\",\"y\""), FEATURES("\"y\""), true);
	same(FEATURES("\"x\""), FEATURES("\"y\""), false);
	same(VERSION("10.0.17763.1"), VERSION("10.0.17763.1234"), true);
	same(VERSION("10.0.17763.1"), VERSION("10.0.20348.1"), false);
	same(VERSION("10.0.17763.1"), VERSION("10.0.17763"), true);
	same(VERSION("10.0.1776"), VERSION("10.0.17763"), false);
	same(WINDOWS(""), VERSION("10.0.17763.1"), true);
	same(WINDOWS(""), WINDOWS(",\"os.features\":[\"win32k\"]"), true);
	same("3", AMD64, false);
}

/* An image of two layers, D1 and D2, whose manifest is D3. */
static struct oci_image small_image(struct oci_layer layers[2])
{
	struct oci_image img = { .nlayers = 2, .layers = layers };

	memset(layers, 0, 2 * sizeof(*layers));
	digest_parse(D1, 71, &layers[0].desc.digest);
	digest_parse(D2, 71, &layers[1].desc.digest);
	digest_parse(D3, 71, &img.manifest.digest);
	layers[0].kind = layers[1].kind = OCI_LAYER_GZIP;
	return img;
}

#define ZTOC(digest, layer, type) \
	"{\"mediaType\":\"application/octet-stream\",\"digest\":\"" digest "\",\"size\":9," \
	"\"annotations\":{\"com.amazon.soci.image-layer-digest\":\"" layer "\"," \
	"\"com.amazon.soci.image-layer-mediaType\":\"" type "\"}}"
#define INDEX(config, rest) \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"config\":{\"mediaType\":\"" \
	config "\",\"digest\":\"" D1 "\",\"size\":2}," rest "}"
#define SUBJECT "\"subject\":" DESC(MEDIA_OCI_MANIFEST, D3)

static void soci(const char *text, int want, unsigned ztocs, const char *what)
{
	struct oci_layer layers[2];
	struct oci_image img = small_image(layers);
	struct err err = ERR_INIT;

	is_int(index_parse(text, strlen(text), "x", &img, &err), want, "%s: %s", what, err.text);
	is_int(layers[0].has_ztoc + layers[1].has_ztoc, ztocs, "%u zTOCs", ztocs);
}

static void test_index(void)
{
	soci(INDEX(MEDIA_SOCI_V2, "\"layers\":[" ZTOC(D3, D1, GZ) "," ZTOC(D2, D2, GZ) "]"), 0, 2,
	     "v2");
	soci(INDEX(MEDIA_SOCI_V1, "\"layers\":[" ZTOC(D3, D2, GZ) "]," SUBJECT), 0, 1, "v1, sparse");
	soci(INDEX(MEDIA_SOCI_V1, "\"layers\":[" ZTOC(D3, D2, GZ) "]"), -EINVAL, 0,
	     "v1 without subject");
	soci(INDEX(MEDIA_SOCI_V1, "\"layers\":[" ZTOC(D3, D2, GZ) "],\"subject\":"
		   DESC(MEDIA_OCI_MANIFEST, D1)), -EINVAL, 0, "another subject");
	soci(INDEX("application/x", "\"layers\":[" ZTOC(D3, D2, GZ) "]"), -EOPNOTSUPP, 0,
	     "another config type");
	soci(INDEX(MEDIA_SOCI_V2, "\"layers\":[" ZTOC(D3, D3, GZ) "]"), -EINVAL, 0,
	     "for layers of another image only");
	soci(INDEX(MEDIA_SOCI_V2, "\"layers\":[" ZTOC(D3, D3, GZ) "," ZTOC(D3, D1, GZ) "]"), 0, 1,
	     "for a layer that is not ours, too");
	soci(INDEX(MEDIA_SOCI_V2, "\"layers\":[" ZTOC(D3, D1, GZ) "," ZTOC(D2, D1, GZ) "]"), -EINVAL,
	     0, "two zTOCs for one layer");
	soci(INDEX(MEDIA_SOCI_V2, "\"layers\":[" ZTOC(D3, D1, GZ) "," ZTOC(D3, D1, GZ) "]"), 0, 1,
	     "the same twice");
	soci(INDEX(MEDIA_SOCI_V2, "\"layers\":[" ZTOC(D3, D1,
						      "application/vnd.oci.image.layer.v1.tar") "]"),
	     -EINVAL, 0, "another compression");
	soci(INDEX(MEDIA_SOCI_V2, "\"layers\":[" ZTOC("sha256:1", D1, GZ) "]"), -EINVAL, 0,
	     "malformed digest");
	soci(INDEX(MEDIA_SOCI_V2, "\"layers\":[" DESC("application/octet-stream", D1) "]"), -EINVAL, 0,
	     "no annotation");
	soci(INDEX(MEDIA_SOCI_V2, "\"layers\":[" DESC("application/x", D1) "," ZTOC(D3, D1, GZ) "]"), 0,
	     1, "an entry of a later version");
	soci(INDEX(MEDIA_SOCI_V2, "\"layers\":{}"), -EINVAL, 0, "layers is no array");
	soci("[]", -EINVAL, 0, "no object");
	soci("{}", -EINVAL, 0, "empty object");
}

/* Every index in the fixtures fits the image whose name it bears. */
static void test_fixture_indexes(void)
{
	static const char *const sets[] = { "soci-0.4.1-default", "soci-0.4.1-smallspan",
					    "soci-head-default", "soci-head-smallspan" };
	unsigned seen = 0;

	for (int i = 0; i < 4; i++) {
		char dir[100], path[400];
		struct dirent *de;
		DIR *d;

		snprintf(dir, sizeof(dir), "tests/fixtures/soci/index/%s", sets[i]);
		d = opendir(tap_src(dir));
		while (d && (de = readdir(d))) {
			char *dot = strstr(de->d_name, ".soci-index.json");
			struct oci_image img = { 0 };
			struct err err = ERR_INIT;
			struct digest soci_digest;
			struct buf m, x;
			bool has_soci;
			json_t *doc;

			if (!dot)
				continue;
			snprintf(path, sizeof(path), "tests/fixtures/soci/images/%.*s.manifest.json",
				 (int)(dot - de->d_name), de->d_name);
			if (access(tap_src(path), R_OK))
				continue;
			m = file(path);
			digest_of(m.data, m.len, &img.manifest.digest);
			snprintf(path, sizeof(path), "%s/%s", dir, de->d_name);
			x = file(path);
			ok(jdoc_parse(m.data, m.len, "m", &doc, &err) == 0 &&
			   manifest_parse_image(doc, "m", &img, &has_soci, &soci_digest, &err) == 0 &&
			   index_parse(x.data, x.len, path, &img, &err) == 0, "%s %s", path,
			   err.text);
			seen++;
			json_decref(doc);
			free(img.layers);
			buf_done(&m);
			buf_done(&x);
		}
		if (d)
			closedir(d);
	}
	ok(seen >= 20, "%u indexes seen", seen);
}

static void test_fixture_lists(void)
{
	struct buf b = file("tests/fixtures/soci/registry/fallback-tag-sha256-"
			    "430749d89e61796dbef5eecac1d5dbf02c350bea70e17274fb2411aea8921077.json");
	struct oci_desc cand[INDEX_MAX_CANDIDATES];
	struct err err;
	json_t *doc;

	if (jdoc_parse(b.data, b.len, "list", &doc, &err) < 0)
		bail("%s", err.text);
	is_int(index_candidates(doc, cand), 1, "the fallback tag has one SOCI index");
	is_int(cand[0].size, 2231, "of that size");
	json_decref(doc);
	buf_done(&b);
}

static int parse_config(const char *text)
{
	struct oci_layer layers[2];
	struct oci_image img = small_image(layers);
	struct err err = ERR_INIT;

	return manifest_parse_config(text, strlen(text), "c", &img, &err);
}

static void test_config(void)
{
	is_int(parse_config("{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[\"" D1
			    "\",\"" D2 "\"]}}"), 0, "config");
	is_int(parse_config("{\"rootfs\":{\"diff_ids\":[\"" D1 "\"]}}"), -EINVAL, "one diff_id short");
	is_int(parse_config("{\"rootfs\":{\"diff_ids\":[\"" D1 "\",3]}}"), -EINVAL, "not a digest");
	is_int(parse_config("{}"), -EINVAL, "no rootfs");
	is_int(parse_config("{\"os\":3,\"rootfs\":{\"diff_ids\":[\"" D1 "\",\"" D2 "\"]}}"), -EINVAL,
	       "os is a number");
	is_int(manifest_layer_kind(GZ), OCI_LAYER_GZIP, "kind: OCI gzip");
	is_int(manifest_layer_kind("application/vnd.docker.image.rootfs.diff.tar.gzip"),
	       OCI_LAYER_GZIP, "kind: docker gzip");
	is_int(manifest_layer_kind("application/vnd.oci.image.layer.v1.tar+zstd"), OCI_LAYER_ZSTD,
	       "kind: zstd");
	is_int(manifest_layer_kind("application/vnd.oci.image.layer.v1.tar"), OCI_LAYER_TAR,
	       "kind: tar");
	is_int(manifest_layer_kind("application/x.tar+gzip"), OCI_LAYER_OTHER, "kind: other");
}

int main(void)
{
	test_json();
	test_kinds();
	test_choose();
	test_spellings();
	test_exact();
	test_artifacts();
	test_same_platform();
	test_index();
	test_fixture_indexes();
	test_fixture_lists();
	test_config();
	return tap_done();
}
