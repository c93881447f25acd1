/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tarpax.c - see tarpax.h. */
#include "ztoc/tarpax.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ztoc/keyhash.h"
#include "ztoc/tarhdr.h"

#define NANO_DIGITS 9
#define RECORD_MIN_BYTES 5

static bool is_key(struct ztoc_str key, const char *want)
{
	return key.len == strlen(want) && memcmp(key.s, want, key.len) == 0;
}

static bool has_byte(struct ztoc_str s, char c)
{
	return s.len && memchr(s.s, c, s.len);
}

void tarpax_reset(struct tarpax *p)
{
	p->nrecords = 0;
	p->nsparse = 0;
	p->is_ordered = false;
	buf_reset(&p->sparse_map);
}

void tarpax_done(struct tarpax *p)
{
	free(p->records);
	free(p->links);
	buf_done(&p->sparse_map);
	memset(p, 0, sizeof(*p));
}

int tarpax_int(struct ztoc_str s, int64_t *ret)
{
	bool negative = s.len && s.s[0] == '-';
	uint32_t i = s.len && (s.s[0] == '-' || s.s[0] == '+');
	int64_t v = 0;

	if (i == s.len)
		return -EINVAL;
	for (; i < s.len; i++) {
		int digit = s.s[i] - '0';

		if (digit < 0 || digit > 9)
			return -EINVAL;
		/* Counted downwards, for the sake of INT64_MIN. */
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, digit, &v))
			return -EINVAL;
	}
	if (!negative && v == INT64_MIN)
		return -EINVAL;
	*ret = negative ? v : -v;
	return 0;
}

int tarpax_time(struct ztoc_str s, int64_t *ret_sec, uint32_t *ret_nsec)
{
	const char *dot = s.len ? memchr(s.s, '.', s.len) : NULL;
	struct ztoc_str whole = { s.s, dot ? (uint32_t)(dot - s.s) : s.len };
	uint32_t nsec = 0, digits = 0;
	int64_t sec;

	if (tarpax_int(whole, &sec) < 0)
		return -EINVAL;
	for (uint32_t i = whole.len + 1; i < s.len; i++) {
		if (s.s[i] < '0' || s.s[i] > '9')
			return -EINVAL;
		if (digits < NANO_DIGITS) {
			nsec = nsec * 10 + (uint32_t)(s.s[i] - '0');
			digits++;
		}
	}
	for (; digits < NANO_DIGITS; digits++)
		nsec *= 10;
	if (nsec && s.s[0] == '-') {
		/* -1.25 is 1.25 s before the epoch: second -2, and 0.75 s. */
		sec = (int64_t)((uint64_t)sec - 1);
		nsec = 1000000000u - nsec;
	}
	*ret_sec = sec;
	*ret_nsec = nsec;
	return 0;
}

static int add_record(struct tarpax *p, struct ztoc_str key, struct ztoc_str value)
{
	if (p->nrecords == p->cap) {
		uint32_t cap = p->cap ? p->cap * 2 : 16;
		struct ztoc_xattr *r = realloc(p->records, cap * sizeof(*r));

		if (!r)
			return -ENOMEM;
		p->records = r;
		p->cap = cap;
	}
	p->records[p->nrecords++] = (struct ztoc_xattr){ key, value };
	return 0;
}

/* One "LENGTH KEY=VALUE\n" at the front of *s; LENGTH counts the whole record. */
static int take_record(struct ztoc_str *s, struct ztoc_str *key, struct ztoc_str *value)
{
	const char *sp = memchr(s->s, ' ', s->len), *eq;
	struct ztoc_str rest;
	int64_t n;

	if (!sp || tarpax_int((struct ztoc_str){ s->s, (uint32_t)(sp - s->s) }, &n) < 0)
		return -EINVAL;
	if (n < RECORD_MIN_BYTES || n > s->len || n <= sp - s->s + 1)
		return -EINVAL;
	rest = (struct ztoc_str){ sp + 1, (uint32_t)(s->s + n - 1 - (sp + 1)) };
	if (s->s[n - 1] != '\n')
		return -EINVAL;
	eq = rest.len ? memchr(rest.s, '=', rest.len) : NULL;
	if (!eq || eq == rest.s)
		return -EINVAL;
	*key = (struct ztoc_str){ rest.s, (uint32_t)(eq - rest.s) };
	*value = (struct ztoc_str){ eq + 1, rest.len - key->len - 1 };
	if (is_key(*key, "path") || is_key(*key, "linkpath") || is_key(*key, "uname") ||
	    is_key(*key, "gname")) {
		if (has_byte(*value, '\0'))
			return -EINVAL;
	} else if (has_byte(*key, '\0')) {
		return -EINVAL;
	}
	s->s += n;
	s->len -= (uint32_t)n;
	return 0;
}

/*
 * Sparse format 0.0 repeats "offset" and "numbytes" records in turn; they become the one
 * "map" record of format 0.1. Returns 1 if the record was such a one.
 */
static int take_sparse_0_0(struct tarpax *p, struct ztoc_str key, struct ztoc_str value)
{
	bool is_offset = is_key(key, "GNU.sparse.offset");
	int r;

	if (!is_offset && !is_key(key, "GNU.sparse.numbytes"))
		return 0;
	if (is_offset != (p->nsparse % 2 == 0) || has_byte(value, ','))
		return -EINVAL;
	r = p->nsparse++ ? buf_add(&p->sparse_map, ",", 1) : 0;
	if (r == 0)
		r = buf_add(&p->sparse_map, value.s, value.len);
	return r < 0 ? r : 1;
}

int tarpax_parse(struct tarpax *p, const void *data, size_t len)
{
	struct ztoc_str s = { data, (uint32_t)len }, key, value;
	int r;

	tarpax_reset(p);
	while (s.len) {
		r = take_record(&s, &key, &value);
		if (r == 0)
			r = take_sparse_0_0(p, key, value);
		if (r == 0)
			r = add_record(p, key, value);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare_records(const void *a, const void *b)
{
	const struct ztoc_xattr *x = a, *y = b;
	uint32_t n = x->key.len < y->key.len ? x->key.len : y->key.len;
	int c = memcmp(x->key.s, y->key.s, n);

	if (c)
		return c;
	return x->key.len < y->key.len ? -1 : x->key.len > y->key.len;
}

static bool keys_are_equal(const struct ztoc_xattr *a, const struct ztoc_xattr *b)
{
	return a->key.len == b->key.len && memcmp(a->key.s, b->key.s, a->key.len) == 0;
}

/* Of record i: its hash, and the next one with the same remainder. Of remainder i: the first. */
struct tarpax_links {
	uint64_t hash;
	uint32_t next, first;		/* 1 + index; 0: none */
};

static int make_links(struct tarpax *p)
{
	int r = p->point ? 0 : keyhash_point(&p->point);

	if (r < 0)
		return r;
	if (p->cap > p->links_cap) {
		free(p->links);
		p->links_cap = 0;
		p->links = malloc(p->cap * sizeof(*p->links));
		if (!p->links)
			return -ENOMEM;
		p->links_cap = p->cap;
	}
	return 0;
}

/*
 * Keep the last of the records with equal keys, in the place of the first. With a hash:
 * sorting all of them would cost a header of equal keys its length times the logarithm.
 */
static void drop_duplicates(struct tarpax *p)
{
	uint32_t mask = 1, n = 0;

	while (mask < p->nrecords)
		mask *= 2;
	/* cap is a power of two, and so large enough. */
	for (uint32_t i = 0; i < mask; i++)
		p->links[i].first = 0;
	mask--;
	for (uint32_t i = 0; i < p->nrecords; i++) {
		struct ztoc_xattr rec = p->records[i];
		uint64_t hash = keyhash(p->point, rec.key.s, rec.key.len);
		uint32_t *first = &p->links[hash & mask].first, k = *first;

		while (k && (p->links[k - 1].hash != hash ||
			     !keys_are_equal(&p->records[k - 1], &rec)))
			k = p->links[k - 1].next;
		if (k) {
			p->records[k - 1] = rec;
			continue;
		}
		p->records[n] = rec;
		p->links[n].hash = hash;
		p->links[n].next = *first;
		*first = ++n;
	}
	p->nrecords = n;
}

/* Most writers put them so. */
static bool is_ascending(const struct tarpax *p)
{
	for (uint32_t i = 1; i < p->nrecords; i++)
		if (compare_records(&p->records[i - 1], &p->records[i]) >= 0)
			return false;
	return true;
}

int tarpax_order(struct tarpax *p)
{
	static const char map_key[] = "GNU.sparse.map";
	struct ztoc_str key = { map_key, sizeof(map_key) - 1 };
	struct ztoc_str map = { (char *)p->sparse_map.data, (uint32_t)p->sparse_map.len };
	int r = 0;

	if (p->is_ordered)
		return 0;
	/* The map made of 0.0 records replaces one that was given. */
	if (p->nsparse)
		r = add_record(p, key, map);
	if (r == 0 && !is_ascending(p)) {
		r = make_links(p);
		if (r < 0)
			return r;
		drop_duplicates(p);
		qsort(p->records, p->nrecords, sizeof(*p->records), compare_records);
	}
	p->is_ordered = r == 0;
	return r;
}

struct ztoc_str tarpax_get(const struct tarpax *p, const char *key)
{
	struct ztoc_xattr want = { { key, (uint32_t)strlen(key) }, { NULL, 0 } };
	uint32_t lo = 0, hi = p->nrecords;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (keys_are_equal(&p->records[mid], &want))
			return p->records[mid].value;
		if (compare_records(&p->records[mid], &want) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (struct ztoc_str){ "", 0 };
}

enum tar_sparse tarpax_sparse(const struct tarpax *p)
{
	struct ztoc_str major = tarpax_get(p, "GNU.sparse.major");
	struct ztoc_str minor = tarpax_get(p, "GNU.sparse.minor");

	if (is_key(major, "0") && (is_key(minor, "0") || is_key(minor, "1")))
		return TAR_SPARSE_0;
	if (is_key(major, "1") && is_key(minor, "0"))
		return TAR_SPARSE_1_0;
	if (major.len || minor.len)
		return TAR_NOT_SPARSE;
	return tarpax_get(p, "GNU.sparse.map").len ? TAR_SPARSE_0 : TAR_NOT_SPARSE;
}

int tar_sparse_piece(struct tar_sparse_map *m, int64_t offset, int64_t len)
{
	int64_t end;

	if (m->size < 0 || offset < 0 || len < 0 || offset < m->prev_end ||
	    __builtin_add_overflow(offset, len, &end) || end > m->size)
		return -EINVAL;
	m->prev_end = end;
	return 0;
}

/* The next of comma-separated numbers. */
static int take_number(struct ztoc_str *s, int64_t *ret)
{
	const char *comma = s->len ? memchr(s->s, ',', s->len) : NULL;
	uint32_t n = comma ? (uint32_t)(comma - s->s) : s->len;

	if (tarpax_int((struct ztoc_str){ s->s, n }, ret) < 0)
		return -EINVAL;
	s->s += n + (comma ? 1 : 0);
	s->len -= n + (comma ? 1 : 0);
	return 0;
}

int tarpax_check_sparse_0(const struct tarpax *p, int64_t real_size)
{
	struct tar_sparse_map m = { real_size, 0 };
	struct ztoc_str map = tarpax_get(p, "GNU.sparse.map");
	int64_t n, offset, len;

	if (real_size < 0 || tarpax_int(tarpax_get(p, "GNU.sparse.numblocks"), &n) < 0 ||
	    n < 0 || n > map.len || (map.len && map.s[map.len - 1] == ','))
		return -EINVAL;
	for (; n > 0; n--)
		if (take_number(&map, &offset) < 0 || take_number(&map, &len) < 0 ||
		    tar_sparse_piece(&m, offset, len) < 0)
			return -EINVAL;
	return map.len ? -EINVAL : 0;
}

void tar_sparse_1_0_init(struct tar_sparse_1_0 *s, int64_t real_size)
{
	memset(s, 0, sizeof(*s));
	s->map.size = real_size;
	s->left = -1;
}

static int sparse_1_0_number(struct tar_sparse_1_0 *s, int64_t v)
{
	if (s->left < 0) {
		if (v < 0 || v > INT64_MAX / 2 || s->map.size < 0)
			return -EINVAL;
		s->left = 2 * v;
		return 0;
	}
	s->left--;
	s->is_length_next = !s->is_length_next;
	if (s->is_length_next) {
		s->offset = v;
		return 0;
	}
	return tar_sparse_piece(&s->map, s->offset, v);
}

/* A zero after a zero that begins the number, its sign aside. */
static bool is_needless_zero(const struct tar_sparse_1_0 *s, uint8_t c)
{
	bool is_signed = s->token_len && (s->token[0] == '-' || s->token[0] == '+');

	return c == '0' && s->token_len == 1 + is_signed && s->token[is_signed] == '0';
}

int tar_sparse_1_0_block(struct tar_sparse_1_0 *s, const uint8_t *block, bool *ret_done)
{
	int64_t v;

	for (unsigned int i = 0; i < TAR_BLOCK_BYTES && s->left; i++) {
		if (is_needless_zero(s, block[i]))
			continue;
		if (block[i] != '\n') {
			if (s->token_len == sizeof(s->token))
				return -EINVAL;
			s->token[s->token_len++] = (char)block[i];
			continue;
		}
		if (tarpax_int((struct ztoc_str){ s->token, s->token_len }, &v) < 0 ||
		    sparse_1_0_number(s, v) < 0)
			return -EINVAL;
		s->token_len = 0;
	}
	*ret_done = s->left == 0;
	return 0;
}
