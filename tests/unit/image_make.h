/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * image_make.h - layers for tests of lib/image and mkfs, from a table of entries.
 *
 * A layer is an array of struct mk_entry, ended by one without a name. Tar offsets are
 * given out as GNU tar would; spans lie every mk_span_bytes of tar. The bytes are written
 * by lib/ztoc's writer and read back by its reader, as in life.
 */
#ifndef LZ_TESTS_IMAGE_MAKE_H
#define LZ_TESTS_IMAGE_MAKE_H

#include <string.h>

#include "base/digest.h"
#include "base/io.h"
#include "image/map.h"
#include "tap.h"
#include "ztoc/write.h"
#include "ztoc/ztoc.h"

struct mk_xattr {
	const char *key, *value;
	uint32_t value_len;	/* 0: strlen(value) */
};

struct mk_entry {
	const char *name;
	enum ztoc_type type;
	uint64_t size;
	const char *link;
	uint32_t mode, uid, gid;	/* mode 0: 0644, or 0755 for directories */
	const char *mtime;		/* NULL: the epoch */
	uint32_t major, minor;
	const struct mk_xattr *xattrs;	/* ends with a NULL key; sorted */
	uint32_t name_len;		/* 0: strlen(name) */
	uint64_t offset;		/* 0: the next free one */
};

struct mk_layer {
	uint8_t *bytes;
	size_t len;
	struct ztoc *ztoc;
	struct digest digest;
	struct layer_map *map;
};

/* ZTOC_UNCOMPRESSED makes zTOCs without windows: for layers of very many spans. */
__attribute__((unused)) static enum ztoc_compression mk_compression = ZTOC_GZIP;

static inline struct ztoc_str mk_str(const char *s, uint32_t len)
{
	return (struct ztoc_str){ s ? s : "", s ? len ? len : (uint32_t)strlen(s) : 0 };
}

static inline void mk_add_entry(struct ztoc_model *m, const struct mk_entry *in, uint64_t *tar)
{
	struct ztoc_xattr records[64];
	struct ztoc_model_entry e = {
		.type = in->type, .size = (int64_t)in->size, .uid = in->uid, .gid = in->gid,
		.mode = in->mode ? in->mode : in->type == ZTOC_DIR ? 0755 : 0644,
		.devmajor = in->major, .devminor = in->minor,
		.name = mk_str(in->name, in->name_len), .linkname = mk_str(in->link, 0),
		.uname = mk_str(NULL, 0), .gname = mk_str(NULL, 0), .records = records,
		.mod_time = mk_str(in->mtime ? in->mtime : "1970-01-01T00:00:00Z", 0),
	};

	for (const struct mk_xattr *x = in->xattrs; x && x->key; x++) {
		records[e.nrecords].key = mk_str(x->key, 0);
		records[e.nrecords++].value = mk_str(x->value, x->value_len);
	}
	*tar += 512;
	e.offset = in->offset ? in->offset : *tar;
	if (in->type == ZTOC_REG)
		*tar += io_round_up(in->size, 512);
	if (ztoc_model_add_entry(m, &e, NULL) < 0)
		bail("entry");
}

static inline void mk_add_spans(struct ztoc_model *m, uint64_t span_bytes)
{
	static const uint8_t window[ZTOC_WINDOW_BYTES];

	for (uint64_t out = 0; out == 0 || out < m->out_size; out += span_bytes) {
		struct digest d;

		digest_of(&out, sizeof(out), &d);
		if (m->compression == ZTOC_GZIP &&
		    ztoc_model_add_point(m, 10 + out / 2, out, 0, window, NULL) < 0)
			bail("span");
		if (ztoc_model_add_digest(m, &d, NULL) < 0)
			bail("digest");
	}
}

/* zTOC only: the map may be what is under test. */
static inline void mk_ztoc(struct mk_layer *l, const struct mk_entry *entries, uint64_t span_bytes)
{
	struct ztoc_model m;
	struct err err = ERR_INIT;
	uint64_t tar = 0;

	memset(l, 0, sizeof(*l));
	ztoc_model_init(&m, 1ull << 30);
	m.build_tool = "test";
	m.compression = mk_compression;
	m.span_size = span_bytes;
	for (; entries->name; entries++)
		mk_add_entry(&m, entries, &tar);
	m.out_size = tar + 1024;
	m.comp_size = mk_compression == ZTOC_GZIP ? 10 + m.out_size / 2 + span_bytes : m.out_size;
	mk_add_spans(&m, span_bytes);
	if (ztoc_model_write(&m, &l->bytes, &l->len, &err) < 0)
		bail("%s", err.text);
	ztoc_model_done(&m);
	digest_of(l->bytes, l->len, &l->digest);
	if (ztoc_open(l->bytes, l->len, &l->ztoc, &err) < 0)
		bail("%s", err.text);
}

static inline void mk_layer(struct mk_layer *l, const struct mk_entry *entries, uint64_t span_bytes)
{
	struct err err = ERR_INIT;

	mk_ztoc(l, entries, span_bytes);
	if (layer_map_build(l->ztoc, &l->digest, &l->map, &err) < 0)
		bail("%s", err.text);
}

static inline void mk_done(struct mk_layer *l)
{
	layer_map_free(l->map);
	ztoc_free(l->ztoc);
	free(l->bytes);
}

#endif
