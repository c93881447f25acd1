/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify.c - see verify.h. */
#include "ztoc/verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ztoc/gzip.h"
#include "ztoc/private.h"
#include "ztoc/tarscan.h"

struct verify {
	const struct extract *x;
	struct tarscan *scan;
	uint64_t next_entry;		/* that the tar is to show */
	struct verify_totals totals;
	struct err err;			/* why the scan stopped */
	uint8_t tail[ZTOC_WINDOW_BYTES];	/* last bytes of the tar; zeros before it */
};

static void verify_free(struct verify *v)
{
	tarscan_free(v->scan);
	free(v);
}

DEFINE_CLEANUP(struct verify *, verify_free, verify_freep)

/* --- entries: the tar's headers against the table of contents ---------------------- */

static bool str_equal(struct ztoc_str a, struct ztoc_str b)
{
	return a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

static bool records_equal(const struct ztoc *z, uint64_t i, const struct ztoc_entry *e,
			  const struct tarscan_entry *t)
{
	if (e->nxattrs != t->nrecords)
		return false;
	for (uint32_t k = 0; k < t->nrecords; k++) {
		struct ztoc_xattr x;

		ztoc_xattr_get(z, i, k, &x);
		if (!str_equal(x.key, t->records[k].key) || !str_equal(x.value, t->records[k].value))
			return false;
	}
	return true;
}

/* A zTOC has no time beyond the year 9999. */
static bool mtime_equal(const struct ztoc *z, uint64_t i, const struct ztoc_entry *e,
			const struct tarscan_entry *t)
{
	if (ztoc_entry_mod_time(z, i).len == 0)
		return t->mtime_sec > 253402300799 - 86400 || t->mtime_sec < -62167219200 + 86400;
	return e->mtime_sec == t->mtime_sec && e->mtime_nsec == t->mtime_nsec;
}

/* Name of the first field that differs, or NULL. */
static const char *difference(const struct ztoc *z, uint64_t i, const struct ztoc_entry *e,
			      const struct tarscan_entry *t)
{
	bool dev = e->type == ZTOC_CHAR || e->type == ZTOC_BLOCK;

	if (!str_equal(e->name, t->name))
		return "name";
	if (e->type != t->type)
		return "type";
	if (e->offset != t->offset)
		return "offset";
	if (t->size < 0 || ztoc_entry_raw_size(z, i) != (uint64_t)t->size)
		return "size";
	if (!str_equal(e->linkname, t->linkname))
		return "link name";
	if (e->mode != ((uint64_t)t->mode & 07777))
		return "mode";
	if (e->uid != (uint32_t)t->uid || e->gid != (uint32_t)t->gid)
		return "owner";
	if (!str_equal(e->uname, t->uname) || !str_equal(e->gname, t->gname))
		return "owner's name";
	if (!mtime_equal(z, i, e, t))
		return "modification time";
	if (dev && (e->devmajor != t->devmajor || e->devminor != t->devminor))
		return "device number";
	return records_equal(z, i, e, t) ? NULL : "extended attributes";
}

static int check_entry(void *arg, const struct tarscan_entry *t, struct err *err)
{
	struct verify *v = arg;
	const struct ztoc *z = v->x->ztoc;
	uint64_t i = v->next_entry++;
	struct ztoc_entry e;
	const char *what;
	char name[512];

	if (i >= ztoc_entry_count(z))
		return ztoc_corrupt(err, "\"%s\" is in the tar, but not in the zTOC",
				    ztoc_str_printable(t->name, name));
	ztoc_entry_get(z, i, &e);
	what = difference(z, i, &e, t);
	if (what)
		return ztoc_corrupt(err, "entry %llu (\"%s\"): the tar has another %s",
				    (unsigned long long)i, ztoc_str_printable(e.name, name), what);
	if (e.type != ZTOC_REG)
		return 0;
	if (ztoc_entry_is_sparse(z, i)) {
		v->totals.sparse_files++;
	} else {
		v->totals.files++;
		v->totals.file_bytes += e.size;
	}
	return 0;
}

static int finish_entries(struct verify *v, struct err *err)
{
	const struct ztoc *z = v->x->ztoc;
	uint64_t size;
	int r = tarscan_finish(v->scan, &size, err);

	if (r < 0)
		return err_prefix(err, "layer");
	if (v->next_entry != ztoc_entry_count(z))
		return ztoc_corrupt(err, "the tar has %llu entries, the zTOC %llu",
				    (unsigned long long)v->next_entry,
				    (unsigned long long)ztoc_entry_count(z));
	if (size != ztoc_out_size(z))
		return ztoc_corrupt(err, "the tar ends at %llu, the zTOC says %llu",
				    (unsigned long long)size,
				    (unsigned long long)ztoc_out_size(z));
	return 0;
}

/* --- spans ------------------------------------------------------------------------- */

static int take_sink(void *arg, const uint8_t *data, size_t len)
{
	struct verify *v = arg;
	size_t keep = len < sizeof(v->tail) ? len : sizeof(v->tail);

	memmove(v->tail, v->tail + keep, sizeof(v->tail) - keep);
	memcpy(v->tail + sizeof(v->tail) - keep, data + len - keep, keep);
	return tarscan_feed(v->scan, data, len, &v->err);
}

/* In the last span: what follows the archive's end may be anything. */
static int last_sink(void *arg, const uint8_t *data, size_t len)
{
	struct verify *v = arg;
	int r = tarscan_feed(v->scan, data, len, &v->err);

	return r == 0 && tarscan_is_done(v->scan) ? -ECANCELED : r;
}

/* The gzip header ends where span 0 begins. */
static int check_header(const struct extract *x, struct err *err)
{
	struct gzip_header h = { .part = GZIP_FIXED };
	uint64_t off = 0;
	struct ztoc_span s;
	int done = 0;

	ztoc_span_get(x->ztoc, 0, &s);
	while (done == 0) {
		uint8_t buf[512];
		uint64_t left = ztoc_comp_size(x->ztoc) - off;
		size_t n = left < sizeof(buf) ? (size_t)left : sizeof(buf);
		int r = extract_read_layer(x, buf, n, off, err);

		if (r < 0)
			return r;
		if (n == 0)
			return ztoc_corrupt(err, "layer: the gzip header has no end");
		for (size_t k = 0; k < n && done == 0; k++, off++)
			done = gzip_header_feed(&h, buf[k]);
	}
	if (done < 0)
		return ztoc_corrupt(err, "layer: no gzip header");
	if (off != s.comp_start)
		return ztoc_corrupt(err, "layer: the gzip header has %llu bytes, but the zTOC has "
				    "span 0 start at %llu",
				    (unsigned long long)off, (unsigned long long)s.comp_start);
	return 0;
}

static int check_span(struct verify *v, uint32_t i, struct err *err)
{
	struct ztoc_span s;
	int r;

	ztoc_span_get(v->x->ztoc, i, &s);
	if (s.window && memcmp(s.window, v->tail, sizeof(v->tail)) != 0)
		return ztoc_corrupt(err, "span %u: its window is not what precedes it in the tar", i);
	if (i + 1 < ztoc_span_count(v->x->ztoc))
		r = extract_span(v->x, i, take_sink, v, err);
	else
		r = extract_rest(v->x, last_sink, v, err);
	if (r < 0 && v->err.num) {
		if (err)
			*err = v->err;
		return -v->err.num;
	}
	v->totals.spans++;
	v->totals.comp_bytes += s.comp_end - s.comp_start;
	v->totals.out_bytes += s.out_end - s.out_start;
	return r;
}

int verify_layer(const struct extract *x, struct verify_totals *ret, struct err *err)
{
	const struct tarscan_opts opts = { 0 };
	cleanup_(verify_freep) struct verify *v = calloc(1, sizeof(*v));
	uint32_t nspans = ztoc_span_count(x->ztoc);
	int r;

	if (!v)
		return err_sys(err, ENOMEM, "verify");
	v->x = x;
	v->totals.entries = ztoc_entry_count(x->ztoc);
	r = tarscan_new(&opts, check_entry, v, &v->scan, err);
	if (r == 0)
		r = extract_check_layer(x, err);
	if (r == 0 && nspans > 0 && ztoc_compression(x->ztoc) == ZTOC_GZIP)
		r = check_header(x, err);
	for (uint32_t i = 0; i < nspans && r == 0; i++)
		r = check_span(v, i, err);
	if (r == 0)
		r = finish_entries(v, err);
	if (r == 0)
		*ret = v->totals;
	return r;
}
