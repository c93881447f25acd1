/* SPDX-License-Identifier: GPL-2.0-or-later */
/* buildpipe_test.c - the ring between two threads: order, errors, an early end. */
#include "tests/unit/tap.h"

#include <errno.h>

#include "ztoc/buildpipe.h"

#define PIECE 60000u

struct seen {
	uint64_t bytes, items;
	uint8_t next;		/* what the next byte has to be */
	bool wrong;
	uint64_t fail_at;	/* item at which to fail */
};

static int see(void *arg, const struct buildpipe_item *item, struct err *err)
{
	struct seen *s = arg;

	for (size_t i = 0; i < item->len; i++)
		s->wrong |= item->data[i] != s->next++;
	s->wrong |= item->len > BUILDPIPE_ITEM_BYTES || item->kind != 3 || item->in != 9;
	s->bytes += item->len;
	if (++s->items == s->fail_at)
		return err_set(err, ERR_CORRUPT, ERANGE, "item %d", (int)s->items);
	return 0;
}

/* Push `n` pieces of running numbers; the first error, or that of draining. */
static int push_all(struct buildpipe *p, unsigned int n, struct err *err)
{
	static uint8_t data[PIECE + 256];
	uint8_t next = 0;
	int r = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (unsigned int i = 0; r == 0 && i < n; i++) {
		struct buildpipe_item item = { .kind = 3, .in = 9, .data = data + next,
					       .len = PIECE };

		r = buildpipe_push(p, &item, err);
		next = (uint8_t)(next + PIECE);
	}
	return r < 0 ? r : buildpipe_drain(p, err);
}

static void test_order(bool threaded)
{
	struct seen s = { 0 };
	struct buildpipe *p;

	if (buildpipe_new(see, &s, threaded, &p, NULL) < 0)
		bail("buildpipe_new");
	is_int(push_all(p, 1000, NULL), 0, "60 MB through the pipe");
	is_int(s.bytes, 1000 * PIECE, "all of them arrive");
	ok(!s.wrong, "in order");
	buildpipe_free(p);
}

static void test_error(bool threaded)
{
	struct seen s = { .fail_at = 500 };
	struct err err = ERR_INIT;
	struct buildpipe *p;

	if (buildpipe_new(see, &s, threaded, &p, NULL) < 0)
		bail("buildpipe_new");
	is_int(push_all(p, 1000, &err), -ERANGE, "the consumer's error comes back");
	is_str(err.text, "item 500", "with its text");
	is_int(buildpipe_drain(p, &err), -ERANGE, "and stays");
	is_int(s.items, 500, "nothing is consumed after it");
	buildpipe_free(p);
}

static void test_long_item(void)
{
	static uint8_t data[1000000];
	struct buildpipe_item item = { .kind = 3, .in = 9, .data = data, .len = sizeof(data) };
	struct seen s = { 0 };
	struct buildpipe *p;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	if (buildpipe_new(see, &s, true, &p, NULL) < 0)
		bail("buildpipe_new");
	is_int(buildpipe_push(p, &item, NULL), 0, "an item longer than a slot");
	is_int(buildpipe_drain(p, NULL), 0, "is taken");
	ok(!s.wrong && s.bytes == sizeof(data), "in several pieces");
	buildpipe_free(p);
}

static void test_early_end(void)
{
	struct seen s = { 0 };
	struct buildpipe *p;

	for (int i = 0; i < 50; i++) {
		struct buildpipe_item item = { .kind = 3, .in = 9,
					       .data = (uint8_t[1]){ 0 }, .len = 1 };

		if (buildpipe_new(see, &s, true, &p, NULL) < 0)
			bail("buildpipe_new");
		push_all(p, 30, NULL);
		buildpipe_push(p, &item, NULL);
		buildpipe_free(p);
	}
	ok(true, "a pipe can be freed while it works");
	buildpipe_free(NULL);
}

int main(void)
{
	test_order(false);
	test_order(true);
	test_error(false);
	test_error(true);
	test_long_item();
	test_early_end();
	return tap_done();
}
