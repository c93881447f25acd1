/* SPDX-License-Identifier: GPL-2.0-or-later */
/* repo.c - see repo.h. */
#include "oci/repo.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define REPO_MAX_IDLE 32u
#define REPO_MAX_FINALS 256u

struct final_url {
	struct list node;
	size_t host;
	struct digest digest;
	char *url;
};

static void final_free(struct oci_repo *repo, struct final_url *f)
{
	list_del(&f->node);
	repo->nfinals--;
	free(f->url);
	free(f);
}

static struct final_url *final_find(struct oci_repo *repo, size_t host,
				    const struct digest *d)
{
	struct final_url *f;

	list_for_each(f, &repo->finals, node)
		if (f->host == host && digest_is_equal(&f->digest, d))
			return f;
	return NULL;
}

const char *repo_final_get(struct oci_repo *repo, size_t host, const struct digest *d)
{
	struct final_url *f = final_find(repo, host, d);

	if (!f)
		return NULL;
	list_del(&f->node);
	list_add_tail(&repo->finals, &f->node);
	return f->url;
}

void repo_final_forget(struct oci_repo *repo, size_t host, const struct digest *d)
{
	struct final_url *f = final_find(repo, host, d);

	if (f)
		final_free(repo, f);
}

/* Forgetting one for want of memory costs a redirect, no more. */
void repo_final_set(struct oci_repo *repo, size_t host, const struct digest *d,
		    const char *url)
{
	struct final_url *f;

	repo_final_forget(repo, host, d);
	if (repo->nfinals == REPO_MAX_FINALS)
		final_free(repo, list_first(&repo->finals, struct final_url, node));
	f = calloc(1, sizeof(*f));
	if (!f)
		return;
	f->url = strdup(url);
	if (!f->url) {
		free(f);
		return;
	}
	f->host = host;
	f->digest = *d;
	list_add_tail(&repo->finals, &f->node);
	repo->nfinals++;
}

void repo_name(const struct oci_repo *repo, char *ret, size_t ret_size)
{
	if (repo->ref.is_layout)
		snprintf(ret, ret_size, "oci:%.200s", repo->ref.dir);
	else
		snprintf(ret, ret_size, "%s/%s", repo->ref.host, repo->ref.repo);
}

static void repo_free(struct oci_repo *repo)
{
	list_del(&repo->node);
	while (!list_is_empty(&repo->finals))
		final_free(repo, list_first(&repo->finals, struct final_url, node));
	for (size_t i = 0; i < repo->nhosts; i++) {
		struct hosts one = { .n = 1 };

		auth_state_done(&repo->hosts[i].auth);
		one.list[0] = repo->hosts[i].conf;
		hosts_done(&one);
	}
	free(repo->hosts);
	if (repo->dir_fd >= 0)
		close(repo->dir_fd);
	free(repo);
}

void repos_free(struct oci_client *c)
{
	if (!c->repos.next)
		return;
	while (!list_is_empty(&c->repos))
		repo_free(list_first(&c->repos, struct oci_repo, node));
}

/* Credentials of the reference's host go to that host only, wherever hosts.toml points. */
static void name_host(struct oci_repo *repo, struct repo_host *h)
{
	const char *host = repo->ref.host;
	const char *api = strcmp(host, "docker.io") ? host : "registry-1.docker.io";

	if (http_url_authority(h->conf.base, h->name, sizeof(h->name)) < 0)
		snprintf(h->name, sizeof(h->name), "%s", h->conf.base);
	h->is_foreign = strcmp(h->name, api) != 0;
	snprintf(h->cred_key, sizeof(h->cred_key), "%s", h->is_foreign ? h->name : host);
}

static int open_registry(struct oci_repo *repo, struct err *err)
{
	struct oci_client *c = repo->client;
	struct hosts_opts ho = { .dirs = c->opts.hosts_dirs, .ca_file = c->opts.ca_file,
				 .plain_http = c->opts.plain_http };
	struct hosts hosts;
	int r;

	r = hosts_load(&ho, repo->ref.host, &hosts, err);
	if (r < 0)
		return r;
	repo->hosts = calloc(hosts.n, sizeof(*repo->hosts));
	if (!repo->hosts) {
		hosts_done(&hosts);
		return err_sys(err, ENOMEM, "repository");
	}
	repo->nhosts = hosts.n;
	for (size_t i = 0; i < hosts.n; i++) {
		struct repo_host *h = &repo->hosts[i];

		h->conf = hosts.list[i];
		name_host(repo, h);
		auth_state_init(&h->auth, repo, h);
	}
	return 0;
}

static bool is_same(const struct oci_ref *a, const struct oci_ref *b)
{
	return a->is_layout == b->is_layout && !strcmp(a->host, b->host) &&
	       !strcmp(a->repo, b->repo) && !strcmp(a->dir, b->dir);
}

/* Those nobody holds, beyond a few. */
static void trim(struct oci_client *c)
{
	struct oci_repo *repo, *tmp;
	unsigned idle = 0;

	list_for_each(repo, &c->repos, node)
		idle += repo->refs == 0;
	list_for_each_safe(repo, tmp, &c->repos, node) {
		if (idle <= REPO_MAX_IDLE)
			return;
		if (repo->refs == 0) {
			repo_free(repo);
			idle--;
		}
	}
}

int oci_repo_get(struct oci_client *c, const struct oci_ref *ref, struct oci_repo **ret,
		 struct err *err)
{
	struct oci_repo *repo;
	int r = 0;

	list_for_each(repo, &c->repos, node) {
		if (!is_same(&repo->ref, ref))
			continue;
		list_del(&repo->node);
		list_add_tail(&c->repos, &repo->node);
		repo->refs++;
		*ret = repo;
		return 0;
	}
	repo = calloc(1, sizeof(*repo));
	if (!repo)
		return err_sys(err, ENOMEM, "repository");
	repo->client = c;
	repo->refs = 1;
	repo->ref = *ref;
	repo->dir_fd = -1;
	list_init(&repo->finals);
	list_init(&repo->node);
	if (ref->is_layout) {
		repo->dir_fd = open(ref->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (repo->dir_fd < 0)
			r = err_sys(err, errno, "image layout %s", ref->dir);
	} else {
		r = open_registry(repo, err);
	}
	if (r < 0) {
		repo_free(repo);
		return r;
	}
	list_add_tail(&c->repos, &repo->node);
	trim(c);
	*ret = repo;
	return 0;
}

void oci_repo_put(struct oci_repo *repo)
{
	if (!repo)
		return;
	repo->refs--;
	trim(repo->client);
}
