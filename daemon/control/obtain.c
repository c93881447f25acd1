/* SPDX-License-Identifier: GPL-2.0-or-later */
/* obtain.c - see obtain.h. Loop thread; the *_work functions run on the pool. */
#include "daemon/control/obtain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/control/child.h"
#include "daemon/log.h"
#include "daemon/programs.h"
#include "daemon/resolve/resolve.h"
#include "oci/image.h"

#define MKFS_EXIT_NOT_LAZY 3

struct obtain {
	struct obtain_opts opts;
	struct obtain_request req;
	struct pool_job job;
	struct child *child;
	bool cancelled;
	char staging[STORE_STAGING_SIZE];	/* "": none */
	struct image_record *rec;	/* found or resolved */
	bool complete;			/* rec is installed with all its parts */
	uint64_t started_ms;
	struct err err;
	int result;
};

static void say(struct obtain *o, const char *text)
{
	if (o->opts.progress && !o->cancelled)
		o->opts.progress(o->opts.arg, text);
}

static void on_pool(struct obtain *o, void (*work)(struct pool_job *),
		    void (*done)(struct pool_job *))
{
	o->job = (struct pool_job){ .work = work, .done = done, .prio = POOL_FAULT };
	pool_submit(o->opts.pool, &o->job);
}

/* --- the end ------------------------------------------------------------------------- */

static void finish_done(struct pool_job *job)
{
	struct obtain *o = container_of(job, struct obtain, job);
	struct obtain_opts opts = o->opts;
	struct err err = o->err;
	struct image_record *rec = TAKE_PTR(o->rec);

	if (o->cancelled)
		o->result = err_set(&err, ERR_SYSTEM, ECANCELED, "interrupted");
	if (o->result < 0) {
		image_record_free(rec);
		rec = NULL;
	}
	free(o);
	opts.done(opts.arg, rec, rec ? NULL : &err);
}

static void finish_work(struct pool_job *job)
{
	struct obtain *o = container_of(job, struct obtain, job);

	if (o->staging[0])
		store_staging_remove(o->staging);
}

static void finish(struct obtain *o)
{
	on_pool(o, finish_work, finish_done);
}

static void fail(struct obtain *o)
{
	o->result = o->err.num ? -o->err.num : -EIO;
	finish(o);
}

/* --- mkfs and install ------------------------------------------------------------------ */

static void install_done(struct pool_job *job)
{
	finish(container_of(job, struct obtain, job));
}

static void install_work(struct pool_job *job)
{
	struct obtain *o = container_of(job, struct obtain, job);

	o->result = store_image_install(o->opts.store, o->staging, o->rec, &o->err);
}

static void mkfs_exited(void *arg, const struct child_result *r)
{
	struct obtain *o = arg;

	o->child = NULL;
	if (r->exit_code == 0 && !o->cancelled) {
		on_pool(o, install_work, install_done);
		return;
	}
	if (r->exit_code == MKFS_EXIT_NOT_LAZY)
		err_set(&o->err, ERR_UNSUPPORTED, EOPNOTSUPP,
			"this image cannot be served lazily: %s (pull it the ordinary way)",
			r->error);
	else if (r->timed_out)
		err_set(&o->err, ERR_SYSTEM, ETIMEDOUT,
			"mkfs.lazyerofs took more than %u s (mkfs_timeout_s)",
			o->opts.config->mkfs_timeout_s);
	else
		err_set(&o->err, ERR_CORRUPT, EBADMSG, "%s",
			r->error[0] ? r->error : "mkfs.lazyerofs failed");
	fail(o);
}

/* STAGING/N.ztoc becomes STAGING/N.map; a zTOC that was in the cache is read there. */
static int mkfs_start(struct obtain *o)
{
	uint32_t n = o->rec->nlayers;
	char program[PROGRAMS_PATH_SIZE], out[STORE_PATH_SIZE + 16], seconds[16];
	cleanup_free char (*paths)[STORE_PATH_SIZE] = calloc(2 * (size_t)n + 1, sizeof(*paths));
	cleanup_free const char **argv = calloc(3 * (size_t)n + 12, sizeof(*argv));
	const struct child_opts opts = {
		.argv = argv,
		.timeout_ms = (o->opts.config->mkfs_timeout_s + 5) * 1000,
		.exited = mkfs_exited,
		.arg = o,
	};
	size_t k = 0;

	if (!paths || !argv)
		return err_sys(&o->err, ENOMEM, "mkfs.lazyerofs");
	if (programs_find("mkfs.lazyerofs", program, &o->err) < 0)
		return -ENOENT;
	snprintf(out, sizeof(out), "%s/bootstrap", o->staging);
	snprintf(seconds, sizeof(seconds), "%u", o->opts.config->mkfs_timeout_s);
	argv[k++] = program;
	argv[k++] = "--kernel-path";
	argv[k++] = store_kernel_path(o->opts.store);
	argv[k++] = "--timeout";
	argv[k++] = seconds;
	argv[k++] = "-o";
	argv[k++] = out;
	for (uint32_t i = 0; i < n; i++) {
		snprintf(paths[i], sizeof(*paths), "%s/%u.map", o->staging, i);
		argv[k++] = "--map";
		argv[k++] = paths[i];
	}
	for (uint32_t i = 0; i < n; i++) {
		store_ztoc_path(o->opts.store, o->staging, i, &o->rec->layers[i], paths[n + i]);
		argv[k++] = paths[n + i];
	}
	say(o, "making the file system");
	return child_start(o->opts.loop, &opts, &o->child, &o->err);
}

/* --- what the resolver left -------------------------------------------------------------- */

static void inspect_done(struct pool_job *job)
{
	struct obtain *o = container_of(job, struct obtain, job);

	if (o->result < 0 || o->complete || o->cancelled)
		finish(o);
	else if (mkfs_start(o) < 0)
		fail(o);
}

static void inspect_work(struct pool_job *job)
{
	struct obtain *o = container_of(job, struct obtain, job);

	o->result = store_staging_record(o->staging, &o->rec, &o->err);
	if (o->result < 0)
		return;
	if (o->rec->nlayers == 0) {
		o->result = err_set(&o->err, ERR_UNSUPPORTED, EOPNOTSUPP,
				    "the image has no layers");
		return;
	}
	o->complete = store_image_is_complete(o->opts.store, o->rec, NULL) == 1;
	if (o->complete)	/* the newest reference counts: its registry is the one in use */
		o->result = store_record_write(o->opts.store, o->rec, &o->err);
}

/* --- the resolver ------------------------------------------------------------------------ */

static void local_done(struct pool_job *job)
{
	struct obtain *o = container_of(job, struct obtain, job);
	char text[CHILD_LINE_MAX + 128];

	if (o->rec) {
		snprintf(text, sizeof(text), "%s; using the image that this name meant last",
			 o->err.text);
		log_warning("%s: %s", o->req.reference, text);
		say(o, text);
		o->result = 0;
	}
	finish(o);
}

static void local_work(struct pool_job *job)
{
	struct obtain *o = container_of(job, struct obtain, job);

	if (store_image_find(o->opts.store, o->req.reference, o->req.platform, &o->rec, NULL) < 0)
		o->rec = NULL;
}

static void resolver_failed(struct obtain *o, const struct child_result *r)
{
	enum err_kind kind = ERR_SYSTEM;

	if (r->exit_code > RESOLVE_EXIT_KIND)
		kind = (enum err_kind)(r->exit_code - RESOLVE_EXIT_KIND);
	if (r->exit_code == RESOLVE_EXIT_NO_INDEX)
		kind = ERR_UNSUPPORTED;
	if (r->timed_out) {
		kind = ERR_NETWORK;
		err_set(&o->err, kind, ETIMEDOUT, "the registry took more than %u s "
			"(resolve_timeout_s)", o->opts.config->resolve_timeout_s);
	} else {
		err_set(&o->err, kind, kind == ERR_UNSUPPORTED ? EOPNOTSUPP : EIO, "%s",
			r->error[0] ? r->error : "lazyerofs-resolve failed");
	}
	if (kind == ERR_NETWORK && !o->cancelled && !o->req.index[0]) {
		o->result = -o->err.num;
		on_pool(o, local_work, local_done);
		return;
	}
	fail(o);
}

static void resolver_exited(void *arg, const struct child_result *r)
{
	struct obtain *o = arg;

	o->child = NULL;
	if (r->exit_code == 0 && !o->cancelled)
		on_pool(o, inspect_work, inspect_done);
	else
		resolver_failed(o, r);
}

static void resolver_line(void *arg, const char *line)
{
	if (strncmp(line, "progress ", 9) == 0)
		say(arg, line + 9);
}

static int resolver_start(struct obtain *o)
{
	const struct config *c = o->opts.config;
	char program[PROGRAMS_PATH_SIZE];
	const char *argv[32];
	size_t n = 0;
	const struct child_opts opts = {
		.argv = argv,
		.timeout_ms = c->resolve_timeout_s * 1000,
		.line = resolver_line,
		.exited = resolver_exited,
		.arg = o,
	};
	const char *const texts[][2] = {
		{ "--staging", o->staging },
		{ "--cache", store_dir(o->opts.store) },
		{ "--platform", o->req.platform },
		{ "--index", o->req.index },
		{ "--docker-config", c->docker_config },
		{ "--hosts-dirs", c->hosts_dirs },
		{ "--ca-file", c->ca_file },
		{ "--plain-http", c->plain_http },
	};

	if (programs_find("lazyerofs-resolve", program, &o->err) < 0)
		return -ENOENT;
	argv[n++] = program;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (!texts[i][1][0])
			continue;
		argv[n++] = texts[i][0];
		argv[n++] = texts[i][1];
	}
	argv[n++] = "--unindexed";
	argv[n++] = c->unindexed == CONFIG_UNINDEXED_BUILD ? "build" : "refuse";
	if (o->req.build_index)
		argv[n++] = "--build-index";
	argv[n++] = "--";
	argv[n++] = o->req.reference;
	argv[n] = NULL;
	return child_start(o->opts.loop, &opts, &o->child, &o->err);
}

static void begin_done(struct pool_job *job)
{
	struct obtain *o = container_of(job, struct obtain, job);

	if (o->result < 0 || o->complete || o->cancelled)
		finish(o);
	else if (resolver_start(o) < 0)
		fail(o);
}

static void begin_work(struct pool_job *job)
{
	struct obtain *o = container_of(job, struct obtain, job);
	struct oci_ref ref;

	if (oci_ref_parse(o->req.reference, &ref, NULL) == 0 && ref.has_digest &&
	    !o->req.index[0] &&
	    store_image_find(o->opts.store, o->req.reference, o->req.platform, &o->rec, NULL) == 0)
		o->complete = true;
	else
		o->result = store_staging_new(o->opts.store, o->staging, &o->err);
}

int obtain_start(const struct obtain_opts *opts, const struct obtain_request *req,
		 struct obtain **ret, struct err *err)
{
	struct obtain *o = calloc(1, sizeof(*o));
	struct oci_platform p;
	struct oci_ref ref;
	int r;

	if (!o)
		return err_sys(err, ENOMEM, "obtain");
	o->opts = *opts;
	o->req = *req;
	/* One spelling for what is looked up in records. */
	r = oci_ref_parse(req->reference, &ref, err);
	if (r == 0 && req->platform[0])
		r = oci_platform_parse(req->platform, &p, err);
	else
		oci_platform_host(&p);
	if (r < 0) {
		free(o);
		return r;
	}
	oci_platform_normalize(&p);
	oci_ref_format(&ref, o->req.reference, sizeof(o->req.reference));
	snprintf(o->req.platform, sizeof(o->req.platform), "%s/%s%s%s", p.os, p.arch,
		 p.variant[0] ? "/" : "", p.variant);
	on_pool(o, begin_work, begin_done);
	*ret = o;
	return 0;
}

void obtain_cancel(struct obtain *o)
{
	o->cancelled = true;
	if (o->child)
		child_kill(o->child);
}
