/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mounts.c - see mounts.h. Loop thread. */
#include "daemon/control/mounts.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/control/mountinfo.h"
#include "daemon/log.h"

#define SETTLE_MS 20u			/* many mounts at once are one change */
#define TABLE_MAX_BYTES (256ull << 20)

struct mounts {
	struct loop *loop;
	struct loop_watch watch;
	struct loop_timer settle;
	struct list items;
	char *dir;
	void (*changed)(void *arg);
	void *arg;
};

static void items_free(struct list *items)
{
	struct mounts_item *i, *tmp;

	list_for_each_safe(i, tmp, items, link) {
		list_del(&i->link);
		free(i->point);
		free(i);
	}
}

static int take_line(struct mounts *m, struct list *items, char *line)
{
	char id[DIGEST_HEX_LEN + 1];
	struct mounts_item *item;
	struct mountinfo info;

	if (mountinfo_parse(line, &info) < 0 || !mountinfo_image_id(&info, m->dir, id))
		return 0;
	item = calloc(1, sizeof(*item));
	if (!item)
		return -ENOMEM;
	item->point = strdup(info.point);
	if (!item->point) {
		free(item);
		return -ENOMEM;
	}
	memcpy(item->image_id, id, sizeof(id));
	item->major = info.major;
	item->minor = info.minor;
	list_add_tail(items, &item->link);
	return 0;
}

/* The descriptor that is polled is read, too: reading does not disturb the poll. */
static int table_read(struct mounts *m, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(TABLE_MAX_BYTES);
	struct list items;
	char *save = NULL;
	int r = io_read_file(AT_FDCWD, "/proc/self/mountinfo", &b);

	list_init(&items);
	for (char *line = r == 0 && b.len ? strtok_r((char *)b.data, "\n", &save) : NULL;
	     line && r == 0; line = strtok_r(NULL, "\n", &save))
		r = take_line(m, &items, line);
	if (r < 0) {
		items_free(&items);
		return err_sys(err, -r, "/proc/self/mountinfo");
	}
	items_free(&m->items);
	if (!list_is_empty(&items)) {
		m->items.next = items.next;
		m->items.prev = items.prev;
		items.next->prev = &m->items;
		items.prev->next = &m->items;
	}
	return 0;
}

int mounts_read(struct mounts *m, struct err *err)
{
	int r = table_read(m, err);

	if (r == 0 && m->changed)
		m->changed(m->arg);
	return r;
}

static void settled(struct loop_timer *t)
{
	struct mounts *m = container_of(t, struct mounts, settle);
	struct err err = ERR_INIT;

	if (mounts_read(m, &err) < 0) {
		log_error("mounts: %s", err.text);
		loop_timer_set(m->loop, &m->settle, io_now_ms() + 1000);
	}
}

static void table_changed(struct loop_watch *w, uint32_t revents)
{
	struct mounts *m = container_of(w, struct mounts, watch);

	(void)revents;
	if (!m->settle.loop)
		loop_timer_set(m->loop, &m->settle, io_now_ms() + SETTLE_MS);
}

const struct list *mounts_items(const struct mounts *m)
{
	return &m->items;
}

unsigned mounts_count(const struct mounts *m, const char *image_id)
{
	const struct mounts_item *i;
	unsigned n = 0;

	list_for_each(i, &m->items, link)
		n += strcmp(i->image_id, image_id) == 0;
	return n;
}

void mounts_free(struct mounts *m)
{
	if (!m)
		return;
	loop_watch_del(&m->watch);
	loop_timer_del(&m->settle);
	if (m->watch.fd >= 0)
		close(m->watch.fd);
	items_free(&m->items);
	free(m->dir);
	free(m);
}

int mounts_new(struct loop *loop, const char *dir, void (*changed)(void *arg), void *arg,
	       struct mounts **ret, struct err *err)
{
	struct mounts *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return err_sys(err, ENOMEM, "mounts");
	list_init(&m->items);
	m->loop = loop;
	m->changed = changed;
	m->arg = arg;
	m->settle.fired = settled;
	m->dir = strdup(dir);
	m->watch.ready = table_changed;
	m->watch.events = POLLPRI;	/* the table changed since the last poll */
	m->watch.fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (!m->dir || m->watch.fd < 0)
		r = err_sys(err, m->dir ? errno : ENOMEM, "/proc/self/mountinfo");
	else
		r = loop_watch_add(loop, &m->watch);
	if (r == 0)
		r = table_read(m, err);
	if (r < 0) {
		mounts_free(m);
		return r;
	}
	*ret = m;
	return 0;
}
