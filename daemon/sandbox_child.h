/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sandbox_child.h - what the resolver gives up before it talks to anyone: capabilities,
 * the way back to them, core dumps, and (where landlock is) every place of the file system
 * for writing but its staging folder. It keeps the network and may run credential helpers.
 */
#ifndef LZ_DAEMON_SANDBOX_CHILD_H
#define LZ_DAEMON_SANDBOX_CHILD_H

#include "base/err.h"

/* Before other threads exist. 0, or an error: do not go on. */
int sandbox_child_enter(int staging_dirfd, struct err *err);

#endif
