/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xattr.c - see xattr.h. */
#include "image/xattr.h"

#include <string.h>

#include "image/quote.h"

#define PAX_PREFIX "SCHILY.xattr."

static const char *const acls[] = { "system.posix_acl_access", "system.posix_acl_default" };
static const char *const namespaces[] = { "user.", "trusted.", "security." };

/* %3D and %25 are the only escapes; another % stands for itself. */
static int decode_name(struct ztoc_str in, char out[XATTR_NAME_LEN_MAX + 1])
{
	uint32_t o = 0;

	for (uint32_t i = 0; i < in.len; i++) {
		char c = in.s[i];

		if (c == '%' && in.len - i > 2 && memcmp(in.s + i, "%3D", 3) == 0) {
			c = '=';
			i += 2;
		} else if (c == '%' && in.len - i > 2 && memcmp(in.s + i, "%25", 3) == 0) {
			i += 2;
		}
		if (c == '\0' || o == XATTR_NAME_LEN_MAX)
			return -1;
		out[o++] = c;
	}
	out[o] = '\0';
	return 0;
}

static bool is_storable(const char *name, enum ztoc_type type)
{
	for (size_t i = 0; i < sizeof(acls) / sizeof(acls[0]); i++)
		if (strcmp(name, acls[i]) == 0)
			return type == ZTOC_DIR || (type != ZTOC_SYMLINK && i == 0);
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		size_t n = strlen(namespaces[i]);

		if (strncmp(name, namespaces[i], n) == 0 && name[n] != '\0')
			return i != 0 || type == ZTOC_REG || type == ZTOC_DIR;
	}
	return false;
}

int image_xattr_parse(const struct ztoc_xattr *record, enum ztoc_type type,
		      struct image_xattr *ret, struct err *err)
{
	const uint32_t n = sizeof(PAX_PREFIX) - 1;
	struct ztoc_str name = { record->key.s + n, record->key.len - n };
	char quoted[IMAGE_QUOTE_SIZE];

	if (record->key.len < n || memcmp(record->key.s, PAX_PREFIX, n) != 0)
		return 0;
	if (decode_name(name, ret->name) < 0)
		return err_set(err, ERR_CORRUPT, EUCLEAN,
			       "xattr %s: a NUL byte in the name, or more than 255 bytes",
			       image_quote(name, quoted));
	if (!is_storable(ret->name, type))
		return 0;
	if (record->value.len > XATTR_VALUE_LEN_MAX)
		return err_set(err, ERR_CORRUPT, EUCLEAN,
			       "xattr %s: value of %u bytes, at most 65535 can be stored",
			       image_quote(name, quoted), record->value.len);
	ret->value = record->value;
	return 1;
}
