/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mounts.h - where our images are mounted, as /proc/self/mountinfo tells it.
 *
 * The kernel's table is the only record of mounts: nothing of our own can differ from it.
 * It is read anew some 20 ms after it changed. Loop thread.
 */
#ifndef LZ_DAEMON_MOUNTS_H
#define LZ_DAEMON_MOUNTS_H

#include "base/digest.h"
#include "base/err.h"
#include "base/list.h"
#include "daemon/loop/loop.h"

struct mounts;

struct mounts_item {
	struct list link;
	char image_id[DIGEST_HEX_LEN + 1];
	unsigned major, minor;
	char *point;
};

/* changed(arg) after each reading. Reads the table once at once, without calling it. */
int mounts_new(struct loop *loop, const char *dir, void (*changed)(void *arg), void *arg,
	       struct mounts **ret, struct err *err);
void mounts_free(struct mounts *m);
/* Read now; changed() is called. */
int mounts_read(struct mounts *m, struct err *err);
/* struct mounts_item, in the order of the table; valid until the next reading. */
const struct list *mounts_items(const struct mounts *m);
unsigned mounts_count(const struct mounts *m, const char *image_id);

#endif
