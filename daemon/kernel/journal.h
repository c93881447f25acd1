/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * journal.h - the fanotify events that were read and not yet answered, in shared memory
 * that outlives the daemon (a memfd, kept by the guardian).
 *
 * The kernel matches an answer to an event by descriptor number alone, so whoever holds the
 * group can answer what a dead daemon had read, if it knows the number. Therefore the
 * kernel writes events *directly into the slots*; there is no moment at which an event is
 * known only to the daemon's own memory.
 *
 *   slot   | event, 48 bytes, written by the kernel's read() | dev, ino | identified |
 *
 *   state        mask   identified    who did it
 *   free           0        0         journal_slot_clear()
 *   read         != 0       0         the kernel
 *   identified   != 0       1         journal_slot_identify(), right after the read
 *
 * A slot is cleared only when the kernel has taken the answer, and before the event's
 * descriptor is closed: two used slots of one group never carry the same number.
 *
 * One process uses a journal at a time: the daemon that is connected to the guardian, or
 * the guardian while there is none. Within it, one thread.
 */
#ifndef LZ_DAEMON_JOURNAL_H
#define LZ_DAEMON_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/fanotify.h"
#include "base/cleanup.h"
#include "base/err.h"

#define JOURNAL_SLOTS 4096u
#define JOURNAL_READ_MAX 64u		/* events per journal_read() */

struct journal_slot {
	struct abi_fanotify_event event;
	uint64_t dev, ino;
	uint32_t identified;
	uint32_t pad[15];
};
_Static_assert(sizeof(struct journal_slot) == 128, "slot of the journal");

struct journal;

/* A new, empty journal in a memfd that can neither grow nor shrink. */
int journal_new(struct journal **ret, struct err *err);
/* Map an existing one; fd is taken, also on failure. EPROTO: not a journal of this layout. */
int journal_attach(int fd, struct journal **ret, struct err *err);
void journal_free(struct journal *j);
DEFINE_CLEANUP(struct journal *, journal_free, journal_freep)
#define cleanup_journal cleanup_(journal_freep)

int journal_fd(const struct journal *j);	/* borrowed */
struct journal_slot *journal_slot(struct journal *j, uint32_t index);
bool journal_slot_is_used(const struct journal_slot *s);
void journal_slot_identify(struct journal_slot *s, uint64_t dev, uint64_t ino);
void journal_slot_clear(struct journal_slot *s);

/*
 * Read events of group_fd (non-blocking) into the free slots named by slots[0..n),
 * n <= JOURNAL_READ_MAX, in that order. Returns the number of slots used from the front,
 * 0 when nothing is pending, or -errno.
 */
int journal_read(struct journal *j, int group_fd, const uint32_t *slots, uint32_t n);

#endif
