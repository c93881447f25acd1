/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * creds.h - user names and passwords, where docker keeps them: config.json and the
 * credential helpers it names.
 *
 * Blocking (files, child processes): run it off the event loop. Any thread. Secrets are
 * wiped when freed and never put into an error text.
 * Source: docker CLI config file format; docker-credential-helpers protocol.
 */
#ifndef LZ_OCI_CREDS_H
#define LZ_OCI_CREDS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct creds {
	char *user, *password;		/* both or none */
	char *identity_token;		/* OAuth2 refresh token, instead of the above */
};

void creds_done(struct creds *c);

/* The key of host in config.json: docker.io has one of its own. */
const char *creds_server_key(const char *host);

/*
 * Look host ("name[:port]") up in config, the folder of config.json or a file of that form
 * (the auth.json of skopeo, buildah and podman): credHelpers, credsStore, auths. Nothing
 * found (no file, no entry) is 0 with *ret empty. A broken file or helper is an error of
 * kind AUTH.
 */
int creds_lookup(const char *config, const char *host, struct creds *ret, struct err *err);

/* The entry of host in the text of a config.json, helpers left aside. (For tests.) */
int creds_from_config(const void *data, size_t len, const char *host, struct creds *ret,
		      char ret_helper[64], struct err *err);

/* Run `docker-credential-NAME get` with at most timeout_ms; see creds_lookup(). */
int creds_from_helper(const char *name, const char *host, uint32_t timeout_ms,
		      struct creds *ret, struct err *err);

#endif
