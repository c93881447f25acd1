/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sources.h - the sources that there are: a file on this machine, a blob of a registry.
 * Loop thread only.
 */
#ifndef LZ_DAEMON_FILL_SOURCES_H
#define LZ_DAEMON_FILL_SOURCES_H

#include "daemon/fill/source.h"
#include "daemon/pool.h"

/*
 * Reads fd (taken, also on failure) on the pool; label, copied, is for the journal. The
 * deadline of a read is not used: a local disk answers or fails.
 */
int source_file_new(int fd, const char *label, struct pool *pool, struct source **ret,
		    struct err *err);

#endif
