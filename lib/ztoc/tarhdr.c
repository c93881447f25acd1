/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tarhdr.c - see tarhdr.h. Field places: POSIX ustar, GNU tar and star manuals. */
#include "ztoc/tarhdr.h"

#include <errno.h>
#include <string.h>

struct field {
	uint16_t off, len;
};

static const struct field F_NAME = { 0, 100 }, F_MODE = { 100, 8 }, F_UID = { 108, 8 },
	F_GID = { 116, 8 }, F_SIZE = { 124, 12 }, F_MTIME = { 136, 12 }, F_CHKSUM = { 148, 8 },
	F_LINKNAME = { 157, 100 }, F_UNAME = { 265, 32 }, F_GNAME = { 297, 32 },
	F_DEVMAJOR = { 329, 8 }, F_DEVMINOR = { 337, 8 }, F_PREFIX = { 345, 155 },
	F_STAR_PREFIX = { 345, 131 }, F_STAR_ATIME = { 476, 12 }, F_STAR_CTIME = { 488, 12 },
	F_GNU_ATIME = { 345, 12 }, F_GNU_CTIME = { 357, 12 };

#define OFF_TYPE 156
#define OFF_MAGIC 257
#define OFF_STAR_TRAILER 508

static struct ztoc_str text(const uint8_t *block, struct field f)
{
	const char *s = (const char *)block + f.off;

	return (struct ztoc_str){ s, (uint32_t)strnlen(s, f.len) };
}

/* Octal digits between any spaces and NULs; nothing at all is 0. */
static int octal(const uint8_t *block, struct field f, int64_t *ret)
{
	const uint8_t *p = block + f.off, *end = p + f.len;
	uint64_t v = 0;

	while (p < end && (*p == ' ' || *p == '\0'))
		p++;
	while (end > p && (end[-1] == ' ' || end[-1] == '\0'))
		end--;
	for (; p < end && *p; p++) {
		if (*p < '0' || *p > '7' || v >> 61)
			return -EINVAL;
		v = v << 3 | (uint64_t)(*p - '0');
	}
	*ret = (int64_t)v;
	return 0;
}

/* Base-256 when the first bit is set: big-endian two's complement without that bit. */
static int number(const uint8_t *block, struct field f, int64_t *ret)
{
	const uint8_t *p = block + f.off;
	uint8_t inv = p[0] & 0x40 ? 0xff : 0;
	uint64_t v = 0;

	if (!(p[0] & 0x80))
		return octal(block, f, ret);
	for (unsigned int i = 0; i < f.len; i++) {
		uint8_t c = p[i] ^ inv;

		if (i == 0)
			c &= 0x7f;
		if (v >> 56)
			return -EINVAL;
		v = v << 8 | c;
	}
	if (v >> 63)
		return -EINVAL;
	*ret = inv ? (int64_t)~v : (int64_t)v;
	return 0;
}

bool tarhdr_is_zero(const uint8_t block[TAR_BLOCK_BYTES])
{
	static const uint8_t zero[TAR_BLOCK_BYTES];

	return memcmp(block, zero, sizeof(zero)) == 0;
}

bool tarhdr_type_is_bare(char type)
{
	return type >= '1' && type <= '6';
}

/* Writers disagree whether the bytes are signed; both sums are accepted. */
static bool checksum_is_right(const uint8_t *block)
{
	int64_t want, sum = 0, signed_sum = 0;

	if (octal(block, F_CHKSUM, &want) < 0)
		return false;
	for (unsigned int i = 0; i < TAR_BLOCK_BYTES; i++) {
		uint8_t c = block[i];

		if (i >= F_CHKSUM.off && i < F_CHKSUM.off + F_CHKSUM.len)
			c = ' ';
		sum += c;
		signed_sum += (int8_t)c;
	}
	return want == sum || want == signed_sum;
}

static enum tar_format format_of(const uint8_t *block)
{
	if (memcmp(block + OFF_MAGIC, "ustar", 6) == 0)
		return memcmp(block + OFF_STAR_TRAILER, "tar", 4) == 0 ? TAR_STAR : TAR_USTAR;
	return memcmp(block + OFF_MAGIC, "ustar  ", 8) == 0 ? TAR_GNU : TAR_V7;
}

/*
 * GNU headers have times where ustar has the prefix. Old versions of Go wrote a prefix
 * there nevertheless: believed when it is ASCII and not valid as times.
 */
static struct ztoc_str gnu_prefix(const uint8_t *block)
{
	static const struct ztoc_str none = { "", 0 };
	struct ztoc_str s = text(block, F_PREFIX);
	int64_t t;

	if ((!block[F_GNU_ATIME.off] || number(block, F_GNU_ATIME, &t) == 0) &&
	    (!block[F_GNU_CTIME.off] || number(block, F_GNU_CTIME, &t) == 0))
		return none;
	for (uint32_t i = 0; i < s.len; i++)
		if ((uint8_t)s.s[i] >= 0x80)
			return none;
	return s;
}

static void join_name(struct tarhdr *h, struct ztoc_str prefix, struct ztoc_str name)
{
	char *p = h->name_buf;

	if (prefix.len) {
		p = mempcpy(p, prefix.s, prefix.len);
		*p++ = '/';
	}
	p = mempcpy(p, name.s, name.len);
	h->name = (struct ztoc_str){ h->name_buf, (uint32_t)(p - h->name_buf) };
}

static int parse_extended(const uint8_t *block, struct tarhdr *h, struct ztoc_str *prefix)
{
	int64_t t;

	h->uname = text(block, F_UNAME);
	h->gname = text(block, F_GNAME);
	if (number(block, F_DEVMAJOR, &h->devmajor) < 0 ||
	    number(block, F_DEVMINOR, &h->devminor) < 0)
		return -EINVAL;
	switch (h->format) {
	case TAR_USTAR:
		*prefix = text(block, F_PREFIX);
		break;
	case TAR_STAR:
		*prefix = text(block, F_STAR_PREFIX);
		if (number(block, F_STAR_ATIME, &t) < 0 || number(block, F_STAR_CTIME, &t) < 0)
			return -EINVAL;
		break;
	case TAR_GNU:
		*prefix = gnu_prefix(block);
		break;
	case TAR_V7:
		break;
	}
	return 0;
}

int tarhdr_parse(const uint8_t block[TAR_BLOCK_BYTES], struct tarhdr *ret,
		 const char **ret_why)
{
	struct ztoc_str prefix = { "", 0 };

	*ret_why = "checksum";
	if (!checksum_is_right(block))
		return -EINVAL;
	*ret_why = "number";
	memset(ret, 0, sizeof(*ret));
	ret->format = format_of(block);
	ret->type = (char)block[OFF_TYPE];
	ret->linkname = text(block, F_LINKNAME);
	if (number(block, F_SIZE, &ret->size) < 0 || number(block, F_MODE, &ret->mode) < 0 ||
	    number(block, F_UID, &ret->uid) < 0 || number(block, F_GID, &ret->gid) < 0 ||
	    number(block, F_MTIME, &ret->mtime) < 0)
		return -EINVAL;
	ret->uname = ret->gname = (struct ztoc_str){ "", 0 };
	if (ret->format != TAR_V7 && parse_extended(block, ret, &prefix) < 0)
		return -EINVAL;
	join_name(ret, prefix, text(block, F_NAME));
	return 0;
}
