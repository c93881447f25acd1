/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_kernel.c - what comes from the kernel, or from a daemon that died over it: messages
 * of the cachefiles device, kernel names, the journal of fanotify events. Byte 0 chooses.
 *
 * fuzz-sources: daemon/kernel/cachefiles_proto.c daemon/kernel/journal.c lib/base/err.c lib/base/io.c lib/base/buf.c
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/kernel/cachefiles_proto.h"
#include "daemon/kernel/journal.h"

/* A message that was accepted lies within its bytes, and within an object. */
static void message(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct cachefiles_request req;
	volatile uint8_t sum = 0;

	if (!copy)
		return;
	memcpy(copy, data, len);
	if (cachefiles_request_parse(copy, len, &req) == 0) {
		for (size_t i = 0; req.volume_key && i < req.volume_key_len; i++)
			sum ^= (uint8_t)req.volume_key[i];
		for (size_t i = 0; req.cookie_key && i < req.cookie_key_len; i++)
			sum ^= (uint8_t)req.cookie_key[i];
		if (req.opcode == CACHEFILES_OP_READ && req.off + req.len < req.off)
			abort();
		(void)cachefiles_key_is(&req, "erofs,lazyerofs", "key");
	}
	free(copy);
}

static void kernel_name(const uint8_t *data, size_t len)
{
	char release[65] = "", version[65] = "";
	size_t half = len / 2;

	memcpy(release, data, half < 64 ? half : 64);
	memcpy(version, data + half, len - half < 64 ? len - half : 64);
	(void)cachefiles_kernel_check(release, version, NULL);
}

/* The journal of a predecessor, overwritten at will: attached or refused, then walked. */
static void journal(const uint8_t *data, size_t len)
{
	cleanup_journal struct journal *old = NULL, *again = NULL;
	unsigned used = 0;

	if (journal_new(&old, NULL) < 0)
		return;
	if (pwrite(journal_fd(old), data, len, 0) < 0 ||
	    journal_attach(dup(journal_fd(old)), &again, NULL) < 0)
		return;
	for (uint32_t i = 0; i < JOURNAL_SLOTS; i++) {
		if (!journal_slot_is_used(journal_slot(again, i)))
			continue;
		used++;
		journal_slot_clear(journal_slot(again, i));
		if (journal_slot_is_used(journal_slot(again, i)))
			abort();
	}
	if (used > JOURNAL_SLOTS)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1)
		return 0;
	switch (data[0] % 3) {
	case 0:
		message(data + 1, len - 1);
		break;
	case 1:
		kernel_name(data + 1, len - 1);
		break;
	case 2:
		journal(data + 1, len - 1);
		break;
	}
	return 0;
}
