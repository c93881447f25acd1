/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fanotify_group.c - the groups: where they come from, what they mark, who keeps them.
 * At start and in workers (fan_ignore); see fanotify.h.
 *
 * The group of an earlier daemon comes back from the guardian, or from systemd's fd store,
 * always together with its journal. Without its journal it would be worthless: what had
 * been read could never be answered. Then it is let go, whereupon the kernel lets its
 * waiting readers through to files without holes: EIO, or right bytes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/guardian/proto.h"
#include "daemon/kernel/fanotify_int.h"
#include "daemon/kernel/fanotify_mount.h"
#include "daemon/log.h"

/* Descriptors beside those of events: sockets, layers, the ring. */
#define OTHER_FDS 2048u

static void fd_name(char ret[GUARDIAN_NAME_SIZE], const char *kind, uint32_t index)
{
	snprintf(ret, GUARDIAN_NAME_SIZE, "%s.%u", kind, index);
}

/*
 * Every event costs a descriptor; when there is none left the kernel denies the event.
 */
static void fd_limit_raise(uint32_t nshards)
{
	rlim_t want = (rlim_t)nshards * JOURNAL_SLOTS + OTHER_FDS;
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_cur >= want)
		return;
	lim.rlim_cur = want;
	if (lim.rlim_max < want)
		lim.rlim_max = want;
	if (setrlimit(RLIMIT_NOFILE, &lim) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
		log_warning("fanotify: open file limit %llu is less than the %llu that a flood "
			    "of reads may need (LimitNOFILE=)",
			    (unsigned long long)lim.rlim_max, (unsigned long long)want);
	}
}

static int kept_fd(struct fan *f, const char *kind, uint32_t index)
{
	char name[GUARDIAN_NAME_SIZE];
	int fd = -ENOENT;

	fd_name(name, kind, index);
	if (f->guardian)
		fd = guardian_get(f->guardian, name, NULL);
	return fd >= 0 ? fd : notify_fds_get(f->fds, name);
}

static void kept_drop(struct fan *f, const char *kind, uint32_t index)
{
	char name[GUARDIAN_NAME_SIZE];

	fd_name(name, kind, index);
	if (f->guardian)
		guardian_drop(f->guardian, name, NULL);
	notify_fd_drop(name);
}

static int keep(struct fan_shard *s, const char *kind, int fd, struct err *err)
{
	struct fan *f = s->fan;
	char name[GUARDIAN_NAME_SIZE];
	int r = 0;

	fd_name(name, kind, s->index);
	if (f->guardian)
		r = guardian_put(f->guardian, name, fd, err);
	/* Once is enough: each one that comes back takes a number at the next start. */
	if (s->stored || notify_fd_store(name, fd) == 0)
		f->kept = true;
	return r;
}

/*
 * Event descriptors that the predecessor held are gone, but their numbers still name its
 * events, and the kernel would give them to new ones. Occupy them. A number that we already
 * use for something else cannot be kept apart for ever: deny that event now.
 */
static void leftovers_reserve(struct fan_shard *s)
{
	cleanup_close int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	for (uint32_t i = 0; i < JOURNAL_SLOTS; i++) {
		struct journal_slot *slot = journal_slot(s->journal, i);
		int fd = slot->event.meta.fd;
		struct fanotify_response r = { .fd = fd, .response = FAN_DENY_ERRNO(EIO) };

		if (!journal_slot_is_used(slot))
			continue;
		s->reqs[i].fd = fd;
		if (fd >= 0 && fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    dup3(null, fd, O_CLOEXEC) == fd)
			continue;
		if (fd >= 0 && write(s->group_fd, &r, sizeof(r)) < 0 && errno != ENOENT)
			log_error("fanotify: event %d of the previous daemon cannot be "
				  "answered: %s", fd, strerror(errno));
		s->reqs[i].fd = -1;
		s->fan->stats.leftovers++;
		s->fan->stats.leftovers_unknown++;
		journal_slot_clear(slot);
	}
}

static int group_new(struct fan_shard *s, struct err *err)
{
	int r;

	s->group_fd = fanotify_init(FAN_CLASS_PRE_CONTENT | FAN_UNLIMITED_QUEUE |
					    FAN_UNLIMITED_MARKS | FAN_NONBLOCK | FAN_CLOEXEC,
				    O_RDONLY | O_LARGEFILE | O_CLOEXEC);
	if (s->group_fd < 0)
		return err_sys(err, errno, "fanotify: no group for pre-content events (needs "
			       "CAP_SYS_ADMIN and CONFIG_FANOTIFY_ACCESS_PERMISSIONS)");
	r = journal_new(&s->journal, err);
	if (r < 0)
		return r;
	/* First the journal: a group without one is of no use to a successor. */
	r = keep(s, GUARDIAN_JOURNAL, journal_fd(s->journal), err);
	return r < 0 ? r : keep(s, GUARDIAN_GROUP, s->group_fd, err);
}

static int group_take_over(struct fan_shard *s)
{
	struct err why = ERR_INIT;
	char name[GUARDIAN_NAME_SIZE];
	int journal;

	fd_name(name, GUARDIAN_GROUP, s->index);
	s->stored = notify_fds_has(s->fan->fds, name);
	s->group_fd = kept_fd(s->fan, GUARDIAN_GROUP, s->index);
	if (s->group_fd < 0) {
		s->stored = false;
		return -ENOENT;
	}
	journal = kept_fd(s->fan, GUARDIAN_JOURNAL, s->index);
	if (journal >= 0 && journal_attach(journal, &s->journal, &why) == 0) {
		s->taken_over = true;
		/* From one keeper to the other as well. */
		if (keep(s, GUARDIAN_JOURNAL, journal_fd(s->journal), &why) < 0 ||
		    keep(s, GUARDIAN_GROUP, s->group_fd, &why) < 0)
			log_warning("fanotify: %s", why.text);
		return 0;
	}
	log_warning("fanotify: letting go of the previous daemon's group %u: %s", s->index,
		    why.text[0] ? why.text : "its journal is gone");
	close(TAKE_FD(s->group_fd));
	kept_drop(s->fan, GUARDIAN_GROUP, s->index);
	kept_drop(s->fan, GUARDIAN_JOURNAL, s->index);
	s->stored = false;
	return -ENOENT;
}

static int group_mark(struct fan_shard *s, struct err *err)
{
	if (fanotify_mark(s->group_fd, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_PRE_ACCESS, AT_FDCWD,
			  s->bind) == 0)
		return 0;
	if (errno == EOPNOTSUPP)
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "fanotify: the file system of %s has no pre-content events: put "
			       "the cache on ext4, xfs or btrfs", s->fan->cache_dir);
	return err_sys(err, errno, "fanotify: cannot mark %s (needs Linux 6.14)", s->bind);
}

static int shard_alloc(struct fan_shard *s, struct err *err)
{
	s->reqs = calloc(JOURNAL_SLOTS, sizeof(*s->reqs));
	s->free_slots = calloc(JOURNAL_SLOTS, sizeof(*s->free_slots));
	if (!s->reqs || !s->free_slots)
		return err_sys(err, ENOMEM, "fanotify transport");
	for (uint32_t i = 0; i < JOURNAL_SLOTS; i++) {
		s->reqs[i].shard = s;
		s->reqs[i].fd = -1;
	}
	return 0;
}

int fan_shard_open(struct fan *f, uint32_t index, struct err *err)
{
	struct fan_shard *s = &f->shards[index];
	char suffix[16] = "";
	int r;

	s->fan = f;
	s->index = index;
	s->group_fd = -1;
	if (index)
		snprintf(suffix, sizeof(suffix), ".%u", index);
	if (snprintf(s->bind, sizeof(s->bind), "%s/cache%s", f->run_dir, suffix) >=
	    (int)sizeof(s->bind))
		return err_set(err, ERR_SYSTEM, ENAMETOOLONG, "path too long: %s", f->run_dir);
	fd_limit_raise(index + 1);
	r = shard_alloc(s, err);
	if (r < 0)
		return r;
	r = group_take_over(s);
	if (r == 0)
		leftovers_reserve(s);
	else
		r = group_new(s, err);
	if (r < 0)
		return r;
	for (uint32_t i = JOURNAL_SLOTS; i-- > 0;)
		if (!journal_slot_is_used(journal_slot(s->journal, i)))
			s->free_slots[s->nfree++] = i;
	r = fan_bind_ensure(f->cache_dir, s->bind, err);
	if (r == 0)
		r = group_mark(s, err);
	if (r == 0)
		log_info("fanotify: group %u %s, %s marked", index,
			 s->taken_over ? "taken over" : "made", s->bind);
	return r;
}

uint32_t fan_shards_kept(struct fan *f)
{
	char name[GUARDIAN_NAME_SIZE];
	uint32_t n = 0;

	for (uint32_t i = 0; i < FANOTIFY_SHARDS_MAX; i++) {
		int fd;

		fd_name(name, GUARDIAN_GROUP, i);
		if (notify_fds_has(f->fds, name))
			n = i + 1;
		fd = f->guardian ? guardian_get(f->guardian, name, NULL) : -1;
		if (fd >= 0) {
			close(fd);
			n = i + 1;
		}
	}
	return n;
}

void fan_shard_close(struct fan_shard *s)
{
	/* No mount uses it: nobody waits, nothing is to be kept. */
	if (s->bind[0] && fan_bind_release(s->bind)) {
		kept_drop(s->fan, GUARDIAN_GROUP, s->index);
		kept_drop(s->fan, GUARDIAN_JOURNAL, s->index);
	}
	/* Our event descriptors: the events live on in the group, if somebody keeps it. */
	for (uint32_t i = 0; s->reqs && i < JOURNAL_SLOTS; i++)
		if (s->reqs[i].fd >= 0)
			close(s->reqs[i].fd);
	free(s->reqs);
	free(s->free_slots);
	journal_free(s->journal);
	if (s->group_fd >= 0)
		close(s->group_fd);
}

int fan_ignore(struct fan *f, int dirfd, const char *name, struct err *err)
{
	for (uint32_t i = 0; i < f->nshards; i++)
		if (fanotify_mark(f->shards[i].group_fd,
				  FAN_MARK_ADD | FAN_MARK_IGNORE | FAN_MARK_EVICTABLE |
					  FAN_MARK_IGNORED_SURV_MODIFY,
				  FAN_PRE_ACCESS, dirfd, name) < 0)
			return err_sys(err, errno, "fanotify: ignore mark on %s", name);
	return 0;
}

int fan_unignore(struct fan *f, int dirfd, const char *name, struct err *err)
{
	for (uint32_t i = 0; i < f->nshards; i++)
		if (fanotify_mark(f->shards[i].group_fd, FAN_MARK_REMOVE | FAN_MARK_IGNORE,
				  FAN_PRE_ACCESS, dirfd, name) < 0 && errno != ENOENT)
			return err_sys(err, errno, "fanotify: removing the mark of %s", name);
	return 0;
}
