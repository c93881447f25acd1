/* SPDX-License-Identifier: GPL-2.0-or-later */
/* digest.c - see digest.h. Any thread. */
#include "base/digest.h"

#include <errno.h>
#include <string.h>

#include <nettle/sha2.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(struct digest_ctx),
	       "nettle's context must fit");

void digest_init(struct digest_ctx *ctx)
{
	sha256_init((struct sha256_ctx *)ctx->opaque);
}

void digest_update(struct digest_ctx *ctx, const void *data, size_t len)
{
	sha256_update((struct sha256_ctx *)ctx->opaque, len, data);
}

void digest_final(struct digest_ctx *ctx, struct digest *ret)
{
	sha256_digest((struct sha256_ctx *)ctx->opaque, DIGEST_BYTES, ret->sha256);
}

void digest_of(const void *data, size_t len, struct digest *ret)
{
	struct digest_ctx ctx;

	digest_init(&ctx);
	digest_update(&ctx, data, len);
	digest_final(&ctx, ret);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int digest_parse(const char *text, size_t len, struct digest *ret)
{
	struct digest d;

	if (len != DIGEST_TEXT_LEN || memcmp(text, "sha256:", 7) != 0)
		return -EINVAL;
	for (int i = 0; i < DIGEST_BYTES; i++) {
		int hi = hex_value(text[7 + 2 * i]), lo = hex_value(text[8 + 2 * i]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		d.sha256[i] = (uint8_t)(hi << 4 | lo);
	}
	*ret = d;
	return 0;
}

void digest_format_hex(const struct digest *d, char ret[DIGEST_HEX_LEN + 1])
{
	static const char hex[] = "0123456789abcdef";

	for (int i = 0; i < DIGEST_BYTES; i++) {
		ret[2 * i] = hex[d->sha256[i] >> 4];
		ret[2 * i + 1] = hex[d->sha256[i] & 15];
	}
	ret[DIGEST_HEX_LEN] = '\0';
}

void digest_format(const struct digest *d, char ret[DIGEST_TEXT_SIZE])
{
	memcpy(ret, "sha256:", 7);
	digest_format_hex(d, ret + 7);
}

bool digest_is_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->sha256, b->sha256, DIGEST_BYTES) == 0;
}
