/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fill path over the registry client on the event loop, against the scripted registry:
 * truth of every byte, and faults that the client hides or that reach the reader as EIO.
 */
#include <fcntl.h>

#include "daemon/fill/fetch.h"
#include "daemon/fill/sources.h"
#include "tests/func/fill_bed.h"
#include "tests/unit/tap.h"

#include "tests/tools/registry.h"

static struct registry reg;
static struct bed b;
static struct fetch *fetch;
static struct bed_layer base;

static struct layer *begin(const struct conductor_opts *opts)
{
	struct oci_opts oo = { .stall_timeout_ms = 1000, .retries = 3 };
	struct oci_desc desc = { .size = base.comp_size };
	struct err err = ERR_INIT;
	struct oci_repo *repo;
	struct oci_ref ref;
	struct source *s;
	char text[64];

	registry_ctl(&reg, "reset", "{}");
	bed_init(&b, opts);
	digest_of(base.comp, base.comp_size, &desc.digest);
	snprintf(text, sizeof(text), "127.0.0.1:%d/test/base:latest", reg.port);
	if (fetch_new(b.loop, &oo, &fetch, &err) < 0 || oci_ref_parse(text, &ref, &err) < 0 ||
	    oci_repo_get(fetch_client(fetch), &ref, &repo, &err) < 0 ||
	    source_registry_new(repo, &desc, text, &s, &err) < 0)
		bail("%s", err.text);
	return bed_add(&b, &base, s, NULL);
}

static bool end(struct layer *l)
{
	bed_remove(&b, l);
	fetch_free(fetch);
	return bed_done(&b) == 0;
}

static void test_whole(void)
{
	struct layer *l = begin(NULL);
	uint64_t blob = l->map->blob_size;

	for (uint64_t i = 0; i < 40; i++)
		fake_read(&b.fake, l, i * 7919 * 4096 % (blob - 4096), 4096);
	fake_read(&b.fake, l, 0, blob);
	bed_settle(&b);
	is_int(b.fake.answered_error, 0, "reads at once, all over the layer");
	ok(layer_is_complete(l) && end(l), "every byte is right");
}

static void test_background(void)
{
	struct conductor_opts opts = {
		.memory_max_bytes = 16u << 20, .spool_bytes = 1u << 20, .deadline_ms = 20000,
		.max_jobs = 4, .background_jobs = 2, .background_rate = 20u << 20,
	};
	struct layer *l = begin(&opts);

	conductor_background_set(b.conductor, l, true);
	ok(bed_until_complete(&b, l), "background fill, limited in rate");
	ok(end(l), "every byte is right");
}

/* One fault; does a read of the whole layer get through? */
static void test_fault(const char *rule, bool through, const char *what)
{
	struct layer *l = begin(NULL);

	registry_ctl(&reg, "fault", rule);
	fake_read(&b.fake, l, 0, 8192);
	bed_settle(&b);
	is_int(b.fake.answered_ok, through, "%s: %s", what, through ? "hidden" : "EIO");
	registry_ctl(&reg, "reset", "{}");
	fake_read(&b.fake, l, 0, l->map->blob_size);
	bed_settle(&b);
	is_int(b.fake.answered_ok, through + 1, "%s: served when it is over", what);
	ok(end(l), "%s: every byte is right", what);
}

static void test_stop_under_way(void)
{
	struct layer *l = begin(NULL);

	registry_ctl(&reg, "fault", "{\"match\": \"GET .*blobs\", \"do\": \"stall-body\", "
		     "\"after\": 100, \"seconds\": 5}");
	fake_read(&b.fake, l, 0, 4096);
	bed_turns(&b, 20);
	conductor_free(b.conductor);
	b.conductor = NULL;
	is_int(b.fake.answered_error, 1, "stopped while a read is under way: EIO");
	fake_layer_done(l);
	layer_free(l);
	fetch_free(fetch);
	ok(bed_done(&b) == 0, "and no byte is wrong");
}

int main(void)
{
	if (bed_layer_load("soci-0.4.1-smallspan", "base", &base) < 0)
		bail("no fixture");
	reg = registry_start("--content", tap_src("tests/fixtures/soci/layers"), NULL);
	test_whole();
	test_background();
	test_fault("{\"match\": \"GET .*blobs\", \"do\": \"reset\", \"times\": 1}", true, "a reset");
	test_fault("{\"match\": \"GET .*blobs\", \"do\": \"short\", \"after\": 5000, \"times\": 1}",
		   true, "a short body");
	test_fault("{\"match\": \"GET .*blobs\", \"do\": \"no-range\", \"times\": -1}", true,
		   "a registry without ranges");
	test_fault("{\"match\": \"GET .*blobs\", \"do\": \"corrupt\", \"at\": 777, \"times\": 1}",
		   true, "one wrong byte, once");
	test_fault("{\"match\": \"GET .*blobs\", \"do\": \"corrupt\", \"at\": 777, \"times\": -1}",
		   false, "one wrong byte, always");
	test_fault("{\"match\": \"GET .*blobs\", \"do\": \"status\", \"status\": 404, \"times\": -1}",
		   false, "a blob that is gone");
	test_stop_under_way();
	registry_stop(&reg);
	bed_layer_done(&base);
	return tap_done();
}
