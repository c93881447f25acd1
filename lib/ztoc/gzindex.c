/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gzindex.c - see gzindex.h. */
#include "ztoc/gzindex.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "ztoc/ztoc.h"

#define WINDOW_BITS_GZIP (15 + 16)
#define FRESH_BYTES (256u << 10)
/* Room for a name, and for a comment, in Go's gzip reader, through which soci reads tars. */
#define GO_STRING_BYTES 512u

/* z_stream.data_type after inflate(Z_BLOCK), see zlib.h */
#define AT_BLOCK_BOUNDARY 128
#define IN_LAST_BLOCK 64
#define UNUSED_BITS 7

enum state {
	G_MEMBER,	/* inside a gzip member, or before the first */
	G_BETWEEN,	/* a member ended; another may follow */
	G_JUNK,		/* the rest is ignored */
};

/*
 * out:  [ window | fresh ............ )
 *                  ^sent   ^z.next_out
 */
struct gzindex {
	struct gzindex_opts opts;
	struct gzindex_ops ops;
	void *arg;
	z_stream z;
	enum state state;
	uint64_t total_in, total_out;
	uint64_t last_out;		/* of the last checkpoint */
	uint64_t npoints;
	uint64_t member_out, member_points;	/* totals when the member began */
	uint64_t nmembers;		/* complete ones */
	unsigned int accepted;		/* ZTOC_ACCEPTED_* */
	gz_header header;		/* of the member; done == 1: complete, not looked at yet */
	uint8_t name[GO_STRING_BYTES], comment[GO_STRING_BYTES];
	bool names_matter;		/* until the tar is known to be complete */
	const uint8_t *sent;
	uint8_t out[ZTOC_WINDOW_BYTES + FRESH_BYTES];
};

/* To be called before each member. */
static void watch_header(struct gzindex *g)
{
	g->header = (gz_header){ .name = g->name, .name_max = GO_STRING_BYTES,
				 .comment = g->comment, .comm_max = GO_STRING_BYTES };
	inflateGetHeader(&g->z, &g->header);
}

int gzindex_new(const struct gzindex_opts *opts, const struct gzindex_ops *ops, void *arg,
		struct gzindex **ret, struct err *err)
{
	struct gzindex *g = calloc(1, sizeof(*g));

	if (!g)
		return err_sys(err, ENOMEM, "inflater");
	g->opts = *opts;
	g->ops = *ops;
	g->arg = arg;
	if (inflateInit2(&g->z, WINDOW_BITS_GZIP) != Z_OK) {
		free(g);
		return err_sys(err, ENOMEM, "inflater");
	}
	watch_header(g);
	g->names_matter = true;
	g->z.next_out = g->out + ZTOC_WINDOW_BYTES;
	g->z.avail_out = FRESH_BYTES;
	g->sent = g->z.next_out;
	*ret = g;
	return 0;
}

void gzindex_free(struct gzindex *g)
{
	if (!g)
		return;
	inflateEnd(&g->z);
	free(g);
}

static int send(struct gzindex *g, struct err *err)
{
	const uint8_t *from = g->sent;

	g->sent = g->z.next_out;
	if (from == g->sent)
		return 0;
	return g->ops.out(g->arg, from, (size_t)(g->sent - from), err);
}

/* Hand out what is there, keep the last 32 KiB as window, start over. */
static int turn(struct gzindex *g, struct err *err)
{
	int r = send(g, err);

	memmove(g->out, g->z.next_out - ZTOC_WINDOW_BYTES, ZTOC_WINDOW_BYTES);
	g->z.next_out = g->out + ZTOC_WINDOW_BYTES;
	g->z.avail_out = FRESH_BYTES;
	g->sent = g->z.next_out;
	return r;
}

static int consider_point(struct gzindex *g, struct err *err)
{
	int type = g->z.data_type;
	struct gzindex_point p = {
		.in = g->total_in, .out = g->total_out, .bits = (uint8_t)(type & UNUSED_BITS),
		.window = g->z.next_out - ZTOC_WINDOW_BYTES,
	};

	if (!(type & AT_BLOCK_BOUNDARY) || type & IN_LAST_BLOCK)
		return 0;
	if (g->opts.first_member_only && g->nmembers)
		return 0;
	if (g->npoints && g->total_out - g->last_out <= g->opts.span_size)
		return 0;
	g->npoints++;
	g->last_out = g->total_out;
	return g->ops.point(g->arg, &p, err);
}

/* May the stream end here? */
static int ask_complete(struct gzindex *g, bool *ret, struct err *err)
{
	int r = send(g, err);

	return r < 0 ? r : g->ops.is_complete(g->arg, ret, err);
}

/*
 * The input is no gzip here, or ends early. Fatal, unless it is something after the
 * members that made up the whole archive.
 */
static int stop(struct gzindex *g, const char *what, struct err *err)
{
	bool is_junk = g->total_out == g->member_out && g->npoints == g->member_points;
	bool complete = false;
	int r;

	if (g->nmembers && (g->opts.first_member_only || (!g->opts.strict && is_junk))) {
		r = ask_complete(g, &complete, err);
		if (r < 0)
			return r;
	}
	if (complete) {
		g->state = G_JUNK;
		if (!g->opts.first_member_only)
			g->accepted |= ZTOC_ACCEPTED_JUNK;
		return 0;
	}
	if (g->nmembers && is_junk)
		return err_set(err, ERR_CORRUPT, EINVAL,
			       "bytes after the gzip data, before offset %llu: %s",
			       (unsigned long long)g->total_in, what);
	return err_set(err, ERR_CORRUPT, EINVAL, "bad gzip data before offset %llu: %s",
		       (unsigned long long)g->total_in, what);
}

static void begin_member(struct gzindex *g)
{
	inflateReset(&g->z);
	watch_header(g);
	g->state = G_MEMBER;
	g->member_out = g->total_out;
	g->member_points = g->npoints;
}

/* Without a NUL: longer than Go takes. zlib sets it NULL where the header has none. */
static bool is_long(const uint8_t *string)
{
	return string && !memchr(string, 0, GO_STRING_BYTES);
}

/*
 * Go does not get to read a header behind the end of the tar. So one question is enough:
 * after it, either such names do not matter, or one that does was found.
 */
static int check_header(struct gzindex *g, struct err *err)
{
	bool complete = false;
	int r;

	if (g->header.done != 1)
		return 0;
	g->header.done = 0;
	if (!g->names_matter || (!is_long(g->header.name) && !is_long(g->header.comment)))
		return 0;
	if (g->nmembers) {
		r = ask_complete(g, &complete, err);
		if (r < 0)
			return r;
	}
	g->names_matter = false;
	if (complete)
		return 0;
	g->accepted |= ZTOC_ACCEPTED_GZIP_NAME;
	if (!g->opts.strict)
		return 0;
	return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
		       "the gzip header before offset %llu has a name or comment of %u bytes or "
		       "more",
		       (unsigned long long)g->total_in, GO_STRING_BYTES);
}

/* One call of inflate(), which ends at a block boundary at the latest. */
static int inflate_some(struct gzindex *g, bool *ret_stuck, struct err *err)
{
	uInt in = g->z.avail_in, out = g->z.avail_out;
	int zr = inflate(&g->z, Z_BLOCK), r;

	g->total_in += in - g->z.avail_in;
	g->total_out += out - g->z.avail_out;
	*ret_stuck = zr == Z_BUF_ERROR;
	if (g->total_out > g->opts.max_out_bytes)
		return err_set(err, ERR_UNSUPPORTED, EFBIG,
			       "the layer inflates to more than %llu bytes",
			       (unsigned long long)g->opts.max_out_bytes);
	switch (zr) {
	case Z_STREAM_END:
		g->state = G_BETWEEN;
		g->nmembers++;
		return 0;
	case Z_OK:
		r = check_header(g, err);
		return r < 0 ? r : consider_point(g, err);
	case Z_BUF_ERROR:
		return 0;
	case Z_MEM_ERROR:
		return err_sys(err, ENOMEM, "inflater");
	default:
		return stop(g, g->z.msg ? g->z.msg : "unknown error", err);
	}
}

static int feed_some(struct gzindex *g, const uint8_t *data, uInt len, struct err *err)
{
	bool stuck = false;
	int r = 0;

	g->z.next_in = (Bytef *)data;
	g->z.avail_in = len;
	while (r == 0 && g->state != G_JUNK && (g->z.avail_in || !g->z.avail_out)) {
		if (!g->z.avail_out)
			r = turn(g, err);
		if (r == 0 && g->state == G_BETWEEN) {
			if (!g->z.avail_in)
				break;
			begin_member(g);
		}
		if (r == 0)
			r = inflate_some(g, &stuck, err);
		if (stuck)
			break;
	}
	if (r == 0 && stuck && g->z.avail_in)
		return err_set(err, ERR_BUG, EINVAL, "the inflater does not go on");
	if (g->state == G_JUNK)
		g->total_in += g->z.avail_in;
	return r;
}

int gzindex_feed(struct gzindex *g, const uint8_t *data, size_t len, struct err *err)
{
	while (len) {
		uInt n = len < INT_MAX ? (uInt)len : INT_MAX;
		int r = feed_some(g, data, n, err);

		if (r < 0)
			return r;
		data += n;
		len -= n;
	}
	return 0;
}

int gzindex_finish(struct gzindex *g, struct err *err)
{
	int r = 0;

	if (g->state == G_MEMBER)
		r = stop(g, "it ends early", err);
	return r < 0 ? r : send(g, err);
}

unsigned int gzindex_accepted(const struct gzindex *g)
{
	return g->accepted;
}
