/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc_make.h - makes zTOC bytes for tests, right or wrong on purpose.
 *
 * A FlatBuffers writer of its own, unlike the product's: it writes forward, gives every
 * table all its slots, and lets the caller patch what it wants to be wrong. A test writes
 * a struct make_ztoc, calls make_ztoc(), and may change the bytes at the noted positions.
 */
#ifndef LZ_TESTS_ZTOC_MAKE_H
#define LZ_TESTS_ZTOC_MAKE_H

#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "ztoc/format.h"
#include "ztoc/ztoc.h"

struct make_file {
	const char *name, *type, *linkname, *mod_time;
	int64_t offset, size, mode, devmajor, devminor;
	const char *pax_key, *pax_value;	/* one record, or none */
};

struct make_ckpt {
	int64_t in, out;
	uint8_t bits;
};

struct make_ztoc {
	int64_t comp_size, out_size, span_size;
	int8_t algorithm;		/* 0: gzip, field left at its default */
	bool legacy;			/* drop checkpoint 0 */
	const struct make_ckpt *ckpts;	/* gzip */
	uint32_t nckpts;
	uint32_t ndigests;
	const char *digest;		/* of every span; NULL: sha256 of nothing */
	int32_t max_span_id;
	const struct make_file *files;
	uint32_t nfiles;
	/* positions in the result */
	size_t root, toc, info, entries, digests, ckpt;
};

static inline void make_put(struct buf *b, size_t pos, uint64_t v, int nbytes)
{
	for (int i = 0; i < nbytes; i++)
		b->data[pos + (size_t)i] = (uint8_t)(v >> (8 * i));
}

static inline size_t make_add(struct buf *b, uint64_t v, int nbytes)
{
	size_t pos = b->len;
	static const uint8_t zeros[8];

	buf_add(b, zeros, (size_t)nbytes);
	make_put(b, pos, v, nbytes);
	return pos;
}

/* A vtable and a table with nslots fields of 8 bytes, zeroed. Returns the table. */
static inline size_t make_table(struct buf *b, int nslots)
{
	size_t vtable = b->len, table;

	make_add(b, (uint64_t)(4 + 2 * nslots), 2);
	make_add(b, (uint64_t)(4 + 8 * nslots), 2);
	for (int i = 0; i < nslots; i++)
		make_add(b, (uint64_t)(4 + 8 * i), 2);
	table = b->len;
	make_add(b, table - vtable, 4);
	for (int i = 0; i < nslots; i++)
		make_add(b, 0, 8);
	return table;
}

static inline size_t make_slot(size_t table, int slot)
{
	return table + 4 + 8 * (size_t)slot;
}

/* The offset field at pos points at what is added next. */
static inline void make_link(struct buf *b, size_t pos)
{
	make_put(b, pos, b->len - pos, 4);
}

static inline void make_str(struct buf *b, size_t pos, const char *s)
{
	make_link(b, pos);
	make_add(b, strlen(s), 4);
	buf_add(b, s, strlen(s) + 1);
}

/* A vector of count offsets, to be linked. Returns element 0. */
static inline size_t make_vector(struct buf *b, size_t pos, uint32_t count)
{
	size_t first;

	make_link(b, pos);
	make_add(b, count, 4);
	first = b->len;
	for (uint32_t i = 0; i < count; i++)
		make_add(b, 0, 4);
	return first;
}

static inline void make_file(struct buf *b, size_t pos, const struct make_file *f)
{
	size_t t, x;

	t = make_table(b, ZF_FILE_SLOTS);
	make_put(b, pos, t - pos, 4);
	make_str(b, make_slot(t, ZF_FILE_NAME), f->name);
	make_str(b, make_slot(t, ZF_FILE_TYPE), f->type ? f->type : "reg");
	make_put(b, make_slot(t, ZF_FILE_OFFSET), (uint64_t)f->offset, 8);
	make_put(b, make_slot(t, ZF_FILE_SIZE), (uint64_t)f->size, 8);
	make_str(b, make_slot(t, ZF_FILE_LINKNAME), f->linkname ? f->linkname : "");
	make_put(b, make_slot(t, ZF_FILE_MODE), (uint64_t)f->mode, 8);
	make_str(b, make_slot(t, ZF_FILE_UNAME), "");
	make_str(b, make_slot(t, ZF_FILE_GNAME), "");
	make_str(b, make_slot(t, ZF_FILE_MOD_TIME), f->mod_time ? f->mod_time : "");
	make_put(b, make_slot(t, ZF_FILE_DEVMAJOR), (uint64_t)f->devmajor, 8);
	make_put(b, make_slot(t, ZF_FILE_DEVMINOR), (uint64_t)f->devminor, 8);
	x = make_vector(b, make_slot(t, ZF_FILE_XATTRS), f->pax_key ? 1 : 0);
	if (f->pax_key) {
		size_t xt = make_table(b, ZF_XATTR_SLOTS);

		make_put(b, x, xt - x, 4);
		make_str(b, make_slot(xt, ZF_XATTR_KEY), f->pax_key);
		make_str(b, make_slot(xt, ZF_XATTR_VALUE), f->pax_value);
	}
}

static inline void make_gzip_ckpts(struct make_ztoc *m, struct buf *b, size_t pos)
{
	static const uint8_t window[ZTOC_WINDOW_BYTES];
	uint32_t first = m->legacy ? 1 : 0;

	make_link(b, pos);
	make_add(b, ZF_CKPT_HEAD_BYTES + (uint64_t)(m->nckpts - first) * ZF_CKPT_BYTES, 4);
	m->ckpt = b->len;
	make_add(b, m->nckpts, 4);
	make_add(b, (uint64_t)m->span_size, 8);
	for (uint32_t i = first; i < m->nckpts; i++) {
		make_add(b, (uint64_t)m->ckpts[i].in, 8);
		make_add(b, (uint64_t)m->ckpts[i].out, 8);
		make_add(b, m->ckpts[i].bits, 1);
		buf_add(b, window, sizeof(window));
	}
}

static inline void make_plain_ckpts(struct make_ztoc *m, struct buf *b, size_t pos)
{
	struct buf n = BUF_INIT(0);
	size_t t;

	make_add(&n, 0, 4);
	t = make_table(&n, ZF_PLAIN_SLOTS);
	make_put(&n, 0, t, 4);
	make_put(&n, make_slot(t, ZF_PLAIN_VERSION), ZF_PLAIN_VERSION_VALUE, 4);
	make_put(&n, make_slot(t, ZF_PLAIN_SPAN_SIZE), (uint64_t)m->span_size, 8);
	make_put(&n, make_slot(t, ZF_PLAIN_SIZE), (uint64_t)m->comp_size, 8);
	make_link(b, pos);
	make_add(b, n.len, 4);
	m->ckpt = b->len;
	buf_add(b, n.data, n.len);
	buf_done(&n);
}

static inline void make_ztoc(struct make_ztoc *m, struct buf *b)
{
	static const char empty[] =
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

	make_add(b, 0, 4);
	m->root = make_table(b, ZF_ZTOC_SLOTS);
	make_put(b, 0, m->root, 4);
	make_str(b, make_slot(m->root, ZF_ZTOC_VERSION), ZTOC_FORMAT_VERSION);
	make_str(b, make_slot(m->root, ZF_ZTOC_BUILD_TOOL), "test");
	make_put(b, make_slot(m->root, ZF_ZTOC_COMP_SIZE), (uint64_t)m->comp_size, 8);
	make_put(b, make_slot(m->root, ZF_ZTOC_OUT_SIZE), (uint64_t)m->out_size, 8);
	m->toc = make_table(b, ZF_TOC_SLOTS);
	make_put(b, make_slot(m->root, ZF_ZTOC_TOC), m->toc - make_slot(m->root, ZF_ZTOC_TOC), 4);
	m->entries = make_vector(b, make_slot(m->toc, ZF_TOC_METADATA), m->nfiles);
	for (uint32_t i = 0; i < m->nfiles; i++)
		make_file(b, m->entries + 4 * i, &m->files[i]);
	m->info = make_table(b, ZF_COMP_SLOTS);
	make_put(b, make_slot(m->root, ZF_ZTOC_COMPRESSION_INFO),
		 m->info - make_slot(m->root, ZF_ZTOC_COMPRESSION_INFO), 4);
	make_put(b, make_slot(m->info, ZF_COMP_ALGORITHM),
		 m->algorithm ? (uint64_t)m->algorithm : ZTOC_GZIP, 1);
	make_put(b, make_slot(m->info, ZF_COMP_MAX_SPAN_ID), (uint64_t)m->max_span_id, 4);
	m->digests = make_vector(b, make_slot(m->info, ZF_COMP_SPAN_DIGESTS), m->ndigests);
	for (uint32_t i = 0; i < m->ndigests; i++)
		make_str(b, m->digests + 4 * i, m->digest ? m->digest : empty);
	if (m->algorithm == ZTOC_UNCOMPRESSED)
		make_plain_ckpts(m, b, make_slot(m->info, ZF_COMP_CHECKPOINTS));
	else
		make_gzip_ckpts(m, b, make_slot(m->info, ZF_COMP_CHECKPOINTS));
}

#endif
