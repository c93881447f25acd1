/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * repo.h - one repository as the client knows it: its hosts in order, what each of them
 * accepts as authorization, and where each blob was found last. Or an OCI layout.
 *
 * Owner thread only. Repositories are counted, but stay in the client when nobody holds
 * them (a few of them), so that a token lives from one document to the next.
 */
#ifndef LZ_OCI_REPO_H
#define LZ_OCI_REPO_H

#include "oci/hosts.h"
#include "oci/internal.h"
#include "oci/token.h"

struct repo_host {
	struct host_conf conf;
	char name[300];			/* authority, for messages */
	char cred_key[300];		/* whose password: as docker login was told */
	bool is_foreign;		/* not the registry of the reference: wants ?ns= */
	uint64_t down_until_ms;		/* a mirror that failed is left alone until then */
	struct auth_state auth;
};

struct oci_repo {
	struct list node;		/* in client->repos, least recently used first */
	struct oci_client *client;
	unsigned refs;
	struct oci_ref ref;		/* tag and digest do not matter */
	int dir_fd;			/* layout, else -1 */
	struct repo_host *hosts;
	size_t nhosts;
	struct list finals;
	unsigned nfinals;
};

/* "HOST/REPO" or "oci:DIR", for messages. */
void repo_name(const struct oci_repo *repo, char *ret, size_t ret_size);

/* Where host's blob came from last, after redirects; borrowed; NULL if not known. */
const char *repo_final_get(struct oci_repo *repo, size_t host, const struct digest *d);
void repo_final_set(struct oci_repo *repo, size_t host, const struct digest *d,
		    const char *url);
void repo_final_forget(struct oci_repo *repo, size_t host, const struct digest *d);

/* All of them; for the end of the client. */
void repos_free(struct oci_client *c);

#endif
