/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fbw.c - see fbw.h. */
#include "ztoc/fbw.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"

#define REF_BYTES 4u
#define VTABLE_WORD 2u
#define VTABLE_HEAD 2u			/* words: size of the vtable, size of the table */

void fbw_init(struct fbw *w, size_t size_hint, size_t max_bytes)
{
	memset(w, 0, sizeof(*w));
	w->max_bytes = max_bytes && max_bytes < FBW_MAX_BYTES ? max_bytes : FBW_MAX_BYTES;
	w->min_align = 1;
	if (!size_hint || size_hint > w->max_bytes)
		return;
	w->bytes = malloc(size_hint);
	if (w->bytes)
		w->cap = size_hint;
	else
		w->error = -ENOMEM;
}

void fbw_init_measure(struct fbw *w, size_t max_bytes)
{
	fbw_init(w, 0, max_bytes);
	w->measure = true;
}

void fbw_done(struct fbw *w)
{
	free(w->bytes);
	free(w->vtables);
	memset(w, 0, sizeof(*w));
}

static uint8_t *at(const struct fbw *w, fbw_ref ref)
{
	return w->bytes + (w->cap - ref);
}

/* Make room for n more bytes in front. */
static int reserve(struct fbw *w, size_t n)
{
	size_t cap;
	uint8_t *p;

	if (w->error)
		return w->error;
	if (!w->measure && n <= w->cap - w->used)
		return 0;
	if (n > w->max_bytes || w->used > w->max_bytes - n)
		return w->error = -EFBIG;
	if (w->measure)
		return 0;
	cap = w->cap ? w->cap : 1024;
	while (cap < w->used + n)
		cap *= 2;
	p = malloc(cap);
	if (!p)
		return w->error = -ENOMEM;
	if (w->used)
		memcpy(p + (cap - w->used), at(w, (fbw_ref)w->used), w->used);
	free(w->bytes);
	w->bytes = p;
	w->cap = cap;
	return 0;
}

/* Place n bytes in front, to be written; few ones, that the caller has reserved. */
static uint8_t *place(struct fbw *w, size_t n)
{
	w->used += n;
	return w->measure ? w->scratch : at(w, (fbw_ref)w->used);
}

/* Pad so that the content is a multiple of `size` after `extra` more bytes; reserve `room`. */
static int pad_to(struct fbw *w, uint32_t size, size_t extra, size_t room)
{
	size_t pad = (size_t)(0 - (w->used + extra)) & (size - 1);
	int r = reserve(w, pad + room);

	if (r < 0)
		return r;
	memset(place(w, pad), 0, pad);
	return 0;
}

/* For an object of `size` alignment in front of `extra` more bytes. */
static int prep(struct fbw *w, uint32_t size, size_t extra)
{
	if (size > w->min_align)
		w->min_align = size;
	return pad_to(w, size, extra, extra + size);
}

static fbw_ref put_ref(struct fbw *w, fbw_ref ref)
{
	uint8_t *p;

	if (prep(w, REF_BYTES, 0) < 0)
		return 0;
	p = place(w, REF_BYTES);
	le32_put(p, (uint32_t)w->used - ref);
	return (fbw_ref)w->used;
}

void fbw_vector_begin(struct fbw *w, size_t bytes)
{
	if (bytes > FBW_MAX_BYTES)
		w->error = w->error ? w->error : -EFBIG;
	prep(w, REF_BYTES, bytes);
}

void fbw_vector_bytes(struct fbw *w, const void *data, size_t len)
{
	if (w->error)
		return;
	w->used += len;
	if (len && !w->measure)
		memcpy(at(w, (fbw_ref)w->used), data, len);
}

void fbw_vector_ref(struct fbw *w, fbw_ref ref)
{
	put_ref(w, ref);
}

fbw_ref fbw_vector_end(struct fbw *w, size_t count)
{
	if (w->error)
		return 0;
	le32_put(place(w, REF_BYTES), (uint32_t)count);
	return (fbw_ref)w->used;
}

fbw_ref fbw_string(struct fbw *w, const void *s, size_t len)
{
	fbw_vector_begin(w, len < FBW_MAX_BYTES ? len + 1 : SIZE_MAX);
	fbw_vector_bytes(w, "", 1);
	fbw_vector_bytes(w, s, len);
	return fbw_vector_end(w, len);
}

fbw_ref fbw_byte_vector(struct fbw *w, const void *data, size_t len)
{
	fbw_vector_begin(w, len);
	fbw_vector_bytes(w, data, len);
	return fbw_vector_end(w, len);
}

fbw_ref fbw_ref_vector(struct fbw *w, const fbw_ref *refs, size_t n)
{
	fbw_vector_begin(w, n < FBW_MAX_BYTES / REF_BYTES ? n * REF_BYTES : SIZE_MAX);
	for (size_t i = n; i > 0; i--)
		fbw_vector_ref(w, refs[i - 1]);
	return fbw_vector_end(w, n);
}

void fbw_table_begin(struct fbw *w, unsigned int nslots)
{
	memset(w->slots, 0, sizeof(w->slots));
	w->nslots = nslots;
	w->table_base = (uint32_t)w->used;
}

static uint8_t *add_field(struct fbw *w, unsigned int slot, uint32_t size)
{
	uint8_t *p;

	if (prep(w, size, 0) < 0)
		return NULL;
	p = place(w, size);
	w->slots[slot] = (uint32_t)w->used;
	return p;
}

void fbw_add_ref(struct fbw *w, unsigned int slot, fbw_ref ref)
{
	if (ref && put_ref(w, ref))
		w->slots[slot] = (uint32_t)w->used;
}

void fbw_add_i64(struct fbw *w, unsigned int slot, int64_t v, int64_t dflt)
{
	uint8_t *p = v == dflt ? NULL : add_field(w, slot, 8);

	if (p)
		le64_put(p, (uint64_t)v);
}

void fbw_add_u32(struct fbw *w, unsigned int slot, uint32_t v, uint32_t dflt)
{
	uint8_t *p = v == dflt ? NULL : add_field(w, slot, 4);

	if (p)
		le32_put(p, v);
}

void fbw_add_i32(struct fbw *w, unsigned int slot, int32_t v, int32_t dflt)
{
	fbw_add_u32(w, slot, (uint32_t)v, (uint32_t)dflt);
}

void fbw_add_i8(struct fbw *w, unsigned int slot, int8_t v, int8_t dflt)
{
	uint8_t *p = v == dflt ? NULL : add_field(w, slot, 1);

	if (p)
		*p = (uint8_t)v;
}

static fbw_ref find_vtable(const struct fbw *w, const uint16_t *offsets, unsigned int n)
{
	for (size_t i = w->nvtables; i > 0; i--) {
		const struct fbw_vtable *v = &w->vtables[i - 1];

		if (v->nslots == n && memcmp(v->offsets, offsets, n * sizeof(*offsets)) == 0)
			return v->ref;
	}
	return 0;
}

static void remember_vtable(struct fbw *w, const uint16_t *offsets, unsigned int n)
{
	struct fbw_vtable *v;

	if (w->nvtables == w->vtables_cap) {
		size_t cap = w->vtables_cap ? w->vtables_cap * 2 : 16;

		v = realloc(w->vtables, cap * sizeof(*v));
		if (!v) {
			w->error = -ENOMEM;
			return;
		}
		w->vtables = v;
		w->vtables_cap = cap;
	}
	v = &w->vtables[w->nvtables++];
	v->ref = (fbw_ref)w->used;
	v->nslots = (uint16_t)n;
	memcpy(v->offsets, offsets, n * sizeof(*offsets));
}

/* The vtable right in front of its table; all its words are 2-aligned already. */
static fbw_ref put_vtable(struct fbw *w, fbw_ref table, const uint16_t *offsets, unsigned int n)
{
	size_t bytes = (n + VTABLE_HEAD) * VTABLE_WORD;
	uint8_t *p;

	if (reserve(w, bytes) < 0)
		return 0;
	p = place(w, bytes);
	le16_put(p, (uint16_t)bytes);
	le16_put(p + VTABLE_WORD, (uint16_t)(table - w->table_base));
	for (unsigned int i = 0; i < n; i++)
		le16_put(p + (VTABLE_HEAD + i) * VTABLE_WORD, offsets[i]);
	remember_vtable(w, offsets, n);
	return (fbw_ref)w->used;
}

fbw_ref fbw_table_end(struct fbw *w)
{
	uint16_t offsets[FBW_MAX_SLOTS];
	unsigned int n = w->nslots;
	fbw_ref table, vtable;

	if (prep(w, REF_BYTES, 0) < 0)
		return 0;
	place(w, REF_BYTES);
	table = (fbw_ref)w->used;
	while (n > 0 && !w->slots[n - 1])
		n--;
	for (unsigned int i = 0; i < n; i++)
		offsets[i] = (uint16_t)(w->slots[i] ? table - w->slots[i] : 0);
	vtable = find_vtable(w, offsets, n);
	if (!vtable)
		vtable = put_vtable(w, table, offsets, n);
	if (w->error)
		return 0;
	/* From the table to its vtable, positive when the vtable lies in front. */
	if (!w->measure)
		le32_put(at(w, table), vtable - table);
	return table;
}

int fbw_finish(struct fbw *w, fbw_ref root, const uint8_t **ret, size_t *ret_len)
{
	pad_to(w, w->min_align, REF_BYTES, REF_BYTES);
	put_ref(w, root);
	if (w->error)
		return w->error;
	*ret = w->measure ? NULL : at(w, (fbw_ref)w->used);
	*ret_len = w->used;
	return 0;
}

uint8_t *fbw_take(struct fbw *w)
{
	uint8_t *bytes = w->bytes;

	assert(w->used == w->cap);
	w->bytes = NULL;
	return bytes;
}
