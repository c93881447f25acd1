/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sandbox.h - give up everything that parsing does not need.
 *
 * Afterwards the process can compute, use memory up to a ceiling, read and write the
 * descriptors it holds, and exit. It cannot open, create, remove, connect, listen, start
 * programs or processes, trace, or gain privileges:
 *
 *   no_new_privs   no set-uid or file capability works any more
 *   capabilities   all sets empty, bounding set included where we may empty it
 *   rlimits        address space, CPU, file size, no core, no further descriptors
 *   landlock       no file system access at all (kernels that have it)
 *   seccomp        an allow-list; opening and sockets say EPERM, the rest kills
 *
 * For a process of one thread, before it looks at input.
 */
#ifndef LZ_MKFS_SANDBOX_H
#define LZ_MKFS_SANDBOX_H

#include <stdint.h>

#include "base/err.h"

struct sandbox_limits {
	uint64_t memory_bytes;		/* address space; not applied under sanitizers */
	uint64_t file_bytes;		/* any file written */
	uint32_t seconds;		/* CPU time, and wall clock by SIGALRM */
};

/* 0, or an error: the sandbox is not complete, do not go on. */
int sandbox_enter(const struct sandbox_limits *limits, struct err *err);

#endif
