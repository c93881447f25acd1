/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inflate.c - from the compressed bytes of a span to its bytes of the tar; see inflate.h.
 *
 *	SHARED -> DEFLATE <-> TRAILER -> HEADER -> DEFLATE -> ...
 *
 * SHARED takes the byte whose upper bits begin the span. DEFLATE runs a decoder; when its
 * stream ends while output is missing, the gzip member's trailer is skipped and the next
 * member's header parsed (soci-format.md 1.8, step 4). What decides that all is well is
 * the number of bytes that came out, never the end of a stream.
 */
#include "ztoc/inflate.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "ztoc/gzip.h"
#include "ztoc/inflate_raw.h"
#include "ztoc/ztoc.h"

#define OUT_BYTES (64u << 10)

enum frame { FRAME_SHARED, FRAME_DEFLATE, FRAME_TRAILER, FRAME_HEADER, FRAME_PLAIN };

struct inflater {
	const struct inflate_raw_ops *ops;	/* NULL: uncompressed */
	void *raw;
	enum frame frame;
	struct inflate_span span;
	inflate_sink sink;
	void *arg;
	uint64_t missing;		/* bytes of output still to come */
	unsigned int trailer_left;
	struct gzip_header header;
	int failed;			/* -errno of the first failure, which is final */
	uint8_t *out;
};

DEFINE_CLEANUP(struct inflater *, inflater_free, inflater_freep)

#ifdef HAVE_ISAL
static const struct inflate_raw_ops *const isal_ops = &inflate_raw_isal;
#else
static const struct inflate_raw_ops *const isal_ops = NULL;
#endif

bool inflate_has_isal(void)
{
	return isal_ops != NULL;
}

static const struct inflate_raw_ops *backend_ops(enum inflate_backend backend)
{
	switch (backend) {
	case INFLATE_BEST:
		return isal_ops ? isal_ops : &inflate_raw_zlib;
	case INFLATE_ZLIB:
		return &inflate_raw_zlib;
	case INFLATE_ISAL:
		return isal_ops;
	case INFLATE_NONE:
		break;
	}
	return NULL;
}

int inflater_new(enum inflate_backend backend, const struct inflate_span *span,
		 inflate_sink sink, void *arg, struct inflater **ret, struct err *err)
{
	cleanup_(inflater_freep) struct inflater *inf = NULL;

	if (span->bits > 7)
		return err_set(err, ERR_BUG, EINVAL, "inflate: %u bits in a byte", span->bits);
	if (backend == INFLATE_ISAL && !isal_ops)
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP, "inflate: built without ISA-L");
	inf = calloc(1, sizeof(*inf));
	if (!inf)
		return err_sys(err, ENOMEM, "inflate");
	inf->ops = backend_ops(backend);
	inf->span = *span;
	inf->sink = sink;
	inf->arg = arg;
	inf->missing = span->out_len;
	if (!inf->ops) {
		inf->frame = FRAME_PLAIN;
	} else {
		inf->out = malloc(OUT_BYTES);
		inf->raw = inf->ops->create();
		if (!inf->out || !inf->raw)
			return err_sys(err, ENOMEM, "inflate");
		inf->frame = span->bits ? FRAME_SHARED : FRAME_DEFLATE;
		if (!span->bits && inf->ops->start(inf->raw, 0, 0, span->window) < 0)
			return err_set(err, ERR_BUG, EINVAL, "inflate: cannot start a stream");
	}
	*ret = TAKE_PTR(inf);
	return 0;
}

void inflater_free(struct inflater *inf)
{
	if (!inf)
		return;
	if (inf->raw)
		inf->ops->destroy(inf->raw);
	free(inf->out);
	free(inf);
}

/* Hand n bytes to the sink; with `exact`, more than the span has is an error. */
static int emit(struct inflater *inf, const uint8_t *data, size_t n, struct err *err)
{
	int r;

	if (n > inf->missing)
		return err_set(err, ERR_CORRUPT, EIO,
			       "inflate: the span's data is longer than the zTOC says");
	if (n == 0)
		return 0;
	inf->missing -= n;
	r = inf->sink(inf->arg, data, n);
	return r < 0 ? err_sys(err, -r, "inflate: output not taken") : 0;
}

static int invalid(struct inflater *inf, const char *what, struct err *err)
{
	return err_set(err, ERR_CORRUPT, EIO, "inflate: %s, after %llu good bytes of the span",
		       what, (unsigned long long)(inf->span.out_len - inf->missing));
}

static int begin_stream(struct inflater *inf, unsigned int nbits, unsigned int bits,
			const uint8_t *window, struct err *err)
{
	inf->frame = FRAME_DEFLATE;
	if (inf->ops->start(inf->raw, nbits, bits, window) < 0)
		return err_set(err, ERR_BUG, EINVAL, "inflate: cannot start a stream");
	return 0;
}

static int feed_byte(struct inflater *inf, uint8_t byte, struct err *err)
{
	int r;

	switch (inf->frame) {
	case FRAME_SHARED:
		return begin_stream(inf, inf->span.bits, byte >> (8 - inf->span.bits),
				    inf->span.window, err);
	case FRAME_TRAILER:
		if (--inf->trailer_left == 0) {
			inf->frame = FRAME_HEADER;
			inf->header = (struct gzip_header){ .part = GZIP_FIXED };
		}
		return 0;
	case FRAME_HEADER:
		r = gzip_header_feed(&inf->header, byte);
		if (r < 0)
			return invalid(inf, "no gzip member follows", err);
		return r ? begin_stream(inf, 0, 0, NULL, err) : 0;
	case FRAME_DEFLATE:
	case FRAME_PLAIN:
		break;
	}
	return err_set(err, ERR_BUG, EINVAL, "inflate: byte in a wrong state");
}

/* After the end of a stream: what the decoder took too much belongs to the trailer. */
static int end_stream(struct inflater *inf, const struct inflate_raw_io *io, struct err *err)
{
	int r = 0;

	inf->frame = FRAME_TRAILER;
	inf->trailer_left = GZIP_TRAILER_BYTES;
	for (size_t i = 0; i < io->nunread && r == 0; i++)
		r = feed_byte(inf, io->unread[i], err);
	return r;
}

/*
 * Run the decoder once. One byte of room more than is missing shows an `exact` span that
 * goes on too long. *ret_stalled: neither input nor output moved.
 */
static int run_decoder(struct inflater *inf, const uint8_t **p, size_t *len, bool *ret_stalled,
		       struct err *err)
{
	uint64_t room = inf->missing + (inf->span.exact ? 1 : 0);
	struct inflate_raw_io io = {
		.in = *p,
		.in_len = *len < INFLATE_RAW_PIECE ? *len : INFLATE_RAW_PIECE,
		.out = inf->out,
		.out_len = room < OUT_BYTES ? (size_t)room : OUT_BYTES,
	};
	size_t given = io.in_len;
	int r = inf->ops->run(inf->raw, &io);

	/* ISA-L may leave garbage behind the last good byte: nothing of a bad run is used. */
	if (r == -ENOMEM)
		return err_sys(err, ENOMEM, "inflate");
	if (r < 0)
		return invalid(inf, "invalid deflate data", err);
	*ret_stalled = io.in == *p && io.out == inf->out;
	*len -= given - io.in_len;
	*p = io.in;
	r = emit(inf, inf->out, (size_t)(io.out - inf->out), err);
	return r == 0 && io.ended ? end_stream(inf, &io, err) : r;
}

static bool is_complete(const struct inflater *inf)
{
	return inf->missing == 0 && !inf->span.exact;
}

/*
 * A decoder may have output ready when its input is used up: go on until it stalls. With
 * input left, a stall would mean a decoder that neither reads nor writes: no endless loop.
 */
static int feed_deflate(struct inflater *inf, const uint8_t **p, size_t *len, struct err *err)
{
	bool stalled = false;
	int r = 0;

	while (r == 0 && !stalled && inf->frame == FRAME_DEFLATE && !is_complete(inf))
		r = run_decoder(inf, p, len, &stalled, err);
	if (r == 0 && stalled && *len > 0)
		return invalid(inf, "the decoder does not advance", err);
	return r;
}

static int feed_plain(struct inflater *inf, const uint8_t **p, size_t *len, struct err *err)
{
	size_t n = *len;

	if (!inf->span.exact && n > inf->missing)
		n = (size_t)inf->missing;
	*p += n;
	*len -= n;
	return emit(inf, *p - n, n, err);
}

int inflater_feed(struct inflater *inf, const uint8_t *data, size_t len, struct err *err)
{
	int r = 0;

	if (inf->failed)
		return err_set(err, ERR_CORRUPT, -inf->failed, "inflate: failed before");
	while (r == 0 && len > 0 && !is_complete(inf)) {
		if (inf->frame == FRAME_PLAIN) {
			r = feed_plain(inf, &data, &len, err);
		} else if (inf->frame == FRAME_DEFLATE) {
			r = feed_deflate(inf, &data, &len, err);
		} else {
			r = feed_byte(inf, *data, err);
			data++;
			len--;
		}
	}
	if (r < 0)
		inf->failed = r;
	return r;
}

int inflater_finish(struct inflater *inf, struct err *err)
{
	if (inf->failed)
		return err_set(err, ERR_CORRUPT, -inf->failed, "inflate: failed before");
	if (inf->missing)
		return err_set(err, ERR_CORRUPT, EIO, "inflate: %llu of %llu bytes are missing",
			       (unsigned long long)inf->missing,
			       (unsigned long long)inf->span.out_len);
	return 0;
}
