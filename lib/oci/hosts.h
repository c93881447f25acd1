/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hosts.h - where a registry's content can be found: mirrors in order, then the registry
 * itself, each with its TLS settings; from containerd's hosts.toml and docker's certs.d.
 *
 * For host H each root of a colon list is tried: ROOT/H_PORT_/, ROOT/H:PORT/ (or ROOT/H/
 * without a port), ROOT/_default/. The first directory that exists decides: its
 * hosts.toml, else its *.crt (authorities) and *.cert + *.key (client pair). Blocking,
 * small files; any thread.
 *
 * Read of hosts.toml: server, and for it and each [host."URL"]: capabilities, ca, client,
 * skip_verify, override_path. Other keys are left alone, as containerd does.
 * Source: containerd docs/hosts.md (2.x).
 */
#ifndef LZ_OCI_HOSTS_H
#define LZ_OCI_HOSTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "oci/http.h"

#define HOST_CAP_PULL 1u	/* blobs and manifests by digest */
#define HOST_CAP_RESOLVE 2u	/* tags: what they mean is the host's word */
#define HOST_CAP_PUSH 4u
#define HOST_CAP_ALL 7u
#define PUSH_CAPS (HOST_CAP_PULL | HOST_CAP_PUSH)	/* to put something, and see that it is there */
#define HOSTS_MAX 16u

struct host_conf {
	char *base;		/* "https://mirror:5000/v2", no '/' at the end */
	bool any_scheme;	/* nobody said which scheme and plain http is allowed: base says
				 * http, to be changed if the host speaks TLS */
	bool is_origin;		/* the registry itself, not a mirror */
	unsigned caps;
	struct http_tls tls;
};

struct hosts {
	struct host_conf list[HOSTS_MAX + 1];	/* in order; the last is the origin */
	size_t n;
};

struct hosts_opts {
	const char *dirs;	/* colon list of roots */
	const char *ca_file;	/* trusted everywhere besides; NULL */
	const char *plain_http;	/* comma list of host[:port]; NULL */
};

int hosts_load(const struct hosts_opts *opts, const char *host, struct hosts *ret,
	       struct err *err);
/* The text of a hosts.toml that lies in directory dir. Without what hosts_load() adds. */
int hosts_parse(const char *text, size_t len, const char *dir, struct hosts *ret,
		struct err *err);
void hosts_done(struct hosts *h);

/* May host ("name[:port]") be spoken to without TLS? */
bool hosts_allow_plain(const char *plain_http, const char *host);

#endif
