/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fanotify.c - events in, answers out. Loop thread. See fanotify.h.
 *
 * The life of an event: read into a journal slot -> fstat of its descriptor tells the file,
 * noted in the slot -> conductor_request() -> answer() -> written to the group by the ring
 * -> the kernel took it: slot cleared, descriptor closed. Whatever cannot be served is
 * denied with EIO on the way; nothing is ever left pending.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "daemon/fill/conductor.h"
#include "daemon/kernel/fanotify_int.h"
#include "daemon/log.h"

/* Events taken in one turn of the loop, so that answers are not held up by a flood. */
#define EVENTS_PER_TURN 512u

static void request_done(struct fan_req *q)
{
	struct fan_shard *s = q->shard;
	uint32_t slot = (uint32_t)(q - s->reqs);

	/* In this order: see journal.h. */
	journal_slot_clear(journal_slot(s->journal, slot));
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
	s->free_slots[s->nfree++] = slot;
	s->fan->stats.pending--;
	if (s->starved && !s->fan->stopped && loop_watch_add(s->fan->loop, &s->watch) == 0)
		s->starved = false;
}

/* Past the ring: for what the ring could not do, and when the loop runs no more. */
static void response_write(struct fan_req *q)
{
	struct fanotify_response r = { .fd = q->fd, .response = q->response };
	ssize_t n = write(q->shard->group_fd, &r, sizeof(r));

	if (n < 0 && errno == EINVAL && r.response != FAN_ALLOW) {
		r.response = FAN_DENY;		/* an errno that this kernel does not carry */
		n = write(q->shard->group_fd, &r, sizeof(r));
	}
	/* ENOENT: answered before, by a daemon that died before it could note so. */
	if (n < 0 && errno != ENOENT) {
		q->shard->fan->stats.answer_failures++;
		log_error("fanotify: the kernel refused the answer to event %d: %s", q->fd,
			  strerror(errno));
	}
	request_done(q);
}

static void response_written(void *arg, int res)
{
	struct fan_req *q = arg;

	if (res == (int)sizeof(struct fanotify_response) || res == -ENOENT)
		request_done(q);
	else
		response_write(q);
}

static void respond(struct fan_req *q, uint32_t response)
{
	struct fan *f = q->shard->fan;
	struct fanotify_response r = { .fd = q->fd, .response = response };

	q->response = response;
	if (response == FAN_ALLOW)
		f->stats.answered_ok++;
	else
		f->stats.answered_error++;
	if (f->stopped ||
	    loop_write(f->loop, q->shard->group_fd, &r, sizeof(r), response_written, q) < 0)
		response_write(q);
}

static uint32_t response_of(int status)
{
	switch (-status) {
	case 0:
		return FAN_ALLOW;
	case ENOSPC:
	case EDQUOT:
	case EAGAIN:
	case EBUSY:
	case EPERM:
		/* Those that the kernel carries; through EROFS each arrives as EIO. */
		return FAN_DENY_ERRNO(-status);
	default:
		return FAN_DENY_ERRNO(EIO);
	}
}

static void fan_answer(struct transport *t, struct kreq *req, int status)
{
	struct fan *f = fan_of(t);
	struct fan_req *q = container_of(req, struct fan_req, kreq);

	/* Going away while somebody keeps the group: the successor finds it in the journal. */
	if (f->stopped && f->kept && status < 0)
		return;
	respond(q, response_of(status));
}

/* Hand the event in this slot on, or deny it. */
static void request_begin(struct fan_req *q, const struct journal_slot *slot)
{
	struct fan *f = q->shard->fan;
	const struct abi_fanotify_event *e = &slot->event;
	const struct map_segment *seg;
	struct layer *l;
	uint32_t i;

	f->stats.pending++;
	if (!slot->identified || !(e->meta.mask & FAN_PRE_ACCESS) ||
	    e->meta.event_len < sizeof(*e) ||
	    e->range.hdr.info_type != FAN_EVENT_INFO_TYPE_RANGE ||
	    !fan_file_find(f, slot->dev, slot->ino, &l, &i) || list_is_empty(&l->link)) {
		f->stats.unknown_files++;
		log_debug("fanotify: event of an unknown file (inode %llu): denied",
			  (unsigned long long)slot->ino);
		respond(q, FAN_DENY_ERRNO(EIO));
		return;
	}
	seg = &l->map->segments[i];
	if (e->range.offset >= seg->size || e->range.count == 0) {
		respond(q, FAN_DENY_ERRNO(EIO));
		return;
	}
	q->kreq.transport = &f->base;
	q->kreq.layer = l;
	q->kreq.off = seg->blob_off + e->range.offset;
	q->kreq.len = e->range.count < seg->size - e->range.offset
			      ? e->range.count : seg->size - e->range.offset;
	conductor_request(f->conductor, &q->kreq);
}

static void event_read(struct fan_shard *s, uint32_t index)
{
	struct journal_slot *slot = journal_slot(s->journal, index);
	struct fan_req *q = &s->reqs[index];
	struct stat st;

	s->fan->stats.events++;
	q->fd = slot->event.meta.fd;
	if (q->fd < 0) {
		/* No event of a file. With an unlimited queue this cannot be. */
		if (slot->event.meta.mask & FAN_Q_OVERFLOW) {
			s->fan->stats.overflows++;
			log_error("fanotify: event queue overflow: reads went unanswered");
		}
		journal_slot_clear(slot);
		s->free_slots[s->nfree++] = index;
		return;
	}
	if (fstat(q->fd, &st) == 0)
		journal_slot_identify(slot, st.st_dev, st.st_ino);
	request_begin(q, slot);
}

static void shard_ready(struct loop_watch *w, uint32_t revents)
{
	struct fan_shard *s = container_of(w, struct fan_shard, watch);
	uint32_t slots[JOURNAL_READ_MAX], n;
	int got;

	(void)revents;
	for (uint32_t done = 0; done < EVENTS_PER_TURN; done += (uint32_t)got) {
		n = s->nfree < JOURNAL_READ_MAX ? s->nfree : JOURNAL_READ_MAX;
		if (n == 0) {
			/* Readers beyond this many wait in the kernel's queue. */
			loop_watch_del(w);
			s->starved = true;
			return;
		}
		for (uint32_t i = 0; i < n; i++)
			slots[i] = s->free_slots[s->nfree - 1 - i];
		got = journal_read(s->journal, s->group_fd, slots, n);
		if (got < 0) {
			/* The kernel denies an event that it has no descriptor for. */
			if (s->fan->stats.read_failures++ % 1024 == 0)
				log_warning("fanotify: reading events: %s", strerror(-got));
			return;
		}
		s->nfree -= (uint32_t)got;
		for (int i = 0; i < got; i++)
			event_read(s, slots[i]);
		if ((uint32_t)got < n)
			return;
	}
}

/* What the daemon before had read and not answered; its numbers were set aside. */
static void leftovers_begin(struct fan_shard *s)
{
	for (uint32_t i = 0; i < JOURNAL_SLOTS; i++) {
		struct journal_slot *slot = journal_slot(s->journal, i);

		if (!journal_slot_is_used(slot))
			continue;
		s->fan->stats.leftovers++;
		if (!slot->identified)
			s->fan->stats.leftovers_unknown++;
		request_begin(&s->reqs[i], slot);
	}
}

static int fan_start(struct transport *t, struct conductor *c, struct err *err)
{
	struct fan *f = fan_of(t);
	int r;

	f->conductor = c;
	if (f->guardian) {
		r = guardian_serving(f->guardian, err);
		if (r < 0)
			return r;
	}
	for (uint32_t i = 0; i < f->nshards; i++) {
		struct fan_shard *s = &f->shards[i];

		leftovers_begin(s);
		s->watch.ready = shard_ready;
		s->watch.fd = s->group_fd;
		s->watch.events = POLLIN;
		r = loop_watch_add(f->loop, &s->watch);
		if (r < 0)
			return err_sys(err, -r, "fanotify: cannot watch the group");
	}
	if (f->stats.leftovers)
		log_info("fanotify: %llu reads that waited for the previous daemon go on, "
			 "%llu of them of files not known: denied",
			 (unsigned long long)f->stats.leftovers,
			 (unsigned long long)f->stats.leftovers_unknown);
	return 0;
}

static void fan_stop(struct transport *t)
{
	struct fan *f = fan_of(t);

	for (uint32_t i = 0; i < f->nshards; i++)
		loop_watch_del(&f->shards[i].watch);
	f->stopped = true;
}

static void fan_free(struct transport *t)
{
	struct fan *f;

	if (!t)
		return;
	f = fan_of(t);
	fan_stop(t);
	for (uint32_t i = 0; i < f->nshards; i++)
		fan_shard_close(&f->shards[i]);
	pthread_mutex_destroy(&f->files_lock);
	pthread_mutex_destroy(&f->mount_lock);
	free(f);
}

static const struct transport_ops fan_ops = {
	.name = "fanotify",
	.start = fan_start,
	.stop = fan_stop,
	.free = fan_free,
	.layer_open = fan_layer_open,
	.layer_close = fan_layer_close,
	.segment_write = fan_segment_write,
	.segment_complete = fan_segment_complete,
	.layer_sync = fan_layer_sync,
	.answer = fan_answer,
	.image_prepare = fan_image_prepare,
	.image_forget = fan_image_forget,
	.mount = fan_image_mount,
};

void fanotify_transport_stats(const struct transport *t, struct fanotify_stats *ret)
{
	*ret = container_of(t, const struct fan, base)->stats;
}

int fanotify_transport_new(const struct fanotify_opts *opts, struct transport **ret,
			   struct err *err)
{
	struct fan *f = calloc(1, sizeof(*f));
	uint32_t n = opts->shards ? opts->shards : 1, kept;
	int r = 0;

	if (!f)
		return err_sys(err, ENOMEM, "fanotify transport");
	f->base.ops = &fan_ops;
	f->loop = opts->loop;
	f->guardian = opts->guardian;
	f->fds = opts->fds;
	f->kept = opts->guardian != NULL;
	pthread_mutex_init(&f->files_lock, NULL);
	pthread_mutex_init(&f->mount_lock, NULL);
	if (n > FANOTIFY_SHARDS_MAX || strlen(opts->cache_dir) >= sizeof(f->cache_dir) ||
	    strlen(opts->run_dir) >= sizeof(f->run_dir))
		r = err_set(err, ERR_BUG, EINVAL, "fanotify transport: options out of range");
	strncat(f->cache_dir, opts->cache_dir, sizeof(f->cache_dir) - 1);
	strncat(f->run_dir, opts->run_dir, sizeof(f->run_dir) - 1);
	/* Shards of an earlier daemon stay served, however many it had. */
	kept = r == 0 ? fan_shards_kept(f) : 0;
	while (r == 0 && (f->nshards < n || f->nshards < kept)) {
		f->nshards++;
		r = fan_shard_open(f, f->nshards - 1, err);
	}
	if (r < 0) {
		fan_free(&f->base);
		return r;
	}
	*ret = &f->base;
	return 0;
}
