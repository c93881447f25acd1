/* SPDX-License-Identifier: GPL-2.0-or-later */
/* daemon.c - start and stop of the daemon's parts; see daemon.h. Main thread. */
#include "daemon/daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/fill/sources.h"
#include "daemon/log.h"
#include "daemon/sandbox.h"

/* --- where bytes come from ---------------------------------------------------------------- */

/* A layer that was fetched whole is read here; all others from their registry. */
static int source_make(void *arg, const struct oci_ref *ref, const struct oci_desc *desc,
		       int blob_fd, struct source **ret, struct err *err)
{
	struct daemon *d = arg;
	char name[IMAGE_RECORD_REF_SIZE], digest[DIGEST_TEXT_SIZE];
	char label[sizeof(name) + sizeof(digest) + 16];
	struct oci_repo *repo;
	int r;

	oci_ref_format(ref, name, sizeof(name));
	digest_format(&desc->digest, digest);
	snprintf(label, sizeof(label), "layer %s of %s", digest, name);
	if (blob_fd >= 0)
		return source_file_new(blob_fd, label, d->pool, ret, err);
	r = oci_repo_get(fetch_client(d->fetch), ref, &repo, err);
	if (r < 0)
		return r;
	return source_registry_new(repo, desc, label, ret, err);
}

static int fetch_start(struct daemon *d, struct err *err)
{
	const struct config *c = &d->config;
	const struct oci_opts opts = {
		.docker_config = c->docker_config[0] ? c->docker_config : NULL,
		.hosts_dirs = c->hosts_dirs[0] ? c->hosts_dirs : NULL,
		.ca_file = c->ca_file[0] ? c->ca_file : NULL,
		.plain_http = c->plain_http[0] ? c->plain_http : NULL,
	};

	return fetch_new(d->loop, &opts, &d->fetch, err);
}

/* --- start -------------------------------------------------------------------------------- */

static int conductor_start(struct daemon *d, struct err *err)
{
	const struct config *c = &d->config;
	const struct conductor_opts opts = {
		.loop = d->loop,
		.pool = d->pool,
		.spool_dirfd = d->spool_dirfd,
		.memory_max_bytes = (uint64_t)c->memory_mb << 20,
		.spool_bytes = (uint64_t)c->spool_mb << 20,
		.deadline_ms = c->deadline_ms,
		.max_jobs = c->jobs,
		.background_jobs = c->background_jobs,
		.background_rate = (uint64_t)c->background_rate_kb << 10,
		.sync_ms = c->sync_ms,
	};

	return conductor_new(&opts, &d->conductor, err);
}

static void mounts_changed(void *arg)
{
	struct daemon *d = arg;

	if (d->images)
		images_mounts_changed(d->images, d->mounts);
}

static int images_start(struct daemon *d, struct err *err)
{
	const struct layers_opts lopts = {
		.loop = d->loop, .pool = d->pool, .conductor = d->conductor,
		.transport = d->transport, .store = d->store, .source_make = source_make,
		.source_arg = d, .background = d->config.background,
	};
	struct images_opts iopts = {
		.loop = d->loop, .pool = d->pool, .transport = d->transport,
		.store = d->store, .domain = d->config.domain,
	};
	int r = layers_new(&lopts, &d->layers, err);

	if (r < 0)
		return r;
	iopts.layers = d->layers;
	r = images_new(&iopts, &d->images, err);
	if (r == 0)
		r = mounts_new(d->loop, d->config.dir, mounts_changed, d, &d->mounts, err);
	return r;
}

/* Twice in each period; a loop that hangs says nothing, and is killed and restarted. */
static void alive_fired(struct loop_timer *t)
{
	struct daemon *d = container_of(t, struct daemon, alive);

	notify_watchdog();
	loop_timer_set(d->loop, t, io_now_ms() + notify_watchdog_ms() / 2);
}

int daemon_start(struct daemon *d, struct err *err)
{
	int r;

	d->started_ms = io_now_ms();
	setup_limits();
	r = setup_folders(d, err);
	if (r == 0)
		r = loop_new(&d->loop, err);
	if (r == 0)
		r = setup_kernel(d, err);
	if (r == 0)
		r = sandbox_daemon(err);
	if (r == 0)
		r = pool_new(d->loop, d->config.threads, &d->pool, err);
	if (r == 0)
		r = store_open(d->config.dir, d->transport->ops->name, &d->store, err);
	if (r == 0)
		r = fetch_start(d, err);
	if (r == 0)
		r = conductor_start(d, err);
	if (r == 0)
		r = images_start(d, err);
	if (r < 0)
		return r;
	restore_images(d);
	r = d->transport->ops->start(d->transport, d->conductor, err);
	if (r < 0)
		return r;
	d->serving = true;
	d->alive.fired = alive_fired;
	if (notify_watchdog_ms())
		alive_fired(&d->alive);
	return admin_new(d->loop, d->config.run_dir, daemon_commands, d, &d->admin, err);
}

/* --- stop --------------------------------------------------------------------------------- */

/* Turn the loop until it holds; what never comes must not keep us for ever. */
static bool turn_until(struct daemon *d, bool (*holds)(struct daemon *d), uint32_t ms)
{
	uint64_t end = io_now_ms() + ms;

	while (!holds(d)) {
		if (io_now_ms() >= end || loop_turn(d->loop, 100, NULL) < 0)
			return false;
	}
	return true;
}

static bool admin_idle(struct daemon *d)
{
	return admin_is_idle(d->admin);
}

static bool images_gone(struct daemon *d)
{
	return images_is_empty(d->images) && layers_is_empty(d->layers);
}

void daemon_stop(struct daemon *d)
{
	bool clean = true;

	if (d->admin) {
		admin_stop(d->admin);
		clean = turn_until(d, admin_idle, 20000);
	}
	if (d->serving)
		d->transport->ops->stop(d->transport);
	if (d->images) {
		images_close_all(d->images);
		clean = clean && turn_until(d, images_gone, 60000);
	}
	if (!clean) {
		/* State on disk is safe at any moment; half of memory is not worth the risk. */
		log_warning("stopping took too long: leaving without the rest");
		_exit(0);
	}
	loop_timer_del(&d->alive);
	admin_free(d->admin);
	mounts_free(d->mounts);
	images_free(d->images);
	layers_free(d->layers);
	conductor_free(d->conductor);
	fetch_free(d->fetch);
	if (d->loop)
		loop_turn(d->loop, 0, NULL);
	pool_free(d->pool);
	if (d->loop)
		loop_turn(d->loop, 0, NULL);
	if (d->transport)
		d->transport->ops->free(d->transport);
	store_close(d->store);
	guardian_close(d->guardian);
	notify_fds_free(d->fds);
	loop_free(d->loop);
	if (d->spool_dirfd >= 0)
		close(d->spool_dirfd);
	if (d->lock_fd >= 0)
		close(d->lock_fd);
}

/* --- reload -------------------------------------------------------------------------------- */

static void reload_ignored(void *arg, const struct config_key *key)
{
	(void)arg;
	log_warning("reload: %s changes with the next start only", key->name);
}

void daemon_reload(struct daemon *d)
{
	struct config *fresh = malloc(sizeof(*fresh));
	struct err err = ERR_INIT;

	if (!d->config_path || !fresh) {
		log_warning("reload: there is no configuration file");
	} else if (config_load(fresh, d->config_path, &err) < 0) {
		log_error("reload: %s: everything stays as it is", err.text);
	} else {
		config_reload(&d->config, fresh, reload_ignored, d);
		log_set_level((enum log_level)d->config.log_level);
		layers_background_set(d->layers, d->config.background);
		log_info("configuration reloaded");
	}
	free(fresh);
}
