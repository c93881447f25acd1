/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xattr_test.c - which PAX records are extended attributes, and how their names decode. */
#include "image/xattr.h"

#include <string.h>

#include "tap.h"

static struct ztoc_str str(const char *s, size_t len)
{
	return (struct ztoc_str){ s, (uint32_t)len };
}

static int parse(const char *key, enum ztoc_type type, struct image_xattr *x)
{
	struct ztoc_xattr record = { str(key, strlen(key)), str("value", 5) };

	return image_xattr_parse(&record, type, x, NULL);
}

static void kept(const char *key, const char *name, enum ztoc_type type)
{
	struct image_xattr x = { .name = "" };

	is_int(parse(key, type, &x), 1, "%s is kept", key);
	is_str(x.name, name, "as %s", name);
}

static void skipped(const char *key, enum ztoc_type type)
{
	struct image_xattr x;

	is_int(parse(key, type, &x), 0, "%s (type %d) is skipped", key, type);
}

static void test_limits(void)
{
	char key[400] = "SCHILY.xattr.user.";
	static char big[70000];
	struct ztoc_xattr record = { str("SCHILY.xattr.user.a", 19), str(big, 65535) };
	struct image_xattr x;
	struct err err = ERR_INIT;

	memset(key + 18, 'n', 250);
	is_int(parse(key, ZTOC_REG, &x), 1, "a name of 255 bytes");
	key[18 + 250] = 'n';
	is_int(parse(key, ZTOC_REG, &x), -EUCLEAN, "a name of 256 bytes is refused");
	is_int(image_xattr_parse(&record, ZTOC_REG, &x, &err), 1, "a value of 65535 bytes");
	record.value.len = 65536;
	is_int(image_xattr_parse(&record, ZTOC_REG, &x, &err), -EUCLEAN,
	       "a value of 65536 bytes is refused: %s", err.text);
	record.key = str("SCHILY.xattr.user.a\0b", 21);
	record.value.len = 1;
	is_int(image_xattr_parse(&record, ZTOC_REG, &x, &err), -EUCLEAN,
	       "NUL in a name is refused: %s", err.text);
}

int main(void)
{
	kept("SCHILY.xattr.user.foo", "user.foo", ZTOC_REG);
	kept("SCHILY.xattr.user.dir", "user.dir", ZTOC_DIR);
	kept("SCHILY.xattr.trusted.overlay.opaque", "trusted.overlay.opaque", ZTOC_SYMLINK);
	kept("SCHILY.xattr.security.capability", "security.capability", ZTOC_REG);
	kept("SCHILY.xattr.system.posix_acl_access", "system.posix_acl_access", ZTOC_REG);
	kept("SCHILY.xattr.system.posix_acl_default", "system.posix_acl_default", ZTOC_DIR);
	kept("SCHILY.xattr.user.a%3Db", "user.a=b", ZTOC_REG);
	kept("SCHILY.xattr.user.%25%3D%", "user.%=%", ZTOC_REG);
	kept("SCHILY.xattr.user.100%253D", "user.100%3D", ZTOC_REG);
	kept("SCHILY.xattr.user.a%3d%3", "user.a%3d%3", ZTOC_REG);
	skipped("SCHILY.acl.access", ZTOC_REG);
	skipped("path", ZTOC_REG);
	skipped("SCHILY.xattr.", ZTOC_REG);
	skipped("SCHILY.xattr.user.", ZTOC_REG);
	skipped("SCHILY.xattr.system.posix_acl_access2", ZTOC_REG);
	skipped("SCHILY.xattr.system.nfs4_acl", ZTOC_REG);
	skipped("SCHILY.xattr.com.apple.quarantine", ZTOC_REG);
	skipped("SCHILY.xattr.user.foo", ZTOC_SYMLINK);
	skipped("SCHILY.xattr.user.foo", ZTOC_FIFO);
	skipped("SCHILY.xattr.system.posix_acl_default", ZTOC_REG);
	skipped("SCHILY.xattr.system.posix_acl_access", ZTOC_SYMLINK);
	test_limits();
	return tap_done();
}
