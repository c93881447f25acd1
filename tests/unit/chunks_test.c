/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunks_test.c - items stay whole and in order; what is dropped is gone, from either end. */
#include "tests/unit/tap.h"

#include <errno.h>
#include <sys/mman.h>

#include "ztoc/chunks.h"

#define ITEM 32785u

static bool is_mapped(const void *p)
{
	uintptr_t page = (uintptr_t)p & ~(uintptr_t)4095;
	unsigned char v;

	return mincore((void *)page, 1, &v) == 0 || errno != ENOMEM;
}

static unsigned int count(const struct chunks *c)
{
	unsigned int n = 0;

	for (const struct chunk *k = c->first; k; k = k->next)
		n++;
	return n;
}

static void test_items(void)
{
	struct chunks c = { 0 };
	unsigned int n = 0;
	bool right = true;
	uint8_t *p;

	for (unsigned int i = 0; i < 100; i++) {
		p = chunks_add(&c, ITEM);
		if (!p)
			bail("no memory");
		memset(p, (int)i, ITEM);
	}
	is_int(count(&c), (100 + 30) / 31, "31 items in a chunk");
	for (const struct chunk *k = c.first; k; k = k->next) {
		right &= k->len % ITEM == 0 && (k->next ? k->next->prev : c.last) == k;
		for (size_t at = 0; at < k->len; at += ITEM, n++)
			right &= k->data[at] == n && k->data[at + ITEM - 1] == n;
	}
	ok(right && n == 100, "all there, whole and in order");
	chunks_done(&c);
	ok(!c.first && !c.last, "empty afterwards");
}

static void test_large(void)
{
	struct chunks c = { 0 };
	uint8_t *small = chunks_add(&c, 1), *large = chunks_add(&c, 3 * CHUNK_BYTES);
	uint8_t *next = chunks_add(&c, 1);

	if (!small || !large || !next)
		bail("no memory");
	memset(large, 1, 3 * CHUNK_BYTES);
	is_int(count(&c), 3, "an item larger than a chunk has one of its own");
	ok(!chunks_add(&c, SIZE_MAX) && count(&c) == 3, "one larger than memory is refused");
	chunks_done(&c);
}

static void test_drop(void)
{
	struct chunks c = { 0 };
	uint8_t *item[3];

	for (int i = 0; i < 3; i++) {
		item[i] = chunks_add(&c, CHUNK_BYTES);
		if (!item[i])
			bail("no memory");
		item[i][0] = (uint8_t)i;
	}
	ok(is_mapped(item[0] + 8192) && is_mapped(item[2] + 8192), "three chunks");
	chunks_drop_last(&c);
	ok(!is_mapped(item[2] + 8192) && c.last->data == item[1], "the last leaves memory");
	chunks_drop_first(&c);
	ok(!is_mapped(item[0] + 8192) && c.first->data == item[1] && item[1][0] == 1,
	   "so does the first, the other stays");
	chunks_drop_first(&c);
	ok(!c.first && !c.last, "and then there is none");
	ok(chunks_add(&c, 1) && c.first == c.last, "from where it begins anew");
	chunks_done(&c);
}

int main(void)
{
	test_items();
	test_large();
	test_drop();
	return tap_done();
}
