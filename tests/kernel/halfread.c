/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * halfread.c - a daemon that dies at the worst moment: it takes the group from the guardian,
 * reads one event into the journal, and is gone.
 *
 *   halfread RUN GUARDIAN unknown|identified low|high
 *
 * unknown: before it noted which file it is. high: the event's descriptor has a number that
 * a successor does not use yet; low: one that it does.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/kernel/guardian.h"
#include "daemon/kernel/journal.h"

int main(int argc, char **argv)
{
	struct pollfd p = { .events = POLLIN };
	struct err err = ERR_INIT;
	struct journal *j;
	struct guardian *g;
	uint32_t slot = 17;
	struct stat st;

	if (argc != 5 || guardian_open(argv[1], argv[2], 30000, &g, &err) < 0)
		goto fail;
	p.fd = guardian_get(g, "fanotify.0", &err);
	if (p.fd < 0 || journal_attach(guardian_get(g, "journal.0", &err), &j, &err) < 0)
		goto fail;
	if (!strcmp(argv[4], "high"))
		for (int i = 0; i < 200; i++)
			if (open("/dev/null", O_RDONLY) < 0)
				goto fail;
	printf("waiting\n");
	fflush(stdout);
	if (poll(&p, 1, 10000) != 1 || journal_read(j, p.fd, &slot, 1) != 1)
		goto fail;
	if (!strcmp(argv[3], "identified")) {
		if (fstat(journal_slot(j, slot)->event.meta.fd, &st) < 0)
			goto fail;
		journal_slot_identify(journal_slot(j, slot), st.st_dev, st.st_ino);
	}
	printf("read event %d\n", journal_slot(j, slot)->event.meta.fd);
	fflush(stdout);
	_exit(0);
fail:
	printf("failed: %s\n", err.text);
	return 1;
}
