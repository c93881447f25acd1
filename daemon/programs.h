/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * programs.h - where our other programs are: beside the running one first (a staged or
 * moved install, the build folder), then where they were configured to go. Any thread.
 */
#ifndef LZ_DAEMON_PROGRAMS_H
#define LZ_DAEMON_PROGRAMS_H

#include "base/err.h"

#define PROGRAMS_PATH_SIZE 4096

/* "lazyerofs-resolve", "mkfs.lazyerofs", ...; -ENOENT. */
int programs_find(const char *name, char ret[PROGRAMS_PATH_SIZE], struct err *err);

#endif
