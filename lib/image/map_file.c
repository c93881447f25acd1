/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * map_file.c - the file form of a layer map, written in the sandbox, read by the daemon.
 *
 * Little endian, packed, no padding between the parts:
 *
 *	0    u8[8]  magic "LZEMAP\r\n"
 *	8    u32    layout version (MAP_LAYOUT_VERSION)
 *	12   u32    compression: 1 gzip, 2 none
 *	16   u8[32] sha256 of the zTOC
 *	48   u64    comp_size
 *	56   u64    out_size
 *	64   u64    blob_size
 *	72   u32    nspans
 *	76   u32    nsegments
 *	80   u64    nextents
 *	88   spans     80 bytes each: u64 comp_start, comp_end, out_start, out_end, window_off
 *	               (all ones: no window), u32 bits, u32 zero, u8[32] sha256
 *	     segments  24 bytes each: u64 blob_off, size, u32 first_span, nspans
 *	     extents   24 bytes each: u64 blob_off, tar_off, len
 *	end  u8[32] sha256 of everything before it
 *
 * Decoding proves the whole: the digest, the spans one by one, and then the layout is made
 * again from the spans and the files' tar ranges and must be the one in the file. The
 * digest finds damage; the proof does not trust the writer. Any thread.
 */
#include "image/map.h"

#include <string.h>

#include "image/map_private.h"

#define MAGIC "LZEMAP\r\n"
#define HEAD_BYTES 88u
#define SPAN_BYTES 80u
#define SEGMENT_BYTES 24u
#define EXTENT_BYTES 24u

/* A cursor for both directions; bounds are checked once, against the counts. */
static void put32(uint8_t **p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		*(*p)++ = (uint8_t)(v >> (8 * i));
}

static void put64(uint8_t **p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		*(*p)++ = (uint8_t)(v >> (8 * i));
}

static void put_bytes(uint8_t **p, const void *data, size_t len)
{
	memcpy(*p, data, len);
	*p += len;
}

static uint32_t take32(const uint8_t **p)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++)
		v |= (uint32_t)*(*p)++ << (8 * i);
	return v;
}

static uint64_t take64(const uint8_t **p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v |= (uint64_t)*(*p)++ << (8 * i);
	return v;
}

static void take_bytes(const uint8_t **p, void *data, size_t len)
{
	memcpy(data, *p, len);
	*p += len;
}

/* Whole length of a file with these counts; UINT64_MAX where they cannot be. */
static uint64_t file_size(uint64_t nspans, uint64_t nsegments, uint64_t nextents)
{
	if (nextents > (UINT64_MAX >> 8))
		return UINT64_MAX;
	return HEAD_BYTES + nspans * SPAN_BYTES + nsegments * SEGMENT_BYTES +
	       nextents * EXTENT_BYTES + DIGEST_BYTES;
}

static void encode_head(const struct layer_map *m, uint8_t **p)
{
	put_bytes(p, MAGIC, 8);
	put32(p, MAP_LAYOUT_VERSION);
	put32(p, (uint32_t)m->compression);
	put_bytes(p, m->ztoc_digest.sha256, DIGEST_BYTES);
	put64(p, m->comp_size);
	put64(p, m->out_size);
	put64(p, m->blob_size);
	put32(p, m->nspans);
	put32(p, m->nsegments);
	put64(p, m->nextents);
}

static void encode_span(const struct map_span *s, uint8_t **p)
{
	put64(p, s->comp_start);
	put64(p, s->comp_end);
	put64(p, s->out_start);
	put64(p, s->out_end);
	put64(p, s->window_off);
	put32(p, s->bits);
	put32(p, 0);
	put_bytes(p, s->digest.sha256, DIGEST_BYTES);
}

int layer_map_encode(const struct layer_map *m, struct buf *out, struct err *err)
{
	uint64_t size = file_size(m->nspans, m->nsegments, m->nextents);
	struct digest sum;
	uint8_t *start, *p;
	int r = size > SIZE_MAX ? -EFBIG : buf_reserve(out, (size_t)size);

	if (r < 0)
		return err_sys(err, -r, "layer map");
	start = p = out->data + out->len;
	encode_head(m, &p);
	for (uint32_t i = 0; i < m->nspans; i++)
		encode_span(&m->spans[i], &p);
	for (uint32_t i = 0; i < m->nsegments; i++) {
		put64(&p, m->segments[i].blob_off);
		put64(&p, m->segments[i].size);
		put32(&p, m->segments[i].first_span);
		put32(&p, m->segments[i].nspans);
	}
	for (uint64_t i = 0; i < m->nextents; i++) {
		put64(&p, m->extents[i].blob_off);
		put64(&p, m->extents[i].tar_off);
		put64(&p, m->extents[i].len);
	}
	digest_of(start, (size_t)(p - start), &sum);
	put_bytes(&p, sum.sha256, DIGEST_BYTES);
	out->len += (size_t)size;
	out->data[out->len] = 0;
	return 0;
}

static int bad(struct err *err, const char *what)
{
	return err_set(err, ERR_CORRUPT, EUCLEAN, "layer map: %s", what);
}

/* Spans tile the tar stream and lie, in order, within the layer. */
static const char *span_fault(const struct layer_map *m, uint32_t i)
{
	const struct map_span *s = &m->spans[i], *before = i ? &m->spans[i - 1] : NULL;

	if (s->comp_start > s->comp_end || s->comp_end > m->comp_size)
		return "span: compressed range";
	if (before && (s->comp_start < before->comp_start || s->comp_end < before->comp_end ||
		       before->comp_end - s->comp_start > 1))
		return "span: compressed range does not follow the one before";
	if (s->out_start > s->out_end || s->out_start != (before ? before->out_end : 0))
		return "span: tar range";
	/* It may end later: an empty span after the end of the archive (soci-format.md). */
	if (i + 1 == m->nspans && s->out_end < m->out_size)
		return "span: the last one ends before the tar";
	if (s->bits > 7)
		return "span: bits";
	if (s->window_off != MAP_NO_WINDOW && s->window_off > INT64_MAX - ZTOC_WINDOW_BYTES)
		return "span: window";
	return NULL;
}

static int decode_spans(struct layer_map *m, const uint8_t **p, struct err *err)
{
	for (uint32_t i = 0; i < m->nspans; i++) {
		struct map_span *s = &m->spans[i];
		const char *fault;
		uint32_t bits;

		s->comp_start = take64(p);
		s->comp_end = take64(p);
		s->out_start = take64(p);
		s->out_end = take64(p);
		s->window_off = take64(p);
		bits = take32(p);
		if (bits > 7 || take32(p) != 0)
			return bad(err, "span: bits");
		s->bits = (uint8_t)bits;
		take_bytes(p, s->digest.sha256, DIGEST_BYTES);
		fault = span_fault(m, i);
		if (fault)
			return bad(err, fault);
	}
	if (m->nspans == 0 && m->out_size != 0)
		return bad(err, "no spans");
	return 0;
}

/* Take the tar ranges, make the layout again, and hold the file's layout against it. */
static int decode_layout(struct layer_map *m, uint32_t nsegments, uint64_t blob_size,
			 const uint8_t *p, struct err *err)
{
	const uint8_t *extents = p + (size_t)nsegments * SEGMENT_BYTES, *q = extents;
	int r;

	for (uint64_t i = 0; i < m->nextents; i++) {
		take64(&q);
		m->extents[i].tar_off = take64(&q);
		m->extents[i].len = take64(&q);
	}
	r = map_layout(m, err);
	if (r < 0)
		return err_prefix(err, "layer map");
	if (m->blob_size != blob_size || m->nsegments != nsegments)
		return bad(err, "blob size or number of segments is not what the layout gives");
	for (uint32_t i = 0; i < nsegments; i++) {
		const struct map_segment *s = &m->segments[i];

		if (take64(&p) != s->blob_off || take64(&p) != s->size ||
		    take32(&p) != s->first_span || take32(&p) != s->nspans)
			return bad(err, "a segment is not what the layout gives");
	}
	for (uint64_t i = 0; i < m->nextents; i++) {
		q = extents + i * EXTENT_BYTES;
		if (take64(&q) != m->extents[i].blob_off)
			return bad(err, "an extent is not where the layout puts it");
	}
	return 0;
}

static int check_frame(const uint8_t *data, size_t len, struct err *err)
{
	const uint8_t *p = data + 8;
	struct digest sum;

	if (len < HEAD_BYTES + DIGEST_BYTES || memcmp(data, MAGIC, 8) != 0)
		return bad(err, "not a layer map");
	if (take32(&p) != MAP_LAYOUT_VERSION)
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "layer map: made by another version of lazyerofs");
	digest_of(data, len - DIGEST_BYTES, &sum);
	if (memcmp(sum.sha256, data + len - DIGEST_BYTES, DIGEST_BYTES) != 0)
		return bad(err, "checksum differs: the file is damaged");
	return 0;
}

int layer_map_decode(const void *data, size_t len, struct layer_map **ret, struct err *err)
{
	cleanup_layer_map struct layer_map *m = NULL;
	const uint8_t *p = (const uint8_t *)data + 12;
	uint64_t comp_size, out_size, blob_size, nextents;
	uint32_t compression, nspans, nsegments;
	struct digest ztoc_digest;
	int r = check_frame(data, len, err);

	if (r < 0)
		return r;
	compression = take32(&p);
	take_bytes(&p, ztoc_digest.sha256, DIGEST_BYTES);
	comp_size = take64(&p);
	out_size = take64(&p);
	blob_size = take64(&p);
	nspans = take32(&p);
	nsegments = take32(&p);
	nextents = take64(&p);
	if (compression != ZTOC_GZIP && compression != ZTOC_UNCOMPRESSED)
		return bad(err, "compression");
	if (file_size(nspans, nsegments, nextents) != len || nsegments > nspans)
		return bad(err, "the counts do not match the length of the file");
	r = map_alloc(nspans, nextents, &m, err);
	if (r < 0)
		return r;
	m->ztoc_digest = ztoc_digest;
	m->compression = (enum ztoc_compression)compression;
	m->comp_size = comp_size;
	m->out_size = out_size;
	r = decode_spans(m, &p, err);
	if (r == 0)
		r = decode_layout(m, nsegments, blob_size, p, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(m);
	return 0;
}
