/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pause_test.c - reads that are paused and go on: time does not count while they are, and
 * what their receiver says of bytes that were held back is heard.
 */
#include "tests/unit/tap.h"

#include "tests/tools/registry.h"
#include "tests/oci/lab.h"

#define BLOB_BYTES 1000000

static struct registry reg;
static struct lab lab;
static struct oci_repo *repo;

static struct oci_desc begin(uint32_t stall_ms)
{
	const struct oci_opts opts = { .docker_config = "/nonexistent",
				       .hosts_dirs = "/nonexistent", .no_retries = true,
				       .stall_timeout_ms = stall_ms };
	struct oci_desc desc = { .size = BLOB_BYTES };
	struct err err = ERR_INIT;
	struct oci_ref ref;
	char text[64];

	registry_ctl(&reg, "reset", "{}");
	snprintf(text, sizeof(text), "{\"random\": %d}", BLOB_BYTES);
	if (digest_parse(registry_ctl(&reg, "add", text) + 1, 71, &desc.digest) < 0)
		bail("no digest");
	lab_open(&lab, true, &opts);
	snprintf(text, sizeof(text), "127.0.0.1:%d/a/b", reg.port);
	if (oci_ref_parse(text, &ref, &err) < 0 || oci_repo_get(lab.c, &ref, &repo, &err) < 0)
		bail("%s", err.text);
	return desc;
}

static void end(struct got *g)
{
	got_reset(g);
	oci_repo_put(repo);
	lab_close(&lab);
}

/* Paused before its answer came, for five stall time-outs. */
static void test_paused_head(void)
{
	struct oci_desc desc = begin(300);
	struct got g = { .done = false };

	if (lab_start(repo, &desc, 0, 300000, 0, &g) < 0)
		bail("%s", g.err.text);
	oci_req_pause(g.req, true);
	lab_spin(&lab, 1500);
	if (ok(!g.done, "a paused read waits, however long: %s", g.err.text)) {
		oci_req_pause(g.req, false);
		lab_wait(&lab, &g.done);
	}
	is_int(g.err.num, 0, "and goes on then %s", g.err.text);
	is_int((long)g.b.len, 300000, "to its end");
	is_int(registry_count(&reg, "GET .*blobs"), 1, "in one request");
	end(&g);
}

/* Each piece pauses the read; it goes on a moment later. */
static int pause_after(struct got *g)
{
	oci_req_pause(g->req, true);
	return 0;
}

static void go_on(struct got *g)
{
	while (!g->done) {
		lab_spin(&lab, 5);
		if (!g->done)
			oci_req_pause(g->req, false);
	}
}

/* 200 to a range is cut by us, perhaps among the bytes that were held back. */
static void test_cut(void)
{
	struct oci_desc desc = begin(60000);
	struct got g = { .hook = pause_after };

	registry_ctl(&reg, "fault", "{\"match\":\"GET .*blobs\",\"do\":\"no-range\"}");
	if (lab_start(repo, &desc, 0, 300000, 0, &g) < 0)
		bail("%s", g.err.text);
	go_on(&g);
	is_int(g.err.num, 0, "the whole blob to a range, in pauses %s", g.err.text);
	is_int((long)g.b.len, 300000, "cut where it was wanted");
	end(&g);
}

/* The receiver fails on bytes that were held back: it is not asked again. */
static unsigned calls_after;

static int fail_later(struct got *g)
{
	if (g->hook_arg)
		calls_after++;
	if (g->b.len >= 400000) {
		g->hook_arg = g;
		return -ENOSPC;
	}
	return pause_after(g);
}

static void test_refused(void)
{
	struct oci_desc desc = begin(60000);
	struct got g = { .hook = fail_later };

	if (lab_start(repo, &desc, 0, 900000, 0, &g) < 0)
		bail("%s", g.err.text);
	go_on(&g);
	is_int(-g.err.num, -ENOSPC, "a receiver that fails: %s", g.err.text);
	is_int(calls_after, 0, "is not called again");
	end(&g);
}

int main(void)
{
	reg = registry_start("--content", "/nonexistent", NULL);
	test_paused_head();
	test_cut();
	test_refused();
	registry_stop(&reg);
	return tap_done();
}
