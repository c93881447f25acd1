/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * deny.c - fail closed in bounded time: while no daemon is there, deny what readers wait
 * for. Reads events into the journal's slots as the daemon does (journal.h), so that a
 * guardian killed in between leaves nothing behind that nobody knows of.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/guardian/keep.h"

static void slot_deny(int group_fd, struct journal_slot *s)
{
	struct fanotify_response r = { .fd = s->event.meta.fd,
				       .response = FAN_DENY_ERRNO(EIO) };

	if (r.fd >= 0 && write(group_fd, &r, sizeof(r)) < 0 && errno == EINVAL) {
		r.response = FAN_DENY;
		if (write(group_fd, &r, sizeof(r)) < 0)
			guardian_log("an answer was refused: %s", strerror(errno));
	}
	journal_slot_clear(s);
}

static unsigned deny_group(int group_fd, struct journal *j)
{
	uint32_t slots[JOURNAL_READ_MAX];
	unsigned denied = 0;
	int n;

	/* What the daemon had read first: its numbers may come again (journal.h). */
	for (uint32_t i = 0; i < JOURNAL_SLOTS; i++) {
		struct journal_slot *s = journal_slot(j, i);

		if (journal_slot_is_used(s)) {
			slot_deny(group_fd, s);
			denied++;
		}
	}
	for (uint32_t i = 0; i < JOURNAL_READ_MAX; i++)
		slots[i] = i;
	while ((n = journal_read(j, group_fd, slots, JOURNAL_READ_MAX)) > 0) {
		for (int i = 0; i < n; i++) {
			struct journal_slot *s = journal_slot(j, (uint32_t)i);
			int fd = s->event.meta.fd;

			slot_deny(group_fd, s);
			if (fd >= 0)
				close(fd);
			denied++;
		}
	}
	return denied;
}

unsigned deny_pending(const struct keep *k, uint32_t n)
{
	char group_name[GUARDIAN_NAME_SIZE], journal_name[GUARDIAN_NAME_SIZE];
	struct journal *j cleanup_journal = NULL;
	int group_fd, fd, r;

	snprintf(group_name, sizeof(group_name), GUARDIAN_GROUP ".%u", n);
	snprintf(journal_name, sizeof(journal_name), GUARDIAN_JOURNAL ".%u", n);
	group_fd = keep_fd(k, group_name);
	if (group_fd < 0)
		return 0;
	fd = keep_fd(k, journal_name);
	fd = fd < 0 ? -1 : dup(fd);
	r = fd < 0 ? -ENOENT : journal_attach(fd, &j, NULL);
	/* Without the daemon's, an empty one does: readers must not wait for ever. */
	if (r < 0)
		r = journal_new(&j, NULL);
	if (r < 0) {
		guardian_log("%s: %s", journal_name, strerror(-r));
		return 0;
	}
	return deny_group(group_fd, j);
}
