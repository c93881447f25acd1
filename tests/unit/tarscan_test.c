/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tarscan_test.c - the tar reader: names, offsets, the archive's end, limits. */
#include "tests/unit/tap.h"

#include <errno.h>

#include "base/buf.h"
#include "tests/unit/tar_make.h"
#include "ztoc/tarscan.h"

struct seen {
	unsigned int n;
	char log[4096];		/* "name@offset+size " per entry */
	uint64_t size;
	bool done;
	unsigned int accepted;
};

static int see(void *arg, const struct tarscan_entry *e, struct err *err)
{
	struct seen *s = arg;
	size_t at = strlen(s->log);

	(void)err;
	s->n++;
	snprintf(s->log + at, sizeof(s->log) - at, "%.*s@%llu+%lld ",
		 (int)(e->name.len < 40 ? e->name.len : 40), e->name.s,
		 (unsigned long long)e->offset, (long long)e->size);
	return 0;
}

static int scan(const struct buf *b, size_t piece, const struct tarscan_opts *opts,
		struct seen *s, struct err *err)
{
	static const struct tarscan_opts defaults = { .strict = true };
	struct tarscan *t;
	int r = tarscan_new(opts ? opts : &defaults, see, s, &t, err);

	memset(s, 0, sizeof(*s));
	for (size_t at = 0; r == 0 && at < b->len; at += piece)
		r = tarscan_feed(t, b->data + at, b->len - at < piece ? b->len - at : piece,
				 err);
	if (r == 0) {
		s->done = tarscan_is_done(t);
		s->accepted = tarscan_accepted(t);
		r = tarscan_finish(t, &s->size, err);
	}
	tarscan_free(t);
	return r;
}

/* All piece sizes must agree. */
static void check(const char *name, struct buf *b, int want, const char *log, uint64_t size)
{
	static const size_t pieces[] = { 1, 7, 511, 512, 513, 1 << 20 };
	struct seen s;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		int r = scan(b, pieces[i], NULL, &s, &err);

		if (r != want || strcmp(s.log, log) != 0 || (r == 0 && s.size != size)) {
			ok(false, "%s, pieces of %zu", name, pieces[i]);
			printf("#   %d \"%s\" %llu %s\n", r, s.log,
			       (unsigned long long)s.size, err.text);
			buf_reset(b);
			return;
		}
	}
	ok(true, "%s", name);
	buf_reset(b);
}

static void test_names(struct buf *b)
{
	char longname[300];
	uint8_t *h;

	memset(longname, 'n', sizeof(longname));
	tar_file(b, "a", "hello", 5);
	tar_file(b, "b", NULL, 0);
	tar_end(b);
	check("two files", b, 0, "a@512+5 b@1536+0 ", 2560);

	tar_special(b, 'L', longname, sizeof(longname));
	tar_file(b, "short", "x", 1);
	tar_file(b, "next", "x", 1);
	tar_end(b);
	check("a GNU long name is for one entry", b, 0,
	      "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn@1536+1 next@2560+1 ", 4096);

	tar_special(b, 'x', "12 path=pax\n9 size=2\n", 21);
	tar_file(b, "short", "xy", 2);
	tar_end(b);
	check("PAX gives name and size", b, 0, "pax@1536+2 ", 3072);

	h = tar_header(b, "name", '0', 0);
	memcpy(h + 345, "dir", 3);
	tar_sum(b);
	tar_end(b);
	check("a ustar prefix", b, 0, "dir/name@512+0 ", 1536);

	tar_header(b, "d/", '5', 4096);
	tar_file(b, "f", NULL, 0);
	tar_end(b);
	check("a directory has no data, whatever its size says", b, 0, "d/@512+4096 f@1024+0 ",
	      2048);
}

static void test_ends(struct buf *b)
{
	tar_file(b, "a", "hello", 5);
	check("no end mark", b, 0, "a@512+5 ", 1024);

	tar_file(b, "a", "hello", 5);
	tar_end(b);
	b->len -= 512;
	check("half an end mark", b, 0, "a@512+5 ", 1536);

	tar_file(b, "a", "hello", 5);
	tar_end(b);
	b->len -= 500;
	check("a torn end mark", b, -EINVAL, "a@512+5 ", 0);

	tar_file(b, "a", "hello", 5);
	tar_end(b);
	tar_file(b, "b", "x", 1);
	check("what follows the end mark does not count", b, 0, "a@512+5 ", 2048);

	tar_file(b, "a", "hello", 5);
	b->len -= 100;
	check("the end inside padding", b, 0, "a@512+5 ", 924);

	tar_file(b, "a", "hello", 5);
	b->len -= 510;
	check("the end inside data", b, -EINVAL, "a@512+5 ", 0);

	tar_special(b, 'x', "6 a=b\n", 6);
	b->len -= 510;
	check("the end inside a PAX header", b, -EINVAL, "", 0);

	tar_end(b);
	check("nothing but an end mark", b, 0, "", 1024);
	check("nothing", b, 0, "", 0);
}

static void test_refused(struct buf *b)
{
	static const char types[] = "7SgVMZ";
	char name[40];

	for (const char *t = types; *t; t++) {
		tar_header(b, "x", *t, 0);
		snprintf(name, sizeof(name), "type '%c' is refused", *t);
		check(name, b, -EOPNOTSUPP, "", 0);
	}
	tar_file(b, "a", NULL, 0);
	b->data[0] ^= 1;
	check("a wrong checksum", b, -EINVAL, "", 0);

	tar_special(b, 'x', "6 a=b", 5);
	check("a bad PAX record", b, -EINVAL, "", 0);

	tar_header(b, "x", 'x', (1 << 20) + 1);
	check("a PAX header over 1 MiB, before its data comes", b, -EFBIG, "", 0);
	tar_header(b, "x", 'L', 01777777777);
	check("a GNU long name of 1 GiB", b, -EFBIG, "", 0);
}

static void test_options(struct buf *b)
{
	struct tarscan_opts opts = { .max_entries = 2 };
	struct err err = ERR_INIT;
	struct seen s;

	tar_file(b, "a", NULL, 0);
	tar_file(b, "b", NULL, 0);
	is_int(scan(b, 100, &opts, &s, &err), 0, "as many entries as allowed");
	tar_file(b, "c", NULL, 0);
	is_int(scan(b, 100, &opts, &s, &err), -EFBIG, "and not one more");
	is_int(err.kind, ERR_UNSUPPORTED, "is not corrupt");
	buf_reset(b);

	opts = (struct tarscan_opts){ 0 };
	tar_special(b, 'g', "12 path=all\n", 12);
	tar_file(b, "a", NULL, 0);
	tar_end(b);
	is_int(scan(b, 100, &opts, &s, &err), 0, "global PAX headers can be skipped");
	is_str(s.log, "a@1536+0 ", "and say nothing");
	is_int((int)s.accepted, ZTOC_ACCEPTED_GLOBAL_PAX, "but are told of");
	buf_reset(b);

	tar_header(b, "a", '7', 5);
	tar_add(b, "hello", 5);
	tar_file(b, "b", NULL, 0);
	tar_end(b);
	is_int(scan(b, 100, &opts, &s, &err), 0, "a contiguous file");
	is_str(s.log, "a@512+5 b@1536+0 ", "has its data like any other");
	is_int((int)s.accepted, ZTOC_ACCEPTED_CONTIGUOUS, "and is told of");
	buf_reset(b);

	tar_header(b, "bad\033[2Jname", 'V', 0);
	scan(b, 100, NULL, &s, &err);
	ok(!strchr(err.text, '\033') && strstr(err.text, "bad?[2Jname"),
	   "an error's text has no control characters");
	buf_reset(b);
}

int main(void)
{
	struct buf b = { 0 };

	test_names(&b);
	test_ends(&b);
	test_refused(&b);
	test_options(&b);
	buf_done(&b);
	return tap_done();
}
