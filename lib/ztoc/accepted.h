/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * accepted.h - what a layer may have that soci refuses, though it can be served.
 *
 * Taken, and told, by everything here that reads layers, unless it is asked to be strict.
 */
#ifndef LZ_ZTOC_ACCEPTED_H
#define LZ_ZTOC_ACCEPTED_H

enum ztoc_accepted {
	ZTOC_ACCEPTED_GLOBAL_PAX = 1 << 0,	/* global PAX headers: skipped, as containerd does */
	ZTOC_ACCEPTED_CONTIGUOUS = 1 << 1,	/* contiguous files are regular ones, says POSIX */
	ZTOC_ACCEPTED_JUNK = 1 << 2,		/* after the last gzip member, and the tar's end */
	ZTOC_ACCEPTED_GZIP_NAME = 1 << 3,	/* name or comment in a gzip header of 512 bytes or more */
};

#endif
