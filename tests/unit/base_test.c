/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base_test.c - lib/base: buffers keep their ceiling, digests their text form. */
#include "tests/unit/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/io.h"

static void test_buf(void)
{
	cleanup_buf struct buf b = BUF_INIT(8);

	is_int(buf_add(&b, "12345678", 8), 0, "a buffer takes up to its ceiling");
	is_int(buf_add(&b, "9", 1), -EFBIG, "and not a byte more");
	is_int(b.len, 8, "a refused add leaves it as it was");
	is_str((char *)b.data, "12345678", "text is NUL-terminated");
}

static void test_digest(void)
{
	static const char empty[] =
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	char text[DIGEST_TEXT_SIZE];
	struct digest d, e;

	digest_of("", 0, &d);
	digest_format(&d, text);
	is_str(text, empty, "sha256 of nothing");
	is_int(digest_parse(empty, strlen(empty), &e), 0, "text form parses");
	ok(digest_is_equal(&d, &e), "and gives the same value");
	is_int(digest_parse(empty, strlen(empty) - 1, &e), -EINVAL, "too short is refused");
	strcpy(text, empty);
	text[10] = 'B';
	is_int(digest_parse(text, strlen(text), &e), -EINVAL, "upper case is refused");
}

static void test_err(void)
{
	struct err err = ERR_INIT;

	is_int(err_set(&err, ERR_CORRUPT, EINVAL, "field %d", 3), -EINVAL, "err_set returns -num");
	is_int(err_prefix(&err, "file"), -EINVAL, "a prefix keeps the number");
	is_str(err.text, "file: field 3", "and goes in front");
	is_int(err_set(NULL, ERR_BUG, EIO, "x"), -EIO, "a NULL err is fine");
}

static void test_files(void)
{
	char dir[] = "/tmp/base_test.XXXXXX", path[64];
	cleanup_buf struct buf b = BUF_INIT(4), c = BUF_INIT(5);

	if (!mkdtemp(dir))
		bail("mkdtemp");
	snprintf(path, sizeof(path), "%s/f", dir);
	is_int(io_write_file_atomic(AT_FDCWD, path, "hello", 5, 0600), 0, "atomic write");
	is_int(io_read_file(AT_FDCWD, path, &b), -EFBIG, "a file over the cap is refused");
	is_int(io_read_file(AT_FDCWD, path, &c), 0, "a file of exactly the cap is read");
	is_int(c.len, 5, "whole");
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	test_buf();
	test_digest();
	test_err();
	test_files();
	return tap_done();
}
