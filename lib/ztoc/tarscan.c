/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tarscan.c - see tarscan.h. */
#include "ztoc/tarscan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "ztoc/tarhdr.h"
#include "ztoc/tarpax.h"

enum state {
	S_BLOCK,	/* collecting a header block */
	S_SPECIAL,	/* collecting the data of a special header */
	S_MAP,		/* collecting blocks of a PAX 1.0 sparse map */
	S_SKIP,		/* file data */
	S_PAD,		/* to the end of the last block */
	S_END,		/* after the end-of-archive mark */
};

struct tarscan {
	struct tarscan_opts opts;
	tarscan_cb cb;
	void *arg;

	enum state state;
	uint64_t pos;			/* of the next byte, while state < S_END */
	uint64_t left;			/* bytes to come in S_SPECIAL, S_MAP, S_SKIP, S_PAD */
	uint32_t pad;			/* padding after S_SPECIAL, S_MAP, S_SKIP */
	bool zero_seen;			/* the block before was zeros */
	bool has_header;		/* a block was a valid header */
	uint64_t nentries;
	unsigned int accepted;		/* ZTOC_ACCEPTED_* */

	uint8_t block[TAR_BLOCK_BYTES];
	uint32_t have;			/* bytes in block */
	struct tarhdr hdr;		/* its strings point into hdr and hdr_block */
	uint8_t hdr_block[TAR_BLOCK_BYTES];

	char special_type;		/* 'x', 'g', 'L', 'K' */
	struct buf special;
	/* what special headers said about the next entry */
	struct buf pax_data, long_name, long_link;
	struct tarpax pax;

	struct tarscan_entry entry;	/* waits for the end of its sparse map */
	struct tar_sparse_1_0 map;
};

int tarscan_new(const struct tarscan_opts *opts, tarscan_cb cb, void *arg,
		struct tarscan **ret, struct err *err)
{
	struct tarscan *t = calloc(1, sizeof(*t));

	if (!t)
		return err_sys(err, ENOMEM, "tar reader");
	t->opts = *opts;
	t->cb = cb;
	t->arg = arg;
	t->special.max_bytes = TAR_SPECIAL_MAX_BYTES;
	*ret = t;
	return 0;
}

void tarscan_free(struct tarscan *t)
{
	if (!t)
		return;
	buf_done(&t->special);
	buf_done(&t->pax_data);
	buf_done(&t->long_name);
	buf_done(&t->long_link);
	tarpax_done(&t->pax);
	free(t);
}

bool tarscan_is_done(const struct tarscan *t)
{
	return t->state == S_END;
}

bool tarscan_has_header(const struct tarscan *t)
{
	return t->has_header;
}

unsigned int tarscan_accepted(const struct tarscan *t)
{
	return t->accepted;
}

static int corrupt(const struct tarscan *t, struct err *err, const char *what)
{
	return err_set(err, ERR_CORRUPT, EINVAL, "invalid tar header near offset %llu: %s",
		       (unsigned long long)t->pos, what);
}

static void enter(struct tarscan *t, enum state state, uint64_t left)
{
	t->state = state;
	t->left = left;
	t->have = 0;
}

static void forget_special(struct tarscan *t)
{
	buf_reset(&t->pax_data);
	buf_reset(&t->long_name);
	buf_reset(&t->long_link);
	tarpax_reset(&t->pax);
}

/* Data and padding that follow a header with this size field. */
static int set_data(struct tarscan *t, char type, int64_t size, struct err *err)
{
	uint64_t n = tarhdr_type_is_bare(type) ? 0 : (uint64_t)size;

	if (!tarhdr_type_is_bare(type) && size < 0)
		return corrupt(t, err, "negative size");
	t->left = n;
	t->pad = (uint32_t)(-n & (TAR_BLOCK_BYTES - 1));
	return 0;
}

static int start_special(struct tarscan *t, struct err *err)
{
	int r = set_data(t, t->hdr.type, t->hdr.size, err);

	if (r < 0)
		return r;
	if (t->left > TAR_SPECIAL_MAX_BYTES)
		return err_set(err, ERR_UNSUPPORTED, EFBIG,
			       "tar header of type '%c' at offset %llu is larger than 1 MiB",
			       t->hdr.type, (unsigned long long)t->pos);
	t->special_type = t->hdr.type;
	buf_reset(&t->special);
	enter(t, S_SPECIAL, t->left);
	return 0;
}

static int set_string(struct buf *b, const struct buf *from)
{
	buf_reset(b);
	return from->len ? buf_add(b, from->data, strnlen((char *)from->data, from->len)) : 0;
}

static int end_special(struct tarscan *t, struct err *err)
{
	int r = 0;

	switch (t->special_type) {
	case 'L':
		r = set_string(&t->long_name, &t->special);
		break;
	case 'K':
		r = set_string(&t->long_link, &t->special);
		break;
	case 'g':
		forget_special(t);
		break;
	default:
		buf_reset(&t->pax_data);
		r = buf_add(&t->pax_data, t->special.data, t->special.len);
		if (r == 0)
			r = tarpax_parse(&t->pax, t->pax_data.data, t->pax_data.len);
		if (r == -EINVAL)
			return corrupt(t, err, "bad PAX record");
	}
	if (r < 0)
		return err_sys(err, -r, "tar reader");
	enter(t, S_PAD, t->pad);
	return 0;
}

/* What the PAX records say wins over the header block; an empty value says nothing. */
static int merge_pax(const struct tarpax *pax, struct tarscan_entry *e)
{
	static const struct {
		const char *key;
		size_t string, number;	/* where it goes; SIZE_MAX: not so */
	} known[] = {
		{ "path", offsetof(struct tarscan_entry, name), SIZE_MAX },
		{ "linkpath", offsetof(struct tarscan_entry, linkname), SIZE_MAX },
		{ "uname", offsetof(struct tarscan_entry, uname), SIZE_MAX },
		{ "gname", offsetof(struct tarscan_entry, gname), SIZE_MAX },
		{ "uid", SIZE_MAX, offsetof(struct tarscan_entry, uid) },
		{ "gid", SIZE_MAX, offsetof(struct tarscan_entry, gid) },
		{ "size", SIZE_MAX, offsetof(struct tarscan_entry, size) },
	};
	static const char *const times[] = { "mtime", "atime", "ctime" };
	struct ztoc_str v;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		v = tarpax_get(pax, known[i].key);
		if (!v.len)
			continue;
		if (known[i].number == SIZE_MAX)
			*(struct ztoc_str *)((char *)e + known[i].string) = v;
		else if (tarpax_int(v, (int64_t *)((char *)e + known[i].number)) < 0)
			return -EINVAL;
	}
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		int64_t sec;
		uint32_t nsec;

		v = tarpax_get(pax, times[i]);
		if (!v.len)
			continue;
		if (tarpax_time(v, &sec, &nsec) < 0)
			return -EINVAL;
		if (i == 0) {
			e->mtime_sec = sec;
			e->mtime_nsec = nsec;
		}
	}
	e->records = pax->records;
	e->nrecords = pax->nrecords;
	return 0;
}

/* Names come from outside and end in a journal or on a terminal. */
static char printable(char c)
{
	return c >= ' ' && c <= '~' ? c : '?';
}

static int refuse_type(const struct tarscan *t, char type, struct err *err)
{
	const char *what = type == 'S'	 ? "an old GNU sparse file"
			   : type == '7' ? "a contiguous file"
			   : type == 'g' ? "a global PAX header"
					 : "of a type of its own";
	char word[] = { '\'', printable(type), '\'', '\0' }, name[128];
	uint32_t n = t->entry.name.len;

	if (n > sizeof(name) - 1)
		n = sizeof(name) - 1;
	for (uint32_t i = 0; i < n; i++)
		name[i] = printable(t->entry.name.s[i]);
	return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
		       "unsupported tar entry %s (%s) at offset %llu, \"%.*s\": a zTOC cannot "
		       "hold it",
		       word, what, (unsigned long long)(t->pos - TAR_BLOCK_BYTES), (int)n,
		       name);
}

static int entry_type(struct tarscan *t, char type, struct ztoc_str name, enum ztoc_type *ret)
{
	switch (type) {
	case '\0':	/* old archives: a trailing slash makes it a directory */
		*ret = name.len && name.s[name.len - 1] == '/' ? ZTOC_DIR : ZTOC_REG;
		return 0;
	case '0':
		*ret = ZTOC_REG;
		return 0;
	case '1':
		*ret = ZTOC_HARDLINK;
		return 0;
	case '2':
		*ret = ZTOC_SYMLINK;
		return 0;
	case '3':
		*ret = ZTOC_CHAR;
		return 0;
	case '4':
		*ret = ZTOC_BLOCK;
		return 0;
	case '5':
		*ret = ZTOC_DIR;
		return 0;
	case '6':
		*ret = ZTOC_FIFO;
		return 0;
	case '7':	/* contiguous */
		if (t->opts.strict)
			return -EOPNOTSUPP;
		t->accepted |= ZTOC_ACCEPTED_CONTIGUOUS;
		*ret = ZTOC_REG;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static int emit(struct tarscan *t, struct err *err)
{
	int r;

	if (t->opts.max_entries && t->nentries == t->opts.max_entries)
		return err_set(err, ERR_UNSUPPORTED, EFBIG, "more than %llu tar entries",
			       (unsigned long long)t->opts.max_entries);
	t->nentries++;
	t->entry.offset = t->pos;
	r = t->cb(t->arg, &t->entry, err);
	forget_special(t);
	return r;
}

/*
 * The size and the name of a sparse file come from its records, while its stored data are
 * what the header said. Returns 1 where the map has to be read first.
 */
static int start_sparse(struct tarscan *t, char type, struct err *err)
{
	enum tar_sparse kind = tarpax_sparse(&t->pax);
	struct tarscan_entry *e = &t->entry;
	struct ztoc_str v;

	if (kind == TAR_NOT_SPARSE)
		return 0;
	v = tarpax_get(&t->pax, "GNU.sparse.name");
	if (v.len)
		e->name = v;
	v = tarpax_get(&t->pax, "GNU.sparse.size");
	if (!v.len)
		v = tarpax_get(&t->pax, "GNU.sparse.realsize");
	if (v.len && tarpax_int(v, &e->size) < 0)
		return corrupt(t, err, "bad size of a sparse file");
	if (tarhdr_type_is_bare(type))
		return corrupt(t, err, "a sparse file that is no regular file");
	if (kind == TAR_SPARSE_0)
		return tarpax_check_sparse_0(&t->pax, e->size) < 0 ?
			       corrupt(t, err, "bad sparse map") : 0;
	tar_sparse_1_0_init(&t->map, e->size);
	return 1;
}

static int start_entry(struct tarscan *t, struct err *err)
{
	const struct tarhdr *h = &t->hdr;
	struct tarscan_entry *e = &t->entry;
	char type;
	int r = tarpax_order(&t->pax);

	if (r < 0)
		return err_sys(err, -r, "tar reader");
	*e = (struct tarscan_entry){
		.size = h->size, .mode = h->mode, .uid = h->uid, .gid = h->gid,
		.devmajor = h->devmajor, .devminor = h->devminor, .mtime_sec = h->mtime,
		.name = h->name, .linkname = h->linkname, .uname = h->uname, .gname = h->gname,
	};
	if (merge_pax(&t->pax, e) < 0)
		return corrupt(t, err, "bad value of a PAX record");
	if (t->long_name.len)
		e->name = (struct ztoc_str){ (char *)t->long_name.data,
					     (uint32_t)t->long_name.len };
	if (t->long_link.len)
		e->linkname = (struct ztoc_str){ (char *)t->long_link.data,
						 (uint32_t)t->long_link.len };
	if (entry_type(t, h->type, e->name, &e->type) < 0)
		return refuse_type(t, h->type, err);
	type = e->type == ZTOC_DIR ? '5' : h->type;
	r = set_data(t, type, e->size, err);
	if (r < 0)
		return r;
	r = start_sparse(t, type, err);
	if (r < 0)
		return r;
	if (r > 0) {
		enter(t, S_MAP, t->left);
		return 0;
	}
	enter(t, S_SKIP, t->left);
	return emit(t, err);
}

static int end_map_block(struct tarscan *t, struct err *err)
{
	bool done;

	t->have = 0;
	if (tar_sparse_1_0_block(&t->map, t->block, &done) < 0)
		return corrupt(t, err, "bad sparse map");
	if (!done)
		return 0;
	enter(t, S_SKIP, t->left);
	return emit(t, err);
}

static int end_block(struct tarscan *t, struct err *err)
{
	const char *why;
	int r;

	t->have = 0;
	if (tarhdr_is_zero(t->block)) {
		if (t->zero_seen)
			enter(t, S_END, 0);
		t->zero_seen = true;
		return 0;
	}
	if (t->zero_seen)
		return corrupt(t, err, "one block of zeros, then something else");
	memcpy(t->hdr_block, t->block, sizeof(t->block));
	if (tarhdr_parse(t->hdr_block, &t->hdr, &why) < 0)
		return corrupt(t, err, why);
	t->has_header = true;
	t->entry.name = t->hdr.name;
	switch (t->hdr.type) {
	case 'g':
		if (t->opts.strict)
			return refuse_type(t, 'g', err);
		t->accepted |= ZTOC_ACCEPTED_GLOBAL_PAX;
		/* fall through */
	case 'x':
	case 'L':
	case 'K':
		return start_special(t, err);
	default:
		/* The size must make sense even where a PAX record replaces it. */
		r = set_data(t, t->hdr.type, t->hdr.size, err);
		return r < 0 ? r : start_entry(t, err);
	}
}

/* Move up to `want` bytes of data into the block; true when it is full. */
static size_t fill_block(struct tarscan *t, const uint8_t *data, size_t len)
{
	size_t n = TAR_BLOCK_BYTES - t->have;

	n = n < len ? n : len;
	memcpy(t->block + t->have, data, n);
	t->have += (uint32_t)n;
	return n;
}

static size_t limit(uint64_t left, size_t len)
{
	return left < len ? (size_t)left : len;
}

/* Use some bytes in the state we are in; *ret_used of them. */
static int step(struct tarscan *t, const uint8_t *data, size_t len, size_t *ret_used,
		struct err *err)
{
	size_t n;

	switch (t->state) {
	case S_BLOCK:
		*ret_used = n = fill_block(t, data, len);
		t->pos += n;
		return t->have == TAR_BLOCK_BYTES ? end_block(t, err) : 0;
	case S_SPECIAL:
		*ret_used = n = limit(t->left, len);
		t->pos += n;
		t->left -= n;
		if (buf_add(&t->special, data, n) < 0)
			return err_sys(err, ENOMEM, "tar reader");
		return 0;
	case S_MAP:
		*ret_used = n = fill_block(t, data, limit(t->left, len));
		t->pos += n;
		t->left -= n;
		return t->have == TAR_BLOCK_BYTES ? end_map_block(t, err) : 0;
	case S_SKIP:
	case S_PAD:
		*ret_used = n = limit(t->left, len);
		t->pos += n;
		t->left -= n;
		return 0;
	case S_END:
		break;
	}
	*ret_used = len;
	return 0;
}

/* Leave states that need no more bytes. */
static int settle(struct tarscan *t, struct err *err)
{
	while (!t->left) {
		int r;

		switch (t->state) {
		case S_SPECIAL:
			r = end_special(t, err);
			if (r < 0)
				return r;
			break;
		case S_MAP:
			return corrupt(t, err, "sparse map longer than the file");
		case S_SKIP:
			enter(t, S_PAD, t->pad);
			break;
		case S_PAD:
			enter(t, S_BLOCK, 0);
			return 0;
		default:
			return 0;
		}
	}
	return 0;
}

int tarscan_feed(struct tarscan *t, const uint8_t *data, size_t len, struct err *err)
{
	while (len && t->state != S_END) {
		size_t used;
		int r = step(t, data, len, &used, err);

		if (r == 0)
			r = settle(t, err);
		if (r < 0)
			return r;
		data += used;
		len -= used;
	}
	return 0;
}

int tarscan_finish(struct tarscan *t, uint64_t *ret_size, struct err *err)
{
	if ((t->state == S_BLOCK && t->have) || t->state == S_SPECIAL ||
	    t->state == S_MAP || (t->state == S_SKIP && t->left))
		return err_set(err, ERR_CORRUPT, EINVAL,
			       "the tar stream ends early, at offset %llu",
			       (unsigned long long)t->pos);
	*ret_size = t->pos;
	return 0;
}
