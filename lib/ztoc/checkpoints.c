/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * checkpoints.c - spans: the pieces of a layer between two checkpoints, and their digests.
 *
 * With records p[0..n): span i is comp [p[i].in - (bits ? 1 : 0), p[i+1].in), so that a
 * byte shared by two deflate blocks lies in both spans; tar [p[i].out, p[i+1].out). The
 * last span ends at the sizes of the archive. Rules: soci-format.md 1.5-1.7, 1.10.
 */
#include "ztoc/private.h"

#include <assert.h>
#include <errno.h>

#include "base/le.h"

#include "ztoc/format.h"

/* Deflate's best: 258 bytes from two bits. */
#define MAX_RATIO 1032u

struct ckpt {
	uint64_t in, out;
	uint8_t bits;
	const uint8_t *window;	/* NULL: nothing precedes */
};

static struct ckpt ckpt_get(const struct ztoc *z, uint32_t i)
{
	const uint8_t *p;

	if (!z->ckpt)
		return (struct ckpt){ i * z->span_size, i * z->span_size, 0, NULL };
	if (z->is_legacy && i == 0)
		return (struct ckpt){ ZF_LEGACY_FIRST_IN, 0, 0, NULL };
	p = z->ckpt + (uint64_t)(i - z->is_legacy) * ZF_CKPT_BYTES;
	return (struct ckpt){ le64_get(p), le64_get(p + ZF_CKPT_OFF_OUT),
			      p[ZF_CKPT_OFF_BITS],
			      i == 0 ? NULL : p + ZF_CKPT_OFF_WINDOW };
}

/* Everything but the digest. */
static void span_decode(const struct ztoc *z, uint32_t i, struct ztoc_span *s)
{
	struct ckpt here = ckpt_get(z, i);

	s->comp_start = here.in - (here.bits ? 1 : 0);
	s->out_start = here.out;
	s->bits = here.bits;
	s->window = here.window;
	if (i + 1 < z->nspans) {
		struct ckpt next = ckpt_get(z, i + 1);

		s->comp_end = next.in;
		s->out_end = next.out;
	} else {
		s->comp_end = z->comp_size;
		s->out_end = z->out_size > here.out ? z->out_size : here.out;
	}
}

static int check_record(const struct ztoc *z, uint32_t i, struct err *err)
{
	struct ckpt c = ckpt_get(z, i), prev;

	if (c.bits > 7)
		return ztoc_corrupt(err, "zTOC: checkpoint %u: %u bits", i, c.bits);
	if (c.in > z->comp_size || c.in < (c.bits ? 1u : 0u))
		return ztoc_corrupt(err, "zTOC: checkpoint %u: offset %llu outside the layer", i,
				    (unsigned long long)c.in);
	if (c.out > INT64_MAX)
		return ztoc_corrupt(err, "zTOC: checkpoint %u: negative tar offset", i);
	if (i == 0 && (c.out != 0 || c.bits != 0))
		return ztoc_corrupt(err, "zTOC: checkpoint 0 is not at the start of the tar");
	if (i == 0)
		return 0;
	prev = ckpt_get(z, i - 1);
	if (c.in <= prev.in || c.out <= prev.out)
		return ztoc_corrupt(err, "zTOC: checkpoint %u does not come after the one before",
				    i);
	return 0;
}

static int check_span(const struct ztoc *z, uint32_t i, struct err *err)
{
	struct ztoc_span s;
	struct ztoc_str text;

	span_decode(z, i, &s);
	if ((s.out_end - s.out_start) / MAX_RATIO > s.comp_end - s.comp_start ||
	    (s.comp_end == s.comp_start && s.out_end != s.out_start))
		return ztoc_corrupt(err, "zTOC: span %u: %llu bytes cannot come from %llu", i,
				    (unsigned long long)(s.out_end - s.out_start),
				    (unsigned long long)(s.comp_end - s.comp_start));
	if (fb_vector_string(&z->digests, i, &text) < 0 ||
	    digest_parse(text.s, text.len, &s.digest) < 0)
		return ztoc_corrupt(err, "zTOC: span %u: bad digest", i);
	return 0;
}

static int open_gzip(struct ztoc *z, const struct fb_vector *blob, struct err *err)
{
	const uint8_t *p = blob->fb.data + blob->pos;
	int32_t have;
	int64_t span_size;
	uint64_t full;

	if (blob->count < ZF_CKPT_HEAD_BYTES)
		return ztoc_corrupt(err, "zTOC: checkpoints: only %u bytes", blob->count);
	have = (int32_t)le32_get(p);
	span_size = (int64_t)le64_get(p + 4);
	if (have < 0 || span_size < 0)
		return ztoc_corrupt(err, "zTOC: checkpoints: negative count or span size");
	full = ZF_CKPT_HEAD_BYTES + (uint64_t)have * ZF_CKPT_BYTES;
	z->is_legacy = have > 0 && blob->count == full - ZF_CKPT_BYTES;
	if (blob->count != full && !z->is_legacy)
		return ztoc_corrupt(err, "zTOC: checkpoints: %u bytes for %d records",
				    blob->count, have);
	z->nspans = (uint32_t)have;
	z->span_size = (uint64_t)span_size;
	z->ckpt = p + ZF_CKPT_HEAD_BYTES;
	return 0;
}

static int open_plain(struct ztoc *z, const struct fb_vector *blob, struct err *err)
{
	struct fb_table t;
	int32_t version;
	int64_t span_size, size;
	uint64_t n;

	if (fb_root(blob->fb.data + blob->pos, blob->count, &t) < 0 ||
	    fb_i32(&t, ZF_PLAIN_VERSION, 0, &version) < 0 ||
	    fb_i64(&t, ZF_PLAIN_SPAN_SIZE, 0, &span_size) < 0 ||
	    fb_i64(&t, ZF_PLAIN_SIZE, 0, &size) < 0)
		return ztoc_corrupt(err, "zTOC: checkpoints: bad nested buffer");
	if (version != ZF_PLAIN_VERSION_VALUE)
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "zTOC: checkpoints of an uncompressed layer in version %d", version);
	if (span_size <= 0 || size < 0 || (uint64_t)size != z->comp_size)
		return ztoc_corrupt(err, "zTOC: checkpoints: bad span size or layer size");
	if (z->out_size > z->comp_size)
		return ztoc_corrupt(err, "zTOC: an uncompressed layer larger than itself");
	n = (uint64_t)size / (uint64_t)span_size + (size % span_size != 0);
	if (n > INT32_MAX)
		return ztoc_corrupt(err, "zTOC: too many spans");
	z->nspans = (uint32_t)n;
	z->span_size = (uint64_t)span_size;
	return 0;
}

static int open_checkpoints(struct ztoc *z, const struct fb_table *info, struct err *err)
{
	struct fb_vector blob;
	int8_t algorithm;

	if (fb_i8(info, ZF_COMP_ALGORITHM, ZTOC_GZIP, &algorithm) < 0 ||
	    (algorithm != ZTOC_GZIP && algorithm != ZTOC_UNCOMPRESSED))
		return ztoc_corrupt(err, "zTOC: unknown compression algorithm");
	if (fb_vector(info, ZF_COMP_CHECKPOINTS, 1, &blob) <= 0)
		return ztoc_corrupt(err, "zTOC: no valid checkpoints");
	z->compression = (enum ztoc_compression)algorithm;
	z->ckpt_off = blob.pos;
	return algorithm == ZTOC_GZIP ? open_gzip(z, &blob, err) : open_plain(z, &blob, err);
}

int ztoc_spans_open(struct ztoc *z, const struct fb_table *info, struct err *err)
{
	int32_t max_span_id;
	int r = open_checkpoints(z, info, err);

	if (r < 0)
		return r;
	if (fb_i32(info, ZF_COMP_MAX_SPAN_ID, 0, &max_span_id) < 0 ||
	    (int64_t)max_span_id != (int64_t)z->nspans - 1)
		return ztoc_corrupt(err, "zTOC: max_span_id does not go with %u checkpoints",
				    z->nspans);
	if (fb_vector(info, ZF_COMP_SPAN_DIGESTS, 4, &z->digests) < 0 ||
	    z->digests.count != z->nspans)
		return ztoc_corrupt(err, "zTOC: span digests do not go with %u checkpoints",
				    z->nspans);
	for (uint32_t i = 0; i < z->nspans && r == 0; i++)
		r = check_record(z, i, err);
	for (uint32_t i = 0; i < z->nspans && r == 0; i++)
		r = check_span(z, i, err);
	return r;
}

uint32_t ztoc_span_count(const struct ztoc *z)
{
	return z->nspans;
}

void ztoc_span_get(const struct ztoc *z, uint32_t i, struct ztoc_span *ret)
{
	struct ztoc_str text = { "", 0 };
	int r;

	assert(i < z->nspans);
	span_decode(z, i, ret);
	r = fb_vector_string(&z->digests, i, &text);
	if (r == 0)
		r = digest_parse(text.s, text.len, &ret->digest);
	assert(r == 0);
}

uint32_t ztoc_span_find(const struct ztoc *z, uint64_t out_off)
{
	uint32_t low = 0, high = z->nspans;

	/* p[low].out <= out_off < p[high].out, the ends being understood */
	while (high > low + 1) {
		uint32_t mid = low + (high - low) / 2;

		if (ckpt_get(z, mid).out <= out_off)
			low = mid;
		else
			high = mid;
	}
	return low;
}

uint64_t ztoc_checkpoints_offset(const struct ztoc *z, bool *ret_is_legacy)
{
	*ret_is_legacy = z->is_legacy;
	return z->ckpt_off;
}

uint64_t ztoc_window_offset(const struct ztoc *z, uint32_t i)
{
	struct ckpt c;

	assert(i < z->nspans);
	c = ckpt_get(z, i);
	return c.window ? (uint64_t)(c.window - z->digests.fb.data) : UINT64_MAX;
}
