/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sandbox.h - what the daemon gives up once it holds its kernel descriptors.
 *
 * capabilities   all but those of the table in sandbox.c, from the bounding set, too
 * no_new_privs   for itself and all its children
 * seccomp        a list of calls that nobody here makes (loading modules, tracing, ...)
 *
 * No landlock: a process under it may not mount. The parsing of zTOCs is done by
 * mkfs.lazyerofs and that of manifests by lazyerofs-resolve, each in a sandbox of its own.
 */
#ifndef LZ_DAEMON_SANDBOX_H
#define LZ_DAEMON_SANDBOX_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

/* Once, before threads are started. */
int sandbox_daemon(struct err *err);
/* Capabilities that the daemon needs and this process lacks, as text; "" if none. */
void sandbox_missing(char *ret, size_t size);

#endif
