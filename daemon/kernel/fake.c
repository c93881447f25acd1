/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fake.c - see fake.h. */
#include "daemon/kernel/fake.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fill/conductor.h"

struct fake_segment {
	uint64_t len, synced;		/* under the fake's lock */
	bool busy, complete;
};

struct fake_layer {
	const uint8_t *truth;
	uint8_t *data;
	struct fake_segment *segments;
};

static struct fake *fake_of(struct transport *t)
{
	return container_of(t, struct fake, transport);
}

/* Lock held. */
__attribute__((format(printf, 2, 3))) static void violation(struct fake *f, const char *fmt, ...)
{
	va_list ap;

	if (f->violations++ > 0)
		return;
	va_start(ap, fmt);
	vsnprintf(f->first_violation, sizeof(f->first_violation), fmt, ap);
	va_end(ap);
}

static int fake_start(struct transport *t, struct conductor *c, struct err *err)
{
	(void)err;
	fake_of(t)->conductor = c;
	return 0;
}

static void fake_stop(struct transport *t)
{
	fake_of(t)->conductor = NULL;
}

static int fake_layer_open(struct transport *t, struct layer *l, struct err *err)
{
	const struct fake_layer *fl = l->transport_data;

	(void)t;
	(void)err;
	l->present_bytes = 0;
	for (uint32_t i = 0; i < l->map->nsegments; i++) {
		l->segments[i].len = fl->segments[i].len;
		l->present_bytes += fl->segments[i].len;
	}
	return 0;
}

static void fake_layer_close(struct transport *t, struct layer *l)
{
	(void)t;
	(void)l;
}

/* Lock held. Everything that the contract asks of a write. */
static void check_write(struct fake *f, const struct layer *l, uint32_t segment, uint64_t off,
			const uint8_t *data, uint64_t len)
{
	const struct fake_layer *fl = l->transport_data;
	const struct map_segment *ms = &l->map->segments[segment];
	const struct fake_segment *s = &fl->segments[segment];

	if (s->busy)
		violation(f, "segment %u is written twice at once", segment);
	if (s->complete)
		violation(f, "segment %u is written after it was complete", segment);
	if (off != s->len)
		violation(f, "segment %u: write at %llu, length is %llu", segment,
			  (unsigned long long)off, (unsigned long long)s->len);
	if (off % MAP_BLOCK_BYTES || len % MAP_BLOCK_BYTES || (uintptr_t)data % MAP_BLOCK_BYTES)
		violation(f, "segment %u: write is not aligned", segment);
	if (len == 0 || off + len > ms->size)
		violation(f, "segment %u: write of %llu at %llu, size is %llu", segment,
			  (unsigned long long)len, (unsigned long long)off,
			  (unsigned long long)ms->size);
	else if (memcmp(data, fl->truth + ms->blob_off + off, len) != 0)
		violation(f, "segment %u: WRONG BYTES written at %llu", segment,
			  (unsigned long long)off);
}

static int fake_segment_write(struct transport *t, struct layer *l, uint32_t segment,
			      uint64_t off, const uint8_t *data, uint64_t len, struct err *err)
{
	struct fake *f = fake_of(t);
	struct fake_layer *fl = l->transport_data;
	struct fake_segment *s = &fl->segments[segment];
	unsigned before;
	int r = 0;

	pthread_mutex_lock(&f->lock);
	before = f->violations;
	check_write(f, l, segment, off, data, len);
	s->busy = true;
	f->writes++;
	f->writes_waiting++;
	pthread_cond_broadcast(&f->changed);
	while (f->block_writes)
		pthread_cond_wait(&f->changed, &f->lock);
	f->writes_waiting--;
	f->seed = f->seed * 1664525u + 1013904223u;
	if (f->fail_write_one_in && (f->seed >> 8) % f->fail_write_one_in == 0) {
		r = err_sys(err, EIO, "segment %u", segment);
	} else if (len > f->space_left_bytes) {
		r = err_sys(err, ENOSPC, "segment %u", segment);
	} else if (before == f->violations) {
		f->space_left_bytes -= len;
		memcpy(fl->data + l->map->segments[segment].blob_off + off, data, len);
		s->len = off + len;
	}
	s->busy = false;
	pthread_mutex_unlock(&f->lock);
	return r;
}

static int fake_segment_complete(struct transport *t, struct layer *l, uint32_t segment,
				 struct err *err)
{
	struct fake *f = fake_of(t);
	struct fake_layer *fl = l->transport_data;

	(void)err;
	pthread_mutex_lock(&f->lock);
	if (fl->segments[segment].len != l->map->segments[segment].size)
		violation(f, "segment %u is called complete, but is not", segment);
	if (fl->segments[segment].complete)
		violation(f, "segment %u is called complete twice", segment);
	fl->segments[segment].complete = true;
	f->completes++;
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static int fake_layer_sync(struct transport *t, struct layer *l, struct err *err)
{
	struct fake *f = fake_of(t);
	struct fake_layer *fl = l->transport_data;
	int r = 0;

	pthread_mutex_lock(&f->lock);
	f->syncs++;
	if (f->sync_error)
		r = err_sys(err, f->sync_error, "sync");
	for (uint32_t i = 0; i < l->map->nsegments && r == 0; i++)
		fl->segments[i].synced = fl->segments[i].len;
	pthread_mutex_unlock(&f->lock);
	return r;
}

/* Lock held. Is all of the request there, and true? */
static void check_answer(struct fake *f, const struct kreq *k)
{
	const struct fake_layer *fl = k->layer->transport_data;
	const struct layer_map *m = k->layer->map;

	for (uint32_t i = layer_map_segment_find(m, k->off);
	     i < m->nsegments && m->segments[i].blob_off < k->off + k->len; i++) {
		uint64_t stop = k->off + k->len - m->segments[i].blob_off;

		if (stop > m->segments[i].size)
			stop = m->segments[i].size;
		if (fl->segments[i].len < stop)
			violation(f, "answered before the data of segment %u is there", i);
	}
	if (memcmp(fl->data + k->off, fl->truth + k->off, k->len) != 0)
		violation(f, "WRONG BYTES at %llu when answered", (unsigned long long)k->off);
}

static void fake_answer(struct transport *t, struct kreq *k, int status)
{
	struct fake *f = fake_of(t);
	struct fake_request *req = container_of(k, struct fake_request, kreq);

	pthread_mutex_lock(&f->lock);
	if (req->answers++ > 0)
		violation(f, "a request is answered twice");
	if (status != 0 && status != -EIO)
		violation(f, "answered with %d", status);
	req->status = status;
	if (status == 0)
		check_answer(f, k);
	pthread_mutex_unlock(&f->lock);
	if (status == 0)
		f->answered_ok++;
	else
		f->answered_error++;
}

static const struct transport_ops fake_ops = {
	.name = "fake",
	.start = fake_start,
	.stop = fake_stop,
	.layer_open = fake_layer_open,
	.layer_close = fake_layer_close,
	.segment_write = fake_segment_write,
	.segment_complete = fake_segment_complete,
	.layer_sync = fake_layer_sync,
	.answer = fake_answer,
};

void fake_init(struct fake *f)
{
	*f = (struct fake){ .transport = { &fake_ops }, .space_left_bytes = UINT64_MAX };
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	list_init(&f->requests);
}

unsigned fake_done(struct fake *f)
{
	while (!list_is_empty(&f->requests)) {
		struct fake_request *req = list_first(&f->requests, struct fake_request, link);

		if (req->answers != 1)
			violation(f, "a request was answered %u times", req->answers);
		list_del(&req->link);
		free(req);
	}
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	return f->violations;
}

int fake_layer_truth(struct fake *f, struct layer *l, const uint8_t *truth)
{
	struct fake_layer *fl = calloc(1, sizeof(*fl));

	if (!fl)
		return -ENOMEM;
	fl->truth = truth;
	fl->data = malloc(l->map->blob_size ? l->map->blob_size : 1);
	fl->segments = calloc(l->map->nsegments ? l->map->nsegments : 1, sizeof(*fl->segments));
	l->transport = &f->transport;
	l->transport_data = fl;
	if (!fl->data || !fl->segments) {
		fake_layer_done(l);
		return -ENOMEM;
	}
	/* Nothing that was not written may look right by chance, not even zeros. */
	memset(fl->data, 0xa5, l->map->blob_size);
	return 0;
}

void fake_layer_done(struct layer *l)
{
	struct fake_layer *fl = l->transport_data;

	if (!fl)
		return;
	free(fl->data);
	free(fl->segments);
	free(fl);
	l->transport_data = NULL;
}

void fake_layer_preset(struct layer *l, const uint64_t *lens)
{
	struct fake_layer *fl = l->transport_data;

	for (uint32_t i = 0; i < l->map->nsegments; i++) {
		const struct map_segment *ms = &l->map->segments[i];
		struct fake_segment *s = &fl->segments[i];

		s->len = lens[i] - lens[i] % MAP_BLOCK_BYTES;
		memcpy(fl->data + ms->blob_off, fl->truth + ms->blob_off, s->len);
	}
}

uint64_t fake_segment_len(const struct layer *l, uint32_t segment)
{
	const struct fake_layer *fl = l->transport_data;
	struct fake *f = fake_of(l->transport);
	uint64_t len;

	pthread_mutex_lock(&f->lock);
	len = fl->segments[segment].len;
	pthread_mutex_unlock(&f->lock);
	return len;
}

uint64_t fake_segment_synced(const struct layer *l, uint32_t segment)
{
	const struct fake_layer *fl = l->transport_data;
	struct fake *f = fake_of(l->transport);
	uint64_t len;

	pthread_mutex_lock(&f->lock);
	len = fl->segments[segment].synced;
	pthread_mutex_unlock(&f->lock);
	return len;
}

struct fake_request *fake_read(struct fake *f, struct layer *l, uint64_t off, uint64_t len)
{
	struct fake_request *req = calloc(1, sizeof(*req));

	if (!req)
		return NULL;
	req->kreq.transport = &f->transport;
	req->kreq.layer = l;
	req->kreq.off = off;
	req->kreq.len = len;
	list_add_tail(&f->requests, &req->link);
	conductor_request(f->conductor, &req->kreq);
	return req;
}

void fake_block_writes(struct fake *f, bool on)
{
	pthread_mutex_lock(&f->lock);
	f->block_writes = on;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

void fake_set_space(struct fake *f, uint64_t bytes)
{
	pthread_mutex_lock(&f->lock);
	f->space_left_bytes = bytes;
	pthread_mutex_unlock(&f->lock);
}

unsigned fake_writes_blocked(struct fake *f)
{
	unsigned n;

	pthread_mutex_lock(&f->lock);
	n = f->block_writes ? f->writes_waiting : 0;
	pthread_mutex_unlock(&f->lock);
	return n;
}
