/* SPDX-License-Identifier: GPL-2.0-or-later */
/* build.c - see build.h. */
#include "ztoc/build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ztoc/buildpipe.h"
#include "ztoc/gzindex.h"
#include "ztoc/tarscan.h"
#include "ztoc/timefmt.h"
#include "ztoc/write.h"

enum item_kind {
	ITEM_LAYER,		/* bytes of the layer blob */
	ITEM_TAR,		/* bytes of the tar stream */
	ITEM_BOTH,		/* the same bytes are both */
	ITEM_POINT,		/* a span begins; the data is its window */
};

#define HEAD_BYTES 4u		/* of a layer, that tell zstd from others */

struct ztoc_builder {
	struct ztoc_build_opts opts;
	struct buildpipe *pipe;

	/* the layer's first bytes, held back until there are enough; then constant */
	uint8_t head[HEAD_BYTES];
	size_t head_len;

	/* the caller's thread */
	struct gzindex *gz;		/* NULL for an uncompressed layer */
	const uint8_t *data;		/* being fed */
	uint64_t data_pos;		/* layer offset of data */
	uint64_t pushed;		/* layer offset up to which bytes went to the pipe */
	uint64_t plain_left;		/* of the span, uncompressed layer */
	bool failed;

	/* the pipe's consumer, and after draining it the caller */
	struct tarscan *tar;
	struct ztoc_model model;
	struct digest_ctx layer_hash, tar_hash, span_hash;
	bool in_span;
	uint8_t last_byte;		/* of the layer so far */
	uint64_t layer_bytes, tar_bytes;
};

/*
 * The bytes are not what they should be: perhaps they are a zstd frame. Only then, since a
 * plain tar may begin with a file's name of these bytes.
 */
static int not_as_said(const struct ztoc_builder *b, int r, struct err *err)
{
	static const uint8_t zstd[HEAD_BYTES] = { 0x28, 0xb5, 0x2f, 0xfd };

	if (b->head_len < sizeof(zstd) || memcmp(b->head, zstd, sizeof(zstd)) != 0)
		return r;
	return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
		       "the layer is compressed with zstd: zTOCs know gzip and plain tar only");
}

/* --- the consumer ------------------------------------------------------------------ */

static int close_span(struct ztoc_builder *b, struct err *err)
{
	struct digest d;

	digest_final(&b->span_hash, &d);
	b->in_span = false;
	return ztoc_model_add_digest(&b->model, &d, err);
}

/* A byte that two spans share belongs to both digests. */
static int open_span(struct ztoc_builder *b, const struct buildpipe_item *item,
		     struct err *err)
{
	int r = b->in_span ? close_span(b, err) : 0;

	if (r < 0)
		return r;
	digest_init(&b->span_hash);
	b->in_span = true;
	if (b->opts.compression == ZTOC_UNCOMPRESSED)
		return 0;
	if (item->bits)
		digest_update(&b->span_hash, &b->last_byte, 1);
	return ztoc_model_add_point(&b->model, item->in, item->out, item->bits, item->data,
				    err);
}

static void take_layer(struct ztoc_builder *b, const struct buildpipe_item *item)
{
	if (!item->len)
		return;
	digest_update(&b->layer_hash, item->data, item->len);
	if (b->in_span)
		digest_update(&b->span_hash, item->data, item->len);
	b->last_byte = item->data[item->len - 1];
	b->layer_bytes += item->len;
}

static int scan_tar(struct ztoc_builder *b, const struct buildpipe_item *item,
		    struct err *err)
{
	int r = tarscan_feed(b->tar, item->data, item->len, err);

	b->tar_bytes += item->len;
	return r < 0 && !b->gz && !tarscan_has_header(b->tar) ? not_as_said(b, r, err) : r;
}

static int consume(void *arg, const struct buildpipe_item *item, struct err *err)
{
	struct ztoc_builder *b = arg;

	switch (item->kind) {
	case ITEM_POINT:
		return open_span(b, item, err);
	case ITEM_LAYER:
		take_layer(b, item);
		return 0;
	case ITEM_BOTH:
		take_layer(b, item);
		return scan_tar(b, item, err);
	default:
		digest_update(&b->tar_hash, item->data, item->len);
		return scan_tar(b, item, err);
	}
}

static int on_entry(void *arg, const struct tarscan_entry *t, struct err *err)
{
	struct ztoc_builder *b = arg;
	char time[TIMEFMT_SIZE];
	int32_t east = b->opts.utc_offset
			       ? b->opts.utc_offset(b->opts.utc_offset_arg, t->mtime_sec)
			       : 0;
	size_t n = timefmt_rfc3339(t->mtime_sec, t->mtime_nsec, east, time);
	struct ztoc_model_entry e = {
		.type = t->type, .offset = t->offset, .size = t->size, .mode = t->mode,
		.devmajor = t->devmajor, .devminor = t->devminor, .uid = (uint32_t)t->uid,
		.gid = (uint32_t)t->gid, .name = t->name, .linkname = t->linkname,
		.uname = t->uname, .gname = t->gname, .mod_time = { time, (uint32_t)n },
		.records = t->records, .nrecords = t->nrecords,
	};

	return ztoc_model_add_entry(&b->model, &e, err);
}

/* --- the producer ------------------------------------------------------------------ */

/* Layer bytes up to the offset `to` go to the pipe. */
static int push_layer(struct ztoc_builder *b, uint64_t to, struct err *err)
{
	struct buildpipe_item item = { .kind = ITEM_LAYER };

	item.data = b->data + (b->pushed - b->data_pos);
	item.len = (size_t)(to - b->pushed);
	if (!item.len)
		return 0;
	b->pushed = to;
	return buildpipe_push(b->pipe, &item, err);
}

static int on_out(void *arg, const uint8_t *data, size_t len, struct err *err)
{
	struct ztoc_builder *b = arg;
	struct buildpipe_item item = { .kind = ITEM_TAR, .data = data, .len = len };

	return buildpipe_push(b->pipe, &item, err);
}

static int on_point(void *arg, const struct gzindex_point *p, struct err *err)
{
	struct ztoc_builder *b = arg;
	struct buildpipe_item item = { .kind = ITEM_POINT, .bits = p->bits, .in = p->in,
				       .out = p->out, .data = p->window,
				       .len = ZTOC_WINDOW_BYTES };
	int r = push_layer(b, p->in, err);

	return r < 0 ? r : buildpipe_push(b->pipe, &item, err);
}

/* What follows may be junk only if the tar has its end-of-archive mark. */
static int on_is_complete(void *arg, bool *ret, struct err *err)
{
	struct ztoc_builder *b = arg;
	int r = buildpipe_drain(b->pipe, err);

	if (r < 0)
		return r;
	*ret = tarscan_is_done(b->tar);
	return 0;
}

static int feed_gzip(struct ztoc_builder *b, const uint8_t *data, size_t len,
		     struct err *err)
{
	int r;

	b->data = data;
	b->pushed = b->data_pos;
	r = gzindex_feed(b->gz, data, len, err);
	if (r == 0)
		r = push_layer(b, b->data_pos + len, err);
	b->data_pos += len;
	return r;
}

/* An uncompressed layer is cut every span_size bytes. */
static int feed_plain(struct ztoc_builder *b, const uint8_t *data, size_t len,
		      struct err *err)
{
	struct buildpipe_item item;
	int r = 0;

	if (b->data_pos + len > b->opts.max_tar_bytes)
		return err_set(err, ERR_UNSUPPORTED, EFBIG,
			       "the layer is larger than %llu bytes",
			       (unsigned long long)b->opts.max_tar_bytes);
	b->data_pos += len;
	while (r == 0 && len) {
		if (!b->plain_left) {
			item = (struct buildpipe_item){ .kind = ITEM_POINT };
			r = buildpipe_push(b->pipe, &item, err);
			b->plain_left = b->opts.span_size;
			continue;
		}
		item = (struct buildpipe_item){ .kind = ITEM_BOTH, .data = data };
		item.len = len < b->plain_left ? len : (size_t)b->plain_left;
		r = buildpipe_push(b->pipe, &item, err);
		b->plain_left -= item.len;
		data += item.len;
		len -= item.len;
	}
	return r;
}

/* Small pieces, so that both threads have something to do all the time. */
static int feed_some(struct ztoc_builder *b, const uint8_t *p, size_t len, struct err *err)
{
	int r = 0;

	while (r == 0 && len) {
		size_t n = len < BUILDPIPE_ITEM_BYTES ? len : BUILDPIPE_ITEM_BYTES;

		r = b->gz ? feed_gzip(b, p, n, err) : feed_plain(b, p, n, err);
		p += n;
		len -= n;
	}
	return r;
}

/* The first bytes together, however the caller cuts them: no gzip begins like zstd. */
static int feed_head(struct ztoc_builder *b, struct err *err)
{
	int r = feed_some(b, b->head, b->head_len, err);

	return r < 0 && b->gz ? not_as_said(b, r, err) : r;
}

int ztoc_builder_feed(struct ztoc_builder *b, const void *data, size_t len,
		      struct err *err)
{
	const uint8_t *p = data;
	int r = 0;

	if (b->failed)
		return err_set(err, ERR_BUG, EINVAL, "zTOC builder used after an error");
	if (b->head_len < HEAD_BYTES) {
		size_t n = HEAD_BYTES - b->head_len;

		n = n < len ? n : len;
		if (n)
			memcpy(b->head + b->head_len, p, n);
		b->head_len += n;
		p += n;
		len -= n;
		r = b->head_len == HEAD_BYTES ? feed_head(b, err) : 0;
	}
	if (r == 0)
		r = feed_some(b, p, len, err);
	b->failed = r < 0;
	return r;
}

static int finish_tar(struct ztoc_builder *b, uint64_t *ret_out_size, struct err *err)
{
	int r = tarscan_finish(b->tar, ret_out_size, err);

	return r < 0 && !b->gz && !tarscan_has_header(b->tar) ? not_as_said(b, r, err) : r;
}

static int finish_streams(struct ztoc_builder *b, uint64_t *ret_out_size, struct err *err)
{
	int r = b->head_len ? 0 : err_set(err, ERR_CORRUPT, EINVAL, "the layer is empty");

	if (r == 0 && b->head_len < HEAD_BYTES)
		r = feed_head(b, err);
	if (r == 0 && b->gz)
		r = gzindex_finish(b->gz, err);
	if (r == 0)
		r = buildpipe_drain(b->pipe, err);
	if (r == 0)
		r = finish_tar(b, ret_out_size, err);
	if (r == 0 && b->in_span)
		r = close_span(b, err);
	return r;
}

int ztoc_builder_finish(struct ztoc_builder *b, struct ztoc_built *ret, struct err *err)
{
	struct ztoc_built built = { 0 };
	uint64_t out_size = 0;
	int r;

	if (b->failed)
		return err_set(err, ERR_BUG, EINVAL, "zTOC builder used after an error");
	b->failed = true;
	r = finish_streams(b, &out_size, err);
	if (r < 0)
		return r;
	b->model.comp_size = b->layer_bytes;
	b->model.out_size = out_size;
	digest_final(&b->layer_hash, &built.layer);
	if (b->gz)
		digest_final(&b->tar_hash, &built.diff_id);
	else
		built.diff_id = built.layer;
	built.layer_bytes = b->layer_bytes;
	built.tar_bytes = b->tar_bytes;
	built.entries = b->model.nentries;
	built.spans = (uint32_t)b->model.ndigests;
	built.accepted = tarscan_accepted(b->tar);
	if (b->gz)
		built.accepted |= gzindex_accepted(b->gz);
	r = ztoc_model_write(&b->model, &built.bytes, &built.len, err);
	if (r < 0)
		return r;
	digest_of(built.bytes, built.len, &built.ztoc);
	*ret = built;
	return 0;
}

/* --- life cycle -------------------------------------------------------------------- */

static int check_opts(struct ztoc_build_opts *o, struct err *err)
{
	if (!o->span_size)
		o->span_size = ZTOC_BUILD_SPAN_BYTES;
	if (!o->max_ztoc_bytes)
		o->max_ztoc_bytes = ZTOC_BUILD_MAX_ZTOC_BYTES;
	if (!o->max_tar_bytes)
		o->max_tar_bytes = ZTOC_BUILD_MAX_TAR_BYTES;
	if (o->span_size > INT64_MAX)
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "span size out of range");
	if (o->compression != ZTOC_GZIP && o->compression != ZTOC_UNCOMPRESSED)
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "zTOCs know gzip and plain tar only");
	return 0;
}

static int start(struct ztoc_builder *b, struct err *err)
{
	static const struct gzindex_ops ops = { on_out, on_point, on_is_complete };
	bool is_first_generation = b->opts.compat == ZTOC_BUILD_SOCI_0_1;
	struct tarscan_opts tar_opts = { .strict = b->opts.strict };
	struct gzindex_opts gz_opts = { .span_size = b->opts.span_size,
					.max_out_bytes = b->opts.max_tar_bytes,
					.first_member_only = is_first_generation,
					.strict = b->opts.strict };
	int r;

	ztoc_model_init(&b->model, b->opts.max_ztoc_bytes);
	b->model.build_tool = is_first_generation ? "AWS SOCI CLI v0.1" : "AWS SOCI CLI v0.2";
	b->model.compression = b->opts.compression;
	b->model.span_size = b->opts.span_size;
	digest_init(&b->layer_hash);
	digest_init(&b->tar_hash);
	r = tarscan_new(&tar_opts, on_entry, b, &b->tar, err);
	if (r == 0 && b->opts.compression == ZTOC_GZIP)
		r = gzindex_new(&gz_opts, &ops, b, &b->gz, err);
	if (r == 0)
		r = buildpipe_new(consume, b, !b->opts.single_thread, &b->pipe, err);
	return r;
}

int ztoc_builder_new(const struct ztoc_build_opts *opts, struct ztoc_builder **ret,
		     struct err *err)
{
	struct ztoc_builder *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return err_sys(err, ENOMEM, "zTOC builder");
	b->opts = *opts;
	r = check_opts(&b->opts, err);
	if (r == 0)
		r = start(b, err);
	if (r < 0) {
		ztoc_builder_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

void ztoc_builder_free(struct ztoc_builder *b)
{
	if (!b)
		return;
	buildpipe_free(b->pipe);
	gzindex_free(b->gz);
	tarscan_free(b->tar);
	ztoc_model_done(&b->model);
	free(b);
}
