/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mountinfo.h - one line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
 *
 *	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
 *	id parent dev root point options [optional...] - type source super-options
 *
 * Whoever may mount chooses most of these texts; the kernel escapes blanks, newlines and
 * backslashes as \ooo. Pure; any thread.
 */
#ifndef LZ_DAEMON_MOUNTINFO_H
#define LZ_DAEMON_MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"

/* All texts point into the line that was parsed, and are unescaped. */
struct mountinfo {
	unsigned id, parent, major, minor;
	char *root, *point, *options;
	char *type, *source, *super;
};

/* Changes the NUL-terminated line in place. 0 or -EINVAL. */
int mountinfo_parse(char *line, struct mountinfo *ret);
/*
 * Is it a mount of one of our images? fanotify: its source is
 * DIR/images/<image ID>/bootstrap.fanotify (dir NULL: any); cachefiles: fsid=<image ID>.
 */
bool mountinfo_image_id(const struct mountinfo *m, const char *dir,
			char ret[DIGEST_HEX_LEN + 1]);
/*
 * The uppermost mount at exactly `path` in the text of a whole mountinfo file, which is
 * changed in place; ret points into it. 0 or -ENOENT.
 */
int mountinfo_find(char *text, const char *path, struct mountinfo *ret);

#endif
