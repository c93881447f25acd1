/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * entries.c - the table of contents: files of the tar, in tar order.
 *
 * One function decodes an entry and says what is wrong with it; the check at open runs it
 * over all entries, the accessors run it again over one. Rules: soci-format.md 1.2-1.4.
 *
 * FlatBuffers may share: a hostile file of 1 MB could point a quarter million entries at
 * one vector of xattrs, or one long name. The budget bounds all that a walk over every
 * string and record can meet by a multiple of the file's size.
 */
#include "ztoc/private.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "ztoc/format.h"
#include "ztoc/mtime.h"

#define BUDGET_FACTOR 16u	/* bytes of text met per byte of file */
#define BUDGET_BASE (1u << 20)

/* Everything of an entry, with where it came from. */
struct decoded {
	struct ztoc_entry e;
	struct ztoc_str mod_time;
	uint64_t raw_size;
	struct fb_vector xattrs;
};

struct budget {
	uint64_t text_bytes, xattrs;
};

static bool str_is(struct ztoc_str s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.s, text, s.len) == 0;
}

static bool str_has_prefix(struct ztoc_str s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.len >= n && memcmp(s.s, prefix, n) == 0;
}

static const char *decode_strings(const struct fb_table *t, struct decoded *d)
{
	if (fb_string(t, ZF_FILE_NAME, &d->e.name) < 0)
		return "name";
	if (fb_string(t, ZF_FILE_LINKNAME, &d->e.linkname) < 0)
		return "linkname";
	if (fb_string(t, ZF_FILE_UNAME, &d->e.uname) < 0)
		return "uname";
	if (fb_string(t, ZF_FILE_GNAME, &d->e.gname) < 0)
		return "gname";
	if (fb_string(t, ZF_FILE_MOD_TIME, &d->mod_time) < 0 ||
	    ztoc_mtime_parse(d->mod_time, &d->e.mtime_sec, &d->e.mtime_nsec) < 0)
		return "mod_time";
	return NULL;
}

static const char *decode_type(const struct fb_table *t, struct decoded *d)
{
	static const char *const names[ZF_TYPE_COUNT] = ZF_TYPE_NAMES;
	struct ztoc_str type;

	if (fb_string(t, ZF_FILE_TYPE, &type) < 0)
		return "type";
	for (int i = 0; i < ZF_TYPE_COUNT; i++)
		if (str_is(type, names[i])) {
			d->e.type = (enum ztoc_type)i;
			return NULL;
		}
	return "type";
}

static bool fits_u32(int64_t v)
{
	return v >= 0 && v <= UINT32_MAX;
}

static const char *decode_numbers(const struct fb_table *t, struct decoded *d)
{
	bool dev = d->e.type == ZTOC_CHAR || d->e.type == ZTOC_BLOCK;
	int64_t offset, size, mode, major, minor;

	if (fb_i64(t, ZF_FILE_OFFSET, 0, &offset) < 0 || offset < 0)
		return "uncompressed_offset";
	if (fb_i64(t, ZF_FILE_SIZE, 0, &size) < 0 || size < 0)
		return "uncompressed_size";
	if (fb_i64(t, ZF_FILE_MODE, 0, &mode) < 0 || mode < 0)
		return "mode";
	if (fb_u32(t, ZF_FILE_UID, 0, &d->e.uid) < 0)
		return "uid";
	if (fb_u32(t, ZF_FILE_GID, 0, &d->e.gid) < 0)
		return "gid";
	if (fb_i64(t, ZF_FILE_DEVMAJOR, 0, &major) < 0 || (dev && !fits_u32(major)))
		return "devmajor";
	if (fb_i64(t, ZF_FILE_DEVMINOR, 0, &minor) < 0 || (dev && !fits_u32(minor)))
		return "devminor";
	d->e.offset = (uint64_t)offset;
	d->raw_size = (uint64_t)size;
	d->e.size = d->e.type == ZTOC_REG ? (uint64_t)size : 0;
	d->e.mode = (uint32_t)mode & 07777;
	d->e.devmajor = fits_u32(major) ? (uint32_t)major : 0;
	d->e.devminor = fits_u32(minor) ? (uint32_t)minor : 0;
	return NULL;
}

/* NULL, or the name of the field that is wrong. */
static const char *decode(const struct ztoc *z, uint32_t i, struct decoded *d)
{
	struct fb_table t;
	const char *bad;

	if (fb_vector_table(&z->entries, i, &t) < 0)
		return "table";
	bad = decode_strings(&t, d);
	if (!bad)
		bad = decode_type(&t, d);
	if (!bad)
		bad = decode_numbers(&t, d);
	if (bad)
		return bad;
	if (fb_vector(&t, ZF_FILE_XATTRS, 4, &d->xattrs) < 0)
		return "xattrs";
	d->e.nxattrs = d->xattrs.count;
	return NULL;
}

static int xattr_at(const struct fb_vector *xattrs, uint32_t k, struct ztoc_xattr *ret)
{
	struct fb_table t;

	if (fb_vector_table(xattrs, k, &t) < 0 || fb_string(&t, ZF_XATTR_KEY, &ret->key) < 0 ||
	    fb_string(&t, ZF_XATTR_VALUE, &ret->value) < 0)
		return -EINVAL;
	return 0;
}

static bool spend(uint64_t *budget, uint64_t cost)
{
	if (cost > *budget)
		return false;
	*budget -= cost;
	return true;
}

static const char *check_xattrs(const struct decoded *d, struct budget *b, bool *ret_sparse)
{
	*ret_sparse = false;
	if (!spend(&b->xattrs, d->xattrs.count))
		return "xattrs: more in total than the file has room for";
	for (uint32_t k = 0; k < d->xattrs.count; k++) {
		struct ztoc_xattr x;

		if (xattr_at(&d->xattrs, k, &x) < 0)
			return "xattrs";
		if (!spend(&b->text_bytes, (uint64_t)x.key.len + x.value.len))
			return "xattrs: more text in total than the file has room for";
		if (str_has_prefix(x.key, "GNU.sparse."))
			*ret_sparse = true;
	}
	return NULL;
}

/* NULL, or what is wrong. A sparse file's size is that of the expanded file: no range. */
static const char *check_entry(const struct ztoc *z, const struct decoded *d, bool sparse)
{
	if (d->e.name.len == 0)
		return "name: empty";
	if (d->e.offset > z->out_size)
		return "uncompressed_offset: past the end of the tar";
	if (!sparse && d->e.size > z->out_size - d->e.offset)
		return "uncompressed_size: past the end of the tar";
	if (d->e.size > 0 && z->nspans == 0)
		return "uncompressed_size: data in a layer without spans";
	return NULL;
}

int ztoc_entries_check(struct ztoc *z, struct err *err)
{
	uint64_t file_bytes = z->entries.fb.len;
	struct budget b = { BUDGET_FACTOR * file_bytes + BUDGET_BASE, file_bytes / 4 };
	char name[512];

	z->first_sparse = ZTOC_NO_ENTRY;
	for (uint32_t i = 0; i < z->entries.count; i++) {
		struct decoded d;
		bool sparse = false;
		const char *bad = decode(z, i, &d);

		if (bad)
			return ztoc_corrupt(err, "zTOC: entry %u: bad %s", i, bad);
		if (!spend(&b.text_bytes, (uint64_t)d.e.name.len + d.e.linkname.len +
						  d.e.uname.len + d.e.gname.len))
			bad = "names: more text in total than the file has room for";
		if (!bad)
			bad = check_xattrs(&d, &b, &sparse);
		if (!bad)
			bad = check_entry(z, &d, sparse);
		if (bad)
			return ztoc_corrupt(err, "zTOC: entry %u (\"%s\"): bad %s", i,
					    ztoc_str_printable(d.e.name, name), bad);
		if (sparse && z->first_sparse == ZTOC_NO_ENTRY)
			z->first_sparse = i;
	}
	return 0;
}

/* Decode a checked entry. */
static void get(const struct ztoc *z, uint64_t i, struct decoded *d)
{
	const char *bad;

	assert(i < z->entries.count);
	bad = decode(z, (uint32_t)i, d);
	assert(!bad);
	(void)bad;
}

uint64_t ztoc_entry_count(const struct ztoc *z)
{
	return z->entries.count;
}

void ztoc_entry_get(const struct ztoc *z, uint64_t i, struct ztoc_entry *ret)
{
	struct decoded d;

	get(z, i, &d);
	*ret = d.e;
}

struct ztoc_str ztoc_entry_mod_time(const struct ztoc *z, uint64_t i)
{
	struct decoded d;

	get(z, i, &d);
	return d.mod_time;
}

uint64_t ztoc_entry_raw_size(const struct ztoc *z, uint64_t i)
{
	struct decoded d;

	get(z, i, &d);
	return d.raw_size;
}

/* The xattrs of a checked entry, without decoding the rest. */
static struct fb_vector get_xattrs(const struct ztoc *z, uint64_t i)
{
	struct fb_vector v = { .count = 0 };
	struct fb_table t;
	int r;

	assert(i < z->entries.count);
	r = fb_vector_table(&z->entries, (uint32_t)i, &t);
	if (r == 0)
		r = fb_vector(&t, ZF_FILE_XATTRS, 4, &v);
	assert(r >= 0);
	return v;
}

static void get_xattr(const struct fb_vector *xattrs, uint32_t k, struct ztoc_xattr *ret)
{
	int r = xattr_at(xattrs, k, ret);

	assert(r == 0);
	(void)r;
}

void ztoc_xattr_get(const struct ztoc *z, uint64_t i, uint32_t k, struct ztoc_xattr *ret)
{
	struct fb_vector xattrs = get_xattrs(z, i);

	get_xattr(&xattrs, k, ret);
}

bool ztoc_entry_is_sparse(const struct ztoc *z, uint64_t i)
{
	struct fb_vector xattrs = { .count = 0 };

	if (z->first_sparse != ZTOC_NO_ENTRY)
		xattrs = get_xattrs(z, i);
	for (uint32_t k = 0; k < xattrs.count; k++) {
		struct ztoc_xattr x;

		get_xattr(&xattrs, k, &x);
		if (str_has_prefix(x.key, "GNU.sparse."))
			return true;
	}
	return false;
}
