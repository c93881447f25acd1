/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * index_copy_test.c - an image with its SOCI indexes from one registry to another: what a
 * source that lies can have copied, what is left out, and whose fault a failure is.
 */
#include "tests/unit/tap.h"

#include "tests/tools/registry.h"

#include "index/copy.h"

#define MAIN "sha256:430749d89e61796dbef5eecac1d5dbf02c350bea70e17274fb2411aea8921077"
/* An index of it whose zTOCs are not all among the fixtures. */
#define HEAD_DEFAULT \
	"sha256:0254f0d1f28dc04acfcf3cf4fa71c57ded1436e9aa0fcea6a23e2183e2711e78"
/* An image that has nothing to do with it. */
#define OTHER_SUBJECT "sha256:1111111111111111111111111111111111111111111111111111111111111111"

static struct registry from, to;
static struct oci_client *c;
static struct copy_stats stats;
static const struct oci_opts opts = { .docker_config = "/nonexistent",
				      .hosts_dirs = "/nonexistent", .retries = 1 };

/* A new pair of registries: what is at the destination must not depend on the test before. */
static void begin(void)
{
	struct err err = ERR_INIT;

	from = registry_start("--content", tap_src("tests/fixtures/soci"), "--tag",
			      "fix/main:latest=" MAIN, NULL);
	to = registry_start("--content", "/nonexistent", NULL);
	if (oci_client_new(&opts, NULL, &c, &err) < 0)
		bail("client: %s", err.text);
}

static void end(void)
{
	oci_client_free(c);
	registry_stop(&from);
	registry_stop(&to);
}

static int copy(struct err *err)
{
	const struct copy_opts copts = { .client = &opts };
	struct oci_ref src, dst;
	struct oci_desc top;
	char text[128];

	snprintf(text, sizeof(text), "127.0.0.1:%d/fix/main:latest", from.port);
	oci_ref_parse(text, &src, err);
	snprintf(text, sizeof(text), "127.0.0.1:%d/copy/main:1", to.port);
	oci_ref_parse(text, &dst, err);
	return copy_image(c, &src, &dst, &copts, &stats, &top, err);
}

static bool has(const char *digest)
{
	char body[128];

	snprintf(body, sizeof(body), "{\"digest\": \"%s\"}", digest);
	return !strncmp(registry_ctl(&to, "has", body), "true", 4);
}

static void test_plain(void)
{
	struct err err = ERR_INIT;
	uint32_t all;

	begin();
	is_int(copy(&err), 0, "an image with its indexes %s", err.text);
	all = stats.indexes + stats.incomplete;
	ok(stats.indexes > 0 && stats.images == 1, "%u indexes, %u not complete", stats.indexes,
	   stats.incomplete);
	end();
	begin();
	registry_ctl(&from, "drop", "{\"digest\":\"" HEAD_DEFAULT "\"}");
	is_int(copy(&err), 0, "again, one index is not there any more %s", err.text);
	is_int(stats.indexes + stats.incomplete, all - 1, "then it is not missed");
	end();
}

/* The source lists for our image an index that was made for another one. */
static void test_other_subject(void)
{
	static const char doc[] =
		"{\\\"schemaVersion\\\":2,\\\"mediaType\\\":"
		"\\\"application/vnd.oci.image.manifest.v1+json\\\",\\\"config\\\":{\\\"mediaType\\\":"
		"\\\"application/vnd.amazon.soci.index.v1+json\\\",\\\"digest\\\":\\\"sha256:44136fa355b3678a"
		"1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\\\",\\\"size\\\":2},\\\"layers\\\":[],"
		"\\\"subject\\\":{\\\"mediaType\\\":\\\"application/vnd.oci.image.manifest.v1+json\\\","
		"\\\"digest\\\":\\\"" OTHER_SUBJECT "\\\",\\\"size\\\":9}}";
	struct err err = ERR_INIT;
	char body[1024], digest[80];
	uint32_t good, bad;

	begin();
	copy(&err);
	good = stats.indexes;
	bad = stats.incomplete;
	end();
	begin();
	snprintf(body, sizeof(body), "{\"text\": \"%s\"}", doc);
	snprintf(digest, sizeof(digest), "%.71s", registry_ctl(&from, "add", body) + 1);
	snprintf(body, sizeof(body), "{\"referrers_lie\": \"%s\"}", digest);
	registry_ctl(&from, "set", body);
	is_int(copy(&err), 0, "a source that lists another image's index %s", err.text);
	is_int(stats.indexes, good, "its own indexes come along");
	is_int(stats.incomplete, bad + 1, "the other is left out");
	ok(!has(digest), "and is not at the destination");
	is_int(registry_count(&to, "sha256-1111"), 0, "nothing is attached to the other image");
	end();
}

/* A zTOC is spoilt at the source: its index stays behind. At the destination: a failure. */
static void test_whose_fault(void)
{
	struct err err = ERR_INIT;
	uint32_t good;

	begin();
	copy(&err);
	good = stats.indexes;
	end();
	begin();
	registry_ctl(&from, "fault", "{\"match\":\"GET .*/blobs/sha256:a5482a105a73\",\"do\":"
		     "\"corrupt\",\"at\":100,\"times\":-1}");
	is_int(copy(&err), 0, "a spoilt zTOC does not stop the image %s", err.text);
	ok(stats.indexes < good && stats.images == 1, "but its indexes: %u of %u", stats.indexes,
	   good);
	ok(has(MAIN), "the image is there");
	end();
	begin();
	registry_ctl(&to, "fault", "{\"match\":\"^PUT .*digest=sha256%3Aa5482a105a73\",\"do\":"
		     "\"status\",\"status\":404,\"times\":-1}");
	is_int(copy(&err), -ENOENT, "a destination that refuses the zTOC: %s", err.text);
	ok(!has(MAIN), "no image is there without what it should have");
	end();
}

int main(void)
{
	test_plain();
	test_other_subject();
	test_whose_fault();
	return tap_done();
}
