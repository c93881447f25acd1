/* SPDX-License-Identifier: GPL-2.0-or-later */
/* journal.c - see journal.h. Used by the daemon (loop thread) and by the guardian. */
#include "daemon/kernel/journal.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define JOURNAL_MAGIC 0x4c6e724a7a61794cULL
#define JOURNAL_VERSION 1u
#define JOURNAL_HEADER_BYTES 4096u
#define JOURNAL_BYTES (JOURNAL_HEADER_BYTES + JOURNAL_SLOTS * sizeof(struct journal_slot))
#define JOURNAL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

struct journal_header {
	uint64_t magic;
	uint32_t version, slots, slot_bytes;
};

struct journal {
	int fd;
	uint8_t *map;
};

static int journal_map(struct journal *j, struct err *err)
{
	j->map = mmap(NULL, JOURNAL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, j->fd, 0);
	if (j->map == MAP_FAILED) {
		j->map = NULL;
		return err_sys(err, errno, "journal: mmap");
	}
	return 0;
}

static struct journal *journal_alloc(int fd)
{
	struct journal *j = calloc(1, sizeof(*j));

	if (!j) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	j->fd = fd;
	return j;
}

int journal_new(struct journal **ret, struct err *err)
{
	struct journal *j cleanup_journal = journal_alloc(-1);
	struct journal_header *h;
	int r;

	if (!j)
		return err_sys(err, ENOMEM, "journal");
	j->fd = memfd_create("lazyerofs-journal", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (j->fd < 0)
		return err_sys(err, errno, "journal: memfd_create");
	if (ftruncate(j->fd, JOURNAL_BYTES) < 0 ||
	    fcntl(j->fd, F_ADD_SEALS, JOURNAL_SEALS | F_SEAL_SEAL) < 0)
		return err_sys(err, errno, "journal: memfd");
	r = journal_map(j, err);
	if (r < 0)
		return r;
	h = (struct journal_header *)j->map;
	h->magic = JOURNAL_MAGIC;
	h->version = JOURNAL_VERSION;
	h->slots = JOURNAL_SLOTS;
	h->slot_bytes = sizeof(struct journal_slot);
	*ret = TAKE_PTR(j);
	return 0;
}

int journal_attach(int fd, struct journal **ret, struct err *err)
{
	struct journal *j cleanup_journal = journal_alloc(fd);
	const struct journal_header *h;
	struct stat st;
	int seals, r;

	if (!j)
		return err_sys(err, ENOMEM, "journal");
	/* Without the seals, whoever shares the file could make our reads fault. */
	seals = fcntl(j->fd, F_GET_SEALS);
	if (seals < 0 || (seals & JOURNAL_SEALS) != JOURNAL_SEALS || fstat(j->fd, &st) < 0 ||
	    st.st_size != (off_t)JOURNAL_BYTES)
		return err_set(err, ERR_CORRUPT, EPROTO, "journal: not one of ours");
	r = journal_map(j, err);
	if (r < 0)
		return r;
	h = (const struct journal_header *)j->map;
	if (h->magic != JOURNAL_MAGIC || h->version != JOURNAL_VERSION ||
	    h->slots != JOURNAL_SLOTS || h->slot_bytes != sizeof(struct journal_slot))
		return err_set(err, ERR_CORRUPT, EPROTO, "journal: of another version");
	*ret = TAKE_PTR(j);
	return 0;
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	if (j->map)
		munmap(j->map, JOURNAL_BYTES);
	if (j->fd >= 0)
		close(j->fd);
	free(j);
}

int journal_fd(const struct journal *j)
{
	return j->fd;
}

struct journal_slot *journal_slot(struct journal *j, uint32_t index)
{
	return (struct journal_slot *)(j->map + JOURNAL_HEADER_BYTES) + index;
}

bool journal_slot_is_used(const struct journal_slot *s)
{
	return __atomic_load_n(&s->event.meta.mask, __ATOMIC_ACQUIRE) != 0;
}

void journal_slot_identify(struct journal_slot *s, uint64_t dev, uint64_t ino)
{
	s->dev = dev;
	s->ino = ino;
	__atomic_store_n(&s->identified, 1, __ATOMIC_RELEASE);
}

void journal_slot_clear(struct journal_slot *s)
{
	/* Killed in between: an answered event of an unknown file, denied in vain. */
	__atomic_store_n(&s->identified, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&s->event.meta.mask, 0, __ATOMIC_RELEASE);
}

int journal_read(struct journal *j, int group_fd, const uint32_t *slots, uint32_t n)
{
	struct iovec iov[JOURNAL_READ_MAX];
	ssize_t got;
	int used = 0;

	/*
	 * A fanotify file has read() but no read_iter(), so the kernel serves readv() by
	 * one read() per vector: one event into each slot.
	 */
	for (uint32_t i = 0; i < n; i++)
		iov[i] = (struct iovec){ .iov_base = &journal_slot(j, slots[i])->event,
					 .iov_len = sizeof(struct abi_fanotify_event) };
	do
		got = readv(group_fd, iov, (int)n);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : -errno;
	/* Not got / 48: an overflow event has no range and is shorter. */
	while (used < (int)n && journal_slot_is_used(journal_slot(j, slots[used])))
		used++;
	return used;
}
