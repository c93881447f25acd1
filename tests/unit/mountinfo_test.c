/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mountinfo_test.c - lines of /proc/self/mountinfo, kind and hostile. */
#include "tests/unit/tap.h"

#include <errno.h>

#include "daemon/control/mountinfo.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char line[4096], id[DIGEST_HEX_LEN + 1];
static struct mountinfo m;

static int parse(const char *text)
{
	snprintf(line, sizeof(line), "%s", text);
	return mountinfo_parse(line, &m);
}

static void test_good(void)
{
	is_int(parse("36 35 98:7 /r /mnt\\0402\\011x\\134y rw,noatime master:1 shared:2 - ext4 "
		     "/dev/root rw,errors=continue"), 0, "a line");
	is_int(m.id, 36, "id");
	is_int(m.parent, 35, "parent");
	is_int(m.major, 98, "major");
	is_int(m.minor, 7, "minor");
	is_str(m.root, "/r", "root");
	is_str(m.point, "/mnt 2\tx\\y", "mount point, unescaped");
	is_str(m.type, "ext4", "type");
	is_str(m.source, "/dev/root", "source");
	is_str(m.super, "rw,errors=continue", "options of the file system");
	is_int(parse("1 1 0:1 / / rw - tmpfs  rw"), 0, "an empty source");
	is_str(m.source, "", "is empty");
	is_str(m.super, "rw", "and eats nothing");
	is_int(parse("1 1 0:1 / /\\040-\\040erofs rw - tmpfs t rw"), 0, "a path that looks like the separator");
	is_str(m.type, "tmpfs", "is none");
	is_int(parse("1 1 0:1 / /a\\ rw - tmpfs t\\08 rw"), 0, "half an escape");
	is_str(m.point, "/a\\", "stays as it is");
	is_int(parse("1 1 0:1 / /a\\000b rw - tmpfs t rw"), 0, "an escaped NUL");
	is_str(m.point, "/a\\000b", "stays, too");
}

static void test_bad(void)
{
	static const char *const bad[] = {
		"", " ", "1", "x 1 0:1 / / rw - t s o", "1 1 0 / / rw - t s o",
		"1 1 0:1 / / rw t s o", "1 1 0:1 / / rw -", "1 1 0:1 / / rw - t",
		"1 1 0:1 / / rw - t s", "1 1 0:1 / / rw - t s o more", "1 1 :1 / / rw - t s o",
		"1 99999999999 0:1 / / rw - t s o", "-1 1 0:1 / / rw - t s o",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		is_int(parse(bad[i]), -EINVAL, "refused: \"%s\"", bad[i]);
}

static bool image(const char *source, const char *super, const char *type, const char *dir)
{
	char text[2048];

	snprintf(text, sizeof(text), "1 1 0:1 / /m ro - %s %s %s", type, source, super);
	id[0] = '\0';
	return parse(text) == 0 && mountinfo_image_id(&m, dir, id);
}

static void test_images(void)
{
	ok(image("/c/images/" HEX "/bootstrap.fanotify", "ro", "erofs", "/c"), "fanotify");
	is_str(id, HEX, "its image");
	ok(image("/c/images/" HEX "/bootstrap.fanotify", "ro", "erofs", NULL), "of any cache");
	ok(!image("/d/images/" HEX "/bootstrap.fanotify", "ro", "erofs", "/c"), "another cache");
	ok(!image("/cc/images/" HEX "/bootstrap.fanotify", "ro", "erofs", "/c"), "a longer name");
	ok(!image("/c/images/" HEX "0/bootstrap.fanotify", "ro", "erofs", "/c"), "a longer ID");
	ok(!image("/c/images/0/bootstrap.fanotify", "ro", "erofs", NULL), "a short one");
	ok(!image("/c/images/" HEX "/bootstrap.fanotify", "ro", "ext4", "/c"), "another type");
	ok(!image("x", "ro", "erofs", NULL), "a short source");
	ok(image("none", "ro,fsid=" HEX ",domain_id=d", "erofs", "/c"), "cachefiles");
	is_str(id, HEX, "its image");
	ok(image("none", "fsid=" HEX, "erofs", "/c"), "alone");
	ok(!image("none", "ro,fsid=" HEX "f", "erofs", "/c"), "a longer fsid");
	ok(!image("none", "ro,xfsid=" HEX, "erofs", "/c"), "another option");
	ok(!image("none", "ro,", "erofs", "/c"), "none");
}

static void test_find(void)
{
	char text[] = "1 1 0:1 / /m ro - ext4 a rw\njunk\n2 1 0:2 / /m ro - erofs b rw\n"
		      "3 1 0:3 / /n ro - erofs c rw\n";

	is_int(mountinfo_find(text, "/m", &m), 0, "found");
	is_str(m.source, "b", "the upper one of two");
	char other[] = "1 1 0:1 / /m ro - ext4 a rw";

	is_int(mountinfo_find(other, "/", &m), -ENOENT, "not there");
}

int main(void)
{
	test_good();
	test_bad();
	test_images();
	test_find();
	return tap_done();
}
