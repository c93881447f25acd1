/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * digest.h - sha256 digests, the only algorithm that OCI images and zTOCs use in practice.
 *
 * Text form: "sha256:" + 64 lower-case hexadecimal digits (OCI image-spec, descriptor.md).
 * The hash itself comes from nettle; this is the one file that includes it.
 */
#ifndef LZ_BASE_DIGEST_H
#define LZ_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES 32
#define DIGEST_HEX_LEN 64
#define DIGEST_TEXT_LEN 71		/* without the final NUL */
#define DIGEST_TEXT_SIZE 72

struct digest {
	uint8_t sha256[DIGEST_BYTES];
};

/* Running hash; opaque, holds nettle's context. */
struct digest_ctx {
	_Alignas(16) unsigned char opaque[128];
};

void digest_init(struct digest_ctx *ctx);
void digest_update(struct digest_ctx *ctx, const void *data, size_t len);
void digest_final(struct digest_ctx *ctx, struct digest *ret);
void digest_of(const void *data, size_t len, struct digest *ret);

/* Parse exactly len bytes of "sha256:<64 lower-case hex>"; -EINVAL otherwise. */
int digest_parse(const char *text, size_t len, struct digest *ret);
/* Write "sha256:..." / bare hex, NUL-terminated. */
void digest_format(const struct digest *d, char ret[DIGEST_TEXT_SIZE]);
void digest_format_hex(const struct digest *d, char ret[DIGEST_HEX_LEN + 1]);
bool digest_is_equal(const struct digest *a, const struct digest *b);

#endif
