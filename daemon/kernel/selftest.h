/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * selftest.h - does the running kernel do what the fanotify path relies on?
 *
 * The real operations, done once on a tiny image in a child process with a mount namespace
 * of its own: nothing of it can stay behind, and a hanging kernel path ends with the child.
 * Never decided by version numbers. Call before threads are started.
 */
#ifndef LZ_DAEMON_SELFTEST_H
#define LZ_DAEMON_SELFTEST_H

#include <stdbool.h>

#include "base/err.h"

enum selftest_check {
	SELFTEST_GROUP,		/* a pre-content group can be made */
	SELFTEST_MARK,		/* a mount mark on a bind mount of the cache is accepted */
	SELFTEST_MOUNT,		/* EROFS mounts plain files */
	SELFTEST_EVENT,		/* reading raises an event with file and range; a denial is EIO */
	SELFTEST_OWN_WRITE,	/* writing by the original path raises none */
	SELFTEST_PREFIX,	/* reads past the end of a device file: EIO, never zeros */
	SELFTEST_GROWTH,	/* the same reads succeed when the file has grown */
	SELFTEST_IGNORE,	/* an ignore mark ends the events of a file */
	SELFTEST_NO_GROUP,	/* the prefix rule holds with no group left */
	SELFTEST_CHECKS,
};

struct selftest_report {
	struct {
		bool passed;
		char detail[200];	/* what was seen, or why it failed */
	} check[SELFTEST_CHECKS];
	bool usable;			/* all passed */
	int disk_errno;			/* > 0: a file could not be written; no verdict */
};

/* One short line that says what the check proves. */
const char *selftest_check_name(enum selftest_check check);
/* What an administrator can do when it fails. */
const char *selftest_check_hint(enum selftest_check check);

/*
 * Test on the file system of dir (the cache directory; a temporary directory is made in
 * it). 0 with *ret filled whether or not the checks passed; -errno when it could not run:
 * ENOSPC, EDQUOT and EROFS say that of the disk.
 */
int fanotify_selftest(const char *dir, struct selftest_report *ret, struct err *err);

#endif
