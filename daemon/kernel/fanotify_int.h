/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fanotify_int.h - shared by the fanotify_*.c files, and by nothing else. */
#ifndef LZ_DAEMON_FANOTIFY_INT_H
#define LZ_DAEMON_FANOTIFY_INT_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "daemon/kernel/fanotify.h"
#include "daemon/kernel/journal.h"

struct fan;
struct fan_shard;

/* One event; request i of a shard belongs to slot i of its journal. */
struct fan_req {
	struct kreq kreq;
	struct fan_shard *shard;
	int fd;				/* the event's; its number is the event's name */
	uint32_t response;
};

struct fan_shard {
	struct fan *fan;
	uint32_t index;
	int group_fd;
	bool taken_over;		/* the group is an earlier daemon's */
	bool stored;			/* and lies in systemd's fd store */
	struct journal *journal;
	struct loop_watch watch;
	struct fan_req *reqs;		/* JOURNAL_SLOTS */
	uint32_t *free_slots;		/* stack of nfree */
	uint32_t nfree;
	bool starved;			/* no free slot: not watched until there is one */
	char bind[4096];
};

/* Which layer and segment a file is. In fan.files, a hash table by (dev, ino). */
struct fan_file {
	uint64_t dev, ino;
	struct layer *layer;
	uint32_t segment;
	struct fan_file *next;
};

/* layer->transport_data */
struct fan_layer {
	int seg_dirfd;			/* by the original path: what is opened here */
	uint32_t nfiles;		/* raises no events */
	struct fan_file *files;		/* one per segment, also in fan.files */
	bool *dirty;			/* per segment: written since the last sync */
	bool *lost;			/* per segment: the disk did not take it; emptied */
	/* Shared by those who append, alone for who cuts: no append behind a cut. */
	pthread_rwlock_t cut_lock;
};

#define FAN_BUCKETS 16384u

struct fan {
	struct transport base;
	char cache_dir[4096], run_dir[4096];
	struct loop *loop;
	struct guardian *guardian;
	struct notify_fds *fds;
	struct conductor *conductor;
	uint32_t nshards;
	struct fan_shard shards[FANOTIFY_SHARDS_MAX];
	bool kept;			/* someone else holds the groups, too */
	bool stopped;			/* answers go out at once, not by the ring */
	struct fanotify_stats stats;	/* loop thread */
	pthread_mutex_t files_lock;
	struct fan_file *files[FAN_BUCKETS];	/* under files_lock */
	pthread_mutex_t mount_lock;	/* one mount at a time */
};

static inline struct fan *fan_of(struct transport *t)
{
	return container_of(t, struct fan, base);
}

/* fanotify_group.c: groups, marks, takeover */
int fan_shard_open(struct fan *f, uint32_t index, struct err *err);
/* Groups 0 to this number, less one, may be kept from an earlier daemon. */
uint32_t fan_shards_kept(struct fan *f);
void fan_shard_close(struct fan_shard *s);
/* No events any more of this file, whichever group. */
int fan_ignore(struct fan *f, int dirfd, const char *name, struct err *err);
/* Events again: it was complete once, for a group that was taken over, and is not now. */
int fan_unignore(struct fan *f, int dirfd, const char *name, struct err *err);

/* fanotify_seg.c */
int fan_layer_open(struct transport *t, struct layer *l, struct err *err);
void fan_layer_close(struct transport *t, struct layer *l);
int fan_segment_write(struct transport *t, struct layer *l, uint32_t segment, uint64_t off,
		      const uint8_t *data, uint64_t len, struct err *err);
int fan_segment_complete(struct transport *t, struct layer *l, uint32_t segment,
			 struct err *err);
int fan_layer_sync(struct transport *t, struct layer *l, struct err *err);
/* The layer and segment of a file; false: not one of ours. Any thread. */
bool fan_file_find(struct fan *f, uint64_t dev, uint64_t ino, struct layer **ret_layer,
		   uint32_t *ret_segment);

/* fanotify_image.c */
int fan_image_prepare(struct transport *t, const struct image_spec *spec, struct err *err);
void fan_image_forget(struct transport *t, const char *image_id);
int fan_image_mount(struct transport *t, const struct image_spec *spec, const char *target,
		    struct err *err);

#endif
