/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sources.h - the sources that there are: a file on this machine, a blob of a registry (or
 * of an OCI layout: lib/oci hides the difference). Loop thread only.
 */
#ifndef LZ_DAEMON_FILL_SOURCES_H
#define LZ_DAEMON_FILL_SOURCES_H

#include "daemon/fill/source.h"
#include "daemon/pool.h"
#include "oci/client.h"

/*
 * Reads fd (taken, also on failure) on the pool; label, copied, is for the journal. The
 * deadline of a read is not used: a local disk answers or fails.
 */
int source_file_new(int fd, const char *label, struct pool *pool, struct source **ret,
		    struct err *err);

/* Reads blob desc of repo (one reference is taken, given back by free). label as above. */
int source_registry_new(struct oci_repo *repo, const struct oci_desc *desc, const char *label,
			struct source **ret, struct err *err);

#endif
