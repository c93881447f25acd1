/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inflate_isal.c - raw deflate with ISA-L's igzip; see inflate_raw.h.
 *
 * Follows igzip_lib.h of ISA-L 2.30. isal_inflate() decodes ahead into a buffer of its own
 * and reads ahead into a 64-bit word; when the last block is over, the whole bytes left in
 * that word are not deflate data: they are given back in io->unread. A stream is resumed
 * at a bit by putting the bits into that word beforehand.
 */
#include "ztoc/inflate_raw.h"

#include <errno.h>
#include <stdlib.h>

#include <isa-l/igzip_lib.h>

#include "ztoc/ztoc.h"

static void *create(void)
{
	return malloc(sizeof(struct inflate_state));
}

static void destroy(void *raw)
{
	free(raw);
}

static int start(void *raw, unsigned int nbits, unsigned int bits, const uint8_t *window)
{
	struct inflate_state *s = raw;

	isal_inflate_init(s);
	s->read_in = bits;
	s->read_in_length = (int32_t)nbits;
	if (window &&
	    isal_inflate_set_dict(s, (uint8_t *)(uintptr_t)window, ZTOC_WINDOW_BYTES) != COMP_OK)
		return -EINVAL;
	return 0;
}

static void give_back(const struct inflate_state *s, struct inflate_raw_io *io)
{
	uint64_t word = s->read_in >> (s->read_in_length % 8);

	io->nunread = (size_t)s->read_in_length / 8;
	for (size_t i = 0; i < io->nunread; i++)
		io->unread[i] = (uint8_t)(word >> (8 * i));
}

static int run(void *raw, struct inflate_raw_io *io)
{
	struct inflate_state *s = raw;
	int r;

	s->next_in = (uint8_t *)(uintptr_t)io->in;
	s->avail_in = (uint32_t)io->in_len;
	s->next_out = io->out;
	s->avail_out = (uint32_t)io->out_len;
	r = isal_inflate(s);
	io->in = s->next_in;
	io->in_len = s->avail_in;
	io->out = s->next_out;
	io->out_len = s->avail_out;
	io->nunread = 0;
	io->ended = r == ISAL_DECOMP_OK && s->block_state == ISAL_BLOCK_FINISH;
	if (io->ended)
		give_back(s, io);
	return r == ISAL_DECOMP_OK ? 0 : -EINVAL;
}

const struct inflate_raw_ops inflate_raw_isal = { create, destroy, start, run };
