/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source_file.c - a layer blob in a local file (an OCI layout), read piece by piece on the
 * pool. One piece at a time per read; the next one is read when this one was taken, so a
 * pause needs no buffer. A cancelled read that is still on the pool outlives its source:
 * the file is counted.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fill/sources.h"

#define FILE_PIECE_BYTES (128u << 10)

struct file_source {
	struct source source;
	struct pool *pool;
	int fd;
	unsigned refs;			/* the owner and each read */
	char label[];
};

struct file_read {
	struct pool_job job;
	struct file_source *s;
	struct source_read *r;		/* NULL: cancelled */
	uint64_t off, end;
	bool working, paused, delivering;
	ssize_t n;			/* of the last piece; -errno */
	uint8_t data[FILE_PIECE_BYTES];
};

static void file_unref(struct file_source *s)
{
	if (--s->refs)
		return;
	close(s->fd);
	free(s);
}

static void read_finish(struct file_read *fr, const struct err *err)
{
	struct source_read *r = fr->r;
	struct file_source *s = fr->s;

	r->private = NULL;
	fr->r = NULL;
	/* The one that holds it (the pool, or deliver() further up) frees it. */
	if (!fr->working && !fr->delivering) {
		free(fr);
		r->on_done(r, err);
		file_unref(s);
		return;
	}
	r->on_done(r, err);
}

static void read_work(struct pool_job *job)
{
	struct file_read *fr = container_of(job, struct file_read, job);
	uint64_t len = fr->end - fr->off;

	if (fr->n != 0)
		return;		/* a piece that came during a pause is still there */
	if (len > FILE_PIECE_BYTES)
		len = FILE_PIECE_BYTES;
	do {
		fr->n = pread(fr->s->fd, fr->data, len, (off_t)fr->off);
	} while (fr->n < 0 && errno == EINTR);
	if (fr->n < 0)
		fr->n = -errno;
}

static void read_next(struct file_read *fr)
{
	fr->working = true;
	pool_submit(fr->s->pool, &fr->job);
}

static void read_gone(struct file_read *fr)
{
	struct file_source *s = fr->s;

	free(fr);
	file_unref(s);
}

static void deliver(struct file_read *fr)
{
	struct err err = ERR_INIT;
	ssize_t n = fr->n;
	int r;

	if (n <= 0) {
		if (n < 0)
			err_sys(&err, (int)-n, "cannot read %s", fr->s->label);
		else
			err_set(&err, ERR_CORRUPT, EIO, "%s ends at byte %llu", fr->s->label,
				(unsigned long long)fr->off);
		read_finish(fr, &err);
		return;
	}
	fr->off += (uint64_t)n;
	fr->n = 0;
	fr->delivering = true;
	r = fr->r->on_data(fr->r, fr->data, (uint64_t)n);
	fr->delivering = false;
	if (!fr->r) {		/* cancelled from inside */
		read_gone(fr);
	} else if (r < 0) {
		err_sys(&err, -r, "data not taken");
		read_finish(fr, &err);
	} else if (fr->off == fr->end) {
		read_finish(fr, NULL);
	} else if (!fr->paused) {
		read_next(fr);
	}
}

static void read_done(struct pool_job *job)
{
	struct file_read *fr = container_of(job, struct file_read, job);

	fr->working = false;
	if (!fr->r)
		read_gone(fr);
	else if (!fr->paused)
		deliver(fr);
}

static int file_read(struct source *source, uint64_t off, uint64_t len, uint32_t deadline_ms,
		     struct source_read *r, struct err *err)
{
	struct file_source *s = container_of(source, struct file_source, source);
	struct file_read *fr = malloc(sizeof(*fr));

	(void)deadline_ms;
	if (!fr)
		return err_sys(err, ENOMEM, "read of %s", s->label);
	memset(fr, 0, offsetof(struct file_read, data));
	fr->job.work = read_work;
	fr->job.done = read_done;
	fr->job.prio = POOL_FAULT;
	fr->s = s;
	fr->r = r;
	fr->off = off;
	fr->end = off + len;
	r->private = fr;
	s->refs++;
	read_next(fr);
	return 0;
}

static void file_cancel(struct source *source, struct source_read *r)
{
	struct err err = ERR_INIT;

	(void)source;
	err_set(&err, ERR_SYSTEM, ECANCELED, "cancelled");
	read_finish(r->private, &err);
}

static void file_pause(struct source *source, struct source_read *r, int pause)
{
	struct file_read *fr = r->private;

	(void)source;
	fr->paused = pause;
	/* Also with a piece at hand: no callback comes from inside this call. */
	if (!pause && !fr->working && !fr->delivering)
		read_next(fr);
}

static void file_free(struct source *source)
{
	file_unref(container_of(source, struct file_source, source));
}

static const struct source_ops file_ops = {
	.name = "file",
	.read = file_read,
	.cancel = file_cancel,
	.pause = file_pause,
	.free = file_free,
};

int source_file_new(int fd, const char *label, struct pool *pool, struct source **ret,
		    struct err *err)
{
	size_t size = strlen(label) + 1;
	struct file_source *s = calloc(1, sizeof(*s) + size);

	if (!s) {
		close(fd);
		return err_sys(err, ENOMEM, "source %s", label);
	}
	memcpy(s->label, label, size);
	s->source = (struct source){ .ops = &file_ops, .label = s->label };
	s->pool = pool;
	s->fd = fd;
	s->refs = 1;
	*ret = &s->source;
	return 0;
}
