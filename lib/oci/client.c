/* SPDX-License-Identifier: GPL-2.0-or-later */
/* client.c - life and clockwork of a client; see client.h and internal.h. Owner thread. */
#include "oci/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "config.h"
#include "oci/repo.h"

#define HOSTS_DIRS_DEFAULT "/etc/containerd/certs.d:/etc/docker/certs.d"

void client_enter(struct oci_client *c)
{
	c->depth++;
}

/* Tell the loop when to call next, if that changed. */
static void arm(struct oci_client *c)
{
	uint64_t now = io_now_ms();
	int64_t ms = timers_next(&c->timers, now);
	uint64_t due = ms < 0 ? UINT64_MAX : now + (uint64_t)ms;

	if (due == c->armed_due_ms)
		return;
	c->armed_due_ms = due;
	c->hooks.set_timer(c->hooks.arg, ms);
}

static void destroy(struct oci_client *c)
{
	struct oci_job *job, *tmp;

	repos_free(c);
	http_free(c->http);
	list_for_each_safe(job, tmp, &c->jobs, node) {
		list_del(&job->node);
		job->client = NULL;
	}
	if (c->is_sync)
		sync_loop_done(c);
	else if (c->armed_due_ms != UINT64_MAX)
		c->hooks.set_timer(c->hooks.arg, -1);
	free((char *)c->opts.user_agent);
	free((char *)c->opts.docker_config);
	free((char *)c->opts.hosts_dirs);
	free((char *)c->opts.ca_file);
	free((char *)c->opts.plain_http);
	free((char *)c->opts.username);
	if (c->opts.password)
		explicit_bzero((char *)c->opts.password, strlen(c->opts.password));
	free((char *)c->opts.password);
	free(c);
}

void client_leave(struct oci_client *c)
{
	if (c->depth == 1) {
		http_run_pending(c->http);
		if (c->is_dying) {
			c->depth = 0;
			destroy(c);
			return;
		}
		arm(c);
	}
	c->depth--;
}

uint64_t client_random(struct oci_client *c, uint64_t limit)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return limit ? c->random % limit : 0;
}

/* --- jobs ---------------------------------------------------------------------------- */

static void job_work(void *arg)
{
	struct oci_job *job = arg;

	job->work(job);
}

static void job_done(void *arg)
{
	struct oci_job *job = arg;
	struct oci_client *c = job->client;

	if (!c) {
		job->done(job, true);
		return;
	}
	list_del(&job->node);
	client_enter(c);
	job->done(job, false);
	client_leave(c);
}

int client_run(struct oci_client *c, struct oci_job *job)
{
	int r;

	job->client = c;
	list_init(&job->node);
	list_add_tail(&c->jobs, &job->node);
	r = c->hooks.run_blocking(c->hooks.arg, job_work, job_done, job);
	if (r < 0)
		list_del(&job->node);
	return r;
}

/* --- life ---------------------------------------------------------------------------- */

static void curl_timer_due(void *arg)
{
	struct oci_client *c = arg;

	http_timer_fired(c->http);
}

static void set_curl_timer(void *arg, int64_t in_ms)
{
	struct oci_client *c = arg;

	if (in_ms < 0)
		timer_stop(&c->curl_timer);
	else
		timer_start(&c->timers, &c->curl_timer, (uint64_t)in_ms);
}

static void watch_fd(void *arg, int fd, int events)
{
	struct oci_client *c = arg;

	c->hooks.watch_fd(c->hooks.arg, fd, events);
}

static int copy(const char **field, const char *value)
{
	if (!value)
		return 0;
	*field = strdup(value);
	return *field ? 0 : -ENOMEM;
}

/* Where docker would look: $DOCKER_CONFIG, else $HOME/.docker. */
static int default_docker_config(const char **field)
{
	const char *dir = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
	char *path;

	if (dir && *dir)
		return copy(field, dir);
	if (!home || !*home)
		return 0;
	if (asprintf(&path, "%s/.docker", home) < 0)
		return -ENOMEM;
	*field = path;
	return 0;
}

static uint32_t or_default(uint32_t v, uint32_t dfl)
{
	return v ? v : dfl;
}

static int copy_opts(struct oci_client *c, const struct oci_opts *from)
{
	struct oci_opts *o = &c->opts;
	int r = 0;

	r |= copy(&o->user_agent, from->user_agent ? from->user_agent :
		  "lazyerofs/" PACKAGE_VERSION);
	r |= from->docker_config ? copy(&o->docker_config, from->docker_config) :
				   default_docker_config(&o->docker_config);
	r |= copy(&o->hosts_dirs, from->hosts_dirs ? from->hosts_dirs : HOSTS_DIRS_DEFAULT);
	r |= copy(&o->ca_file, from->ca_file);
	r |= copy(&o->plain_http, from->plain_http);
	r |= copy(&o->username, from->username);
	r |= copy(&o->password, from->password);
	o->insecure_tls = from->insecure_tls;
	o->stop = from->stop;
	o->connect_timeout_ms = or_default(from->connect_timeout_ms, 5000);
	o->stall_timeout_ms = or_default(from->stall_timeout_ms, 10000);
	o->retries = from->no_retries ? 0 : or_default(from->retries, 8);
	o->max_connections = or_default(from->max_connections, 8);
	return r ? -ENOMEM : 0;
}

static int start(struct oci_client *c, const struct oci_opts *opts,
		 const struct oci_hooks *hooks, struct err *err)
{
	struct http_opts ho;
	int r;

	list_init(&c->repos);
	list_init(&c->reqs);
	list_init(&c->jobs);
	timers_init(&c->timers);
	timer_init(&c->curl_timer, curl_timer_due, c);
	c->armed_due_ms = UINT64_MAX;
	if (getrandom(&c->random, sizeof(c->random), GRND_NONBLOCK) < 0 || !c->random)
		c->random = io_now_us() | 1;
	if (hooks)
		c->hooks = *hooks;
	else
		sync_loop_init(c);
	r = copy_opts(c, opts);
	if (r < 0)
		return err_sys(err, -r, "registry client");
	ho = (struct http_opts){
		.user_agent = c->opts.user_agent,
		.connect_timeout_ms = c->opts.connect_timeout_ms,
		.stall_timeout_ms = c->opts.stall_timeout_ms,
		.max_connections = c->opts.max_connections,
		.insecure_tls = c->opts.insecure_tls,
		.timers = &c->timers,
		.arg = c,
		.watch_fd = watch_fd,
		.curl_timer = set_curl_timer,
	};
	return http_new(&ho, &c->http, err);
}

int oci_client_new(const struct oci_opts *opts, const struct oci_hooks *hooks,
		   struct oci_client **ret, struct err *err)
{
	static const struct oci_opts none;
	struct oci_client *c;
	int r;

	if (hooks && (!hooks->watch_fd || !hooks->set_timer || !hooks->run_blocking))
		return err_set(err, ERR_BUG, EINVAL, "registry client: a hook is missing");
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_sys(err, ENOMEM, "registry client");
	r = start(c, opts ? opts : &none, hooks, err);
	if (r < 0) {
		destroy(c);
		return r;
	}
	*ret = c;
	return 0;
}

void oci_client_free(struct oci_client *c)
{
	struct err err = ERR_INIT;

	if (!c || c->is_dying)
		return;
	client_enter(c);
	c->is_dying = true;
	err_set(&err, ERR_SYSTEM, ECANCELED, "cancelled: the registry client stops");
	while (!list_is_empty(&c->reqs)) {
		struct oci_req *req = list_first(&c->reqs, struct oci_req, node);

		req->cancel(req, &err);
	}
	client_leave(c);
}

void oci_client_fd_ready(struct oci_client *c, int fd, int events)
{
	client_enter(c);
	http_fd_ready(c->http, fd, events);
	client_leave(c);
}

void oci_client_timer_fired(struct oci_client *c)
{
	client_enter(c);
	c->armed_due_ms = UINT64_MAX;
	timers_run(&c->timers, io_now_ms());
	client_leave(c);
}

void oci_req_cancel(struct oci_req *req)
{
	struct oci_client *c = req->client;
	struct err err = ERR_INIT;

	err_set(&err, ERR_SYSTEM, ECANCELED, "cancelled");
	client_enter(c);
	req->cancel(req, &err);
	client_leave(c);
}

void oci_req_pause(struct oci_req *req, bool pause)
{
	struct oci_client *c = req->client;

	client_enter(c);
	req->pause(req, pause);
	client_leave(c);
}

void oci_client_stats(const struct oci_client *c, struct oci_stats *ret)
{
	*ret = c->stats;
	http_count(c->http, &ret->bytes, &ret->requests);
}
