/* SPDX-License-Identifier: GPL-2.0-or-later */
/* journal.h: slots, survival of the process that wrote them, refusal of strange files. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/kernel/journal.h"
#include "tap.h"

static struct abi_fanotify_event event(int fd, uint64_t off)
{
	struct abi_fanotify_event e = {
		.meta = { .event_len = sizeof(e), .vers = FANOTIFY_METADATA_VERSION,
			  .metadata_len = sizeof(e.meta), .mask = FAN_PRE_ACCESS, .fd = fd },
		.range = { .hdr = { .info_type = FAN_EVENT_INFO_TYPE_RANGE,
				    .len = sizeof(e.range) }, .offset = off, .count = 4096 },
	};

	return e;
}

/* A pipe stands in for the group: each read() of 48 bytes is one event. */
static void test_read(void)
{
	struct journal *j = NULL;
	uint32_t slots[] = { 7, 3, JOURNAL_SLOTS - 1, 0 };
	struct abi_fanotify_event e[3] = { event(11, 0), event(12, 4096), event(13, 8192) };
	int p[2];

	if (journal_new(&j, NULL) < 0 || pipe2(p, O_NONBLOCK) < 0)
		bail("no journal");
	is_int(journal_read(j, p[0], slots, 4), 0, "nothing pending");
	ok(!journal_slot_is_used(journal_slot(j, 7)), "and no slot is used");
	ok(write(p[1], e, sizeof(e)) == sizeof(e), "three events");
	is_int(journal_read(j, p[0], slots, 4), 3, "three slots are used");
	is_int(journal_slot(j, 7)->event.meta.fd, 11, "the first in the first slot");
	is_int(journal_slot(j, 3)->event.meta.fd, 12, "the second in the second");
	is_int(journal_slot(j, JOURNAL_SLOTS - 1)->event.range.offset, 8192,
	       "the third in the very last");
	ok(!journal_slot_is_used(journal_slot(j, 0)), "the fourth is free");
	ok(!journal_slot(j, 7)->identified, "no file is known yet");
	journal_slot_identify(journal_slot(j, 7), 1, 2);
	ok(journal_slot(j, 7)->identified && journal_slot(j, 7)->ino == 2, "identified");
	journal_slot_clear(journal_slot(j, 7));
	ok(!journal_slot_is_used(journal_slot(j, 7)) && !journal_slot(j, 7)->identified,
	   "cleared: free, and nothing of it is left for the next");
	/* An overflow event has no range. */
	e[0].meta.mask = FAN_Q_OVERFLOW;
	e[0].meta.fd = -1;
	ok(write(p[1], e, sizeof(e[0].meta)) == sizeof(e[0].meta), "a short event");
	is_int(journal_read(j, p[0], slots, 1), 1, "counts as one, too");
	close(p[1]);
	is_int(journal_read(j, p[0], slots + 3, 1), 0, "end of the group: none");
	close(p[0]);
	is_int(journal_read(j, p[0], slots + 3, 1), -EBADF, "no group: an error");
	journal_free(j);
}

static void test_survival(void)
{
	struct journal *j = NULL, *again = NULL;
	pid_t pid;
	int fd;

	if (journal_new(&j, NULL) < 0)
		bail("no journal");
	pid = fork();
	if (pid == 0) {
		journal_slot(j, 5)->event = event(42, 4096);
		journal_slot_identify(journal_slot(j, 5), 8, 9);
		journal_slot(j, 6)->event = event(43, 0);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	fd = dup(journal_fd(j));
	journal_free(j);
	is_int(journal_attach(fd, &again, NULL), 0, "a successor attaches");
	ok(journal_slot_is_used(journal_slot(again, 5)) &&
	   journal_slot(again, 5)->event.meta.fd == 42 && journal_slot(again, 5)->identified &&
	   journal_slot(again, 5)->dev == 8 && journal_slot(again, 5)->ino == 9,
	   "and finds what the dead process had read");
	ok(journal_slot_is_used(journal_slot(again, 6)) && !journal_slot(again, 6)->identified,
	   "also what it had not identified");
	journal_free(again);
}

static void test_refusal(void)
{
	struct journal *j = NULL, *again = NULL;
	struct err err = ERR_INIT;
	int fd = memfd_create("x", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	is_int(journal_attach(fd, &again, &err), -EPROTO, "an empty file is refused");
	fd = memfd_create("x", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (ftruncate(fd, 4096 + JOURNAL_SLOTS * 128) < 0)
		bail("ftruncate");
	is_int(journal_attach(dup(fd), &again, &err), -EPROTO,
	       "one that could shrink under us is refused");
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
	is_int(journal_attach(fd, &again, &err), -EPROTO, "one without our mark is refused");
	if (journal_new(&j, NULL) < 0)
		bail("no journal");
	((uint32_t *)((uint8_t *)journal_slot(j, 0) - 4096))[2]++;
	is_int(journal_attach(dup(journal_fd(j)), &again, &err), -EPROTO,
	       "one of another version is refused");
	ok(ftruncate(journal_fd(j), 0) < 0, "nobody can cut it");
	journal_free(j);
	journal_free(NULL);
}

int main(void)
{
	test_read();
	test_survival();
	test_refusal();
	return tap_done();
}
