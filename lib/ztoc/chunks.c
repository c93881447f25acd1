/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunks.c - see chunks.h. */
#include "ztoc/chunks.h"

#include <sys/mman.h>

static struct chunk *chunk_new(size_t n)
{
	size_t want;
	struct chunk *k;

	if (__builtin_add_overflow(n, sizeof(*k), &want))
		return NULL;
	if (want < CHUNK_BYTES)
		want = CHUNK_BYTES;
	k = mmap(NULL, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (k == MAP_FAILED)
		return NULL;
	k->mapped = want;
	return k;
}

void *chunks_add(struct chunks *c, size_t n)
{
	struct chunk *k = c->last;
	uint8_t *p;

	if (!k || n > k->mapped - sizeof(*k) - k->len) {
		k = chunk_new(n);
		if (!k)
			return NULL;
		k->prev = c->last;
		if (c->last)
			c->last->next = k;
		else
			c->first = k;
		c->last = k;
	}
	p = k->data + k->len;
	k->len += n;
	return p;
}

void chunks_drop_first(struct chunks *c)
{
	struct chunk *k = c->first;

	c->first = k->next;
	if (c->first)
		c->first->prev = NULL;
	else
		c->last = NULL;
	munmap(k, k->mapped);
}

void chunks_drop_last(struct chunks *c)
{
	struct chunk *k = c->last;

	c->last = k->prev;
	if (c->last)
		c->last->next = NULL;
	else
		c->first = NULL;
	munmap(k, k->mapped);
}

void chunks_done(struct chunks *c)
{
	while (c->first)
		chunks_drop_first(c);
}
