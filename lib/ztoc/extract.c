/* SPDX-License-Identifier: GPL-2.0-or-later */
/* extract.c - see extract.h. */
#include "ztoc/extract.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"

#define HOLD_BYTES (16u << 20)	/* a span of at most this many bytes is read once */
#define PIECE_BYTES (1u << 20)

DEFINE_CLEANUP(struct inflater *, inflater_free, inflater_freep)

int extract_read_layer(const struct extract *x, uint8_t *buf, size_t len, uint64_t off,
		       struct err *err)
{
	uint64_t end = x->part_end ? x->part_end : UINT64_MAX;
	int r;

	if (off < x->part_start || off > end || len > end - off)
		return err_set(err, ERR_BUG, EIO, "layer: %zu bytes at %llu are not at hand", len,
			       (unsigned long long)off);
	r = io_pread_full(x->layer_fd, buf, len, off - x->part_start);
	return r < 0 ? err_sys(err, -r, "layer: cannot read %zu bytes at %llu", len,
			       (unsigned long long)off)
		     : 0;
}

static int check_digest(const struct digest *got, const struct ztoc_span *s, struct err *err)
{
	char want_text[DIGEST_TEXT_SIZE], got_text[DIGEST_TEXT_SIZE];

	if (digest_is_equal(got, &s->digest))
		return 0;
	digest_format(&s->digest, want_text);
	digest_format(got, got_text);
	return err_set(err, ERR_CORRUPT, EIO, "layer bytes %llu..%llu have digest %s, not %s",
		       (unsigned long long)s->comp_start, (unsigned long long)s->comp_end,
		       got_text, want_text);
}

/* A span that fits: read, check, then inflate. */
static int span_held(const struct extract *x, const struct ztoc_span *s, struct inflater *inf,
		     struct err *err)
{
	size_t len = (size_t)(s->comp_end - s->comp_start);
	cleanup_free uint8_t *buf = malloc(len ? len : 1);
	struct digest got;
	int r;

	if (!buf)
		return err_sys(err, ENOMEM, "%zu bytes", len);
	r = extract_read_layer(x, buf, len, s->comp_start, err);
	if (r < 0)
		return r;
	digest_of(buf, len, &got);
	r = check_digest(&got, s, err);
	return r < 0 ? r : inflater_feed(inf, buf, len, err);
}

/* One reading of a large span: inf NULL, only its digest is checked. */
static int span_pass(const struct extract *x, const struct ztoc_span *s, uint8_t *buf,
		     struct inflater *inf, struct err *err)
{
	struct digest_ctx ctx;
	struct digest got;

	digest_init(&ctx);
	for (uint64_t off = s->comp_start; off < s->comp_end;) {
		uint64_t left = s->comp_end - off;
		size_t n = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
		int r = extract_read_layer(x, buf, n, off, err);

		if (r < 0)
			return r;
		digest_update(&ctx, buf, n);
		r = inf ? inflater_feed(inf, buf, n, err) : 0;
		if (r < 0)
			return r;
		off += n;
	}
	digest_final(&ctx, &got);
	return check_digest(&got, s, err);
}

static int span_large(const struct extract *x, const struct ztoc_span *s, struct inflater *inf,
		      struct err *err)
{
	cleanup_free uint8_t *buf = malloc(PIECE_BYTES);
	int r;

	if (!buf)
		return err_sys(err, ENOMEM, "%u bytes", PIECE_BYTES);
	r = span_pass(x, s, buf, NULL, err);
	return r < 0 ? r : span_pass(x, s, buf, inf, err);
}

/* Inflate span i; `finish`: exactly out_len bytes must come. */
static int span_run(const struct extract *x, uint32_t i, uint64_t out_len, bool finish,
		    inflate_sink sink, void *arg, struct err *err)
{
	cleanup_(inflater_freep) struct inflater *inf = NULL;
	struct inflate_span is;
	struct ztoc_span s;
	bool gzip = ztoc_compression(x->ztoc) == ZTOC_GZIP;
	int r;

	ztoc_span_get(x->ztoc, i, &s);
	is = (struct inflate_span){ s.bits, s.window, out_len, false };
	is.exact = out_len == s.out_end - s.out_start && i + 1 < ztoc_span_count(x->ztoc);
	r = inflater_new(gzip ? x->backend : INFLATE_NONE, &is, sink, arg, &inf, err);
	if (r == 0)
		r = s.comp_end - s.comp_start <= HOLD_BYTES ? span_held(x, &s, inf, err)
							    : span_large(x, &s, inf, err);
	if (r == 0 && finish)
		r = inflater_finish(inf, err);
	return r < 0 ? err_prefix(err, "span %u", i), r : 0;
}

int extract_span(const struct extract *x, uint32_t i, inflate_sink sink, void *arg,
		 struct err *err)
{
	struct ztoc_span s;

	ztoc_span_get(x->ztoc, i, &s);
	return span_run(x, i, s.out_end - s.out_start, true, sink, arg, err);
}

struct rest {
	inflate_sink sink;
	void *arg;
	uint64_t len;
};

static int rest_sink(void *arg, const uint8_t *data, size_t len)
{
	struct rest *rest = arg;

	rest->len += len;
	return rest->sink(rest->arg, data, len);
}

int extract_rest(const struct extract *x, inflate_sink sink, void *arg, struct err *err)
{
	uint32_t last = ztoc_span_count(x->ztoc) - 1;
	struct rest rest = { sink, arg, 0 };
	struct ztoc_span s;
	int r = span_run(x, last, INT64_MAX, false, rest_sink, &rest, err);

	ztoc_span_get(x->ztoc, last, &s);
	if (r == -ECANCELED) {
		if (err)
			*err = (struct err)ERR_INIT;
		return 0;
	}
	if (r == 0 && rest.len < s.out_end - s.out_start)
		return err_set(err, ERR_CORRUPT, EIO, "span %u: %llu bytes are missing", last,
			       (unsigned long long)(s.out_end - s.out_start - rest.len));
	return r;
}

int extract_check_layer(const struct extract *x, struct err *err)
{
	uint64_t want = x->part_end ? x->part_end - x->part_start : ztoc_comp_size(x->ztoc);
	struct stat st;

	if (fstat(x->layer_fd, &st) < 0)
		return err_sys(err, errno, "layer");
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "layer: not a regular file");
	if ((uint64_t)st.st_size != want)
		return err_set(err, ERR_CORRUPT, EINVAL,
			       "layer: %llu bytes, but the zTOC is for one of %llu",
			       (unsigned long long)st.st_size, (unsigned long long)want);
	return 0;
}

/* Passes on what lies in the range. */
struct cut {
	uint64_t skip;
	inflate_sink sink;
	void *arg;
};

static int cut_sink(void *arg, const uint8_t *data, size_t len)
{
	struct cut *c = arg;
	size_t n = c->skip < len ? (size_t)c->skip : len;

	c->skip -= n;
	return n < len ? c->sink(c->arg, data + n, len - n) : 0;
}

int extract_range(const struct extract *x, uint64_t off, uint64_t len, inflate_sink sink,
		  void *arg, struct err *err)
{
	uint64_t out_size = ztoc_out_size(x->ztoc), end;
	int r;

	if (off > out_size || len > out_size - off)
		return err_set(err, ERR_BUG, EINVAL, "range leaves the tar stream");
	r = len ? extract_check_layer(x, err) : 0;
	end = off + len;
	for (uint32_t i = ztoc_span_find(x->ztoc, off); r == 0 && off < end; i++) {
		struct cut cut = { 0, sink, arg };
		struct ztoc_span s;
		uint64_t stop;

		ztoc_span_get(x->ztoc, i, &s);
		stop = end < s.out_end ? end : s.out_end;
		cut.skip = off - s.out_start;
		if (stop > off)
			r = span_run(x, i, stop - s.out_start, true, cut_sink, &cut, err);
		off = stop;
	}
	return r;
}

static int get_file(const struct ztoc *z, uint64_t i, struct ztoc_entry *ret, struct err *err)
{
	ztoc_entry_get(z, i, ret);
	if (ret->type != ZTOC_REG)
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "not a regular file");
	if (ztoc_entry_is_sparse(z, i))
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "a sparse file in PAX form (GNU.sparse.*): the zTOC does not say "
			       "where its data lies");
	return 0;
}

int extract_entry_part(const struct ztoc *z, uint64_t i, uint64_t *ret_start,
		       uint64_t *ret_end, struct err *err)
{
	struct ztoc_entry e;
	struct ztoc_span first, last;
	int r = get_file(z, i, &e, err);

	if (r < 0)
		return r;
	*ret_start = *ret_end = 0;
	if (!e.size)
		return 0;
	ztoc_span_get(z, ztoc_span_find(z, e.offset), &first);
	ztoc_span_get(z, ztoc_span_find(z, e.offset + e.size - 1), &last);
	*ret_start = first.comp_start;
	*ret_end = last.comp_end;
	return 0;
}

int extract_entry(const struct extract *x, uint64_t i, inflate_sink sink, void *arg,
		  struct err *err)
{
	struct ztoc_entry e;
	int r = get_file(x->ztoc, i, &e, err);

	return r < 0 ? r : extract_range(x, e.offset, e.size, sink, arg, err);
}
