/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cli_test.c - cli: sizes, bytes as JSON and for terminals, options, atomic files. */
#include "tests/unit/tap.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cli/cli.h"

static void size_is(const char *text, int want_r, uint64_t want)
{
	uint64_t v = 77;
	int r = cli_parse_size(text, &v);

	ok(r == want_r && v == (r ? 77 : want), "size '%s'", text);
}

static void test_sizes(void)
{
	char text[24];

	size_is("0", 0, 0);
	size_is("4194304", 0, 4194304);
	size_is("4M", 0, 4194304);
	size_is("4m", 0, 4194304);
	size_is("4MiB", 0, 4194304);
	size_is("1T", 0, 1ull << 40);
	size_is("16777215T", 0, 16777215ull << 40);
	size_is("16777216T", -ERANGE, 0);
	size_is("18446744073709551616", -ERANGE, 0);
	size_is("", -EINVAL, 0);
	size_is("-1", -EINVAL, 0);
	size_is(" 1", -EINVAL, 0);
	size_is("1X", -EINVAL, 0);
	size_is("1Mx", -EINVAL, 0);
	size_is("M", -EINVAL, 0);
	is_str(cli_format_size(1023, text), "1023 B", "bytes");
	is_str(cli_format_size(1536, text), "1.5 KiB", "KiB");
	is_str(cli_format_size(UINT64_MAX, text), "16.0 EiB", "the largest");
}

/* s (len bytes) becomes `text`, with `hex` beside it or not. */
static void json_is(const char *s, size_t len, const char *text, const char *hex)
{
	json_t *o = json_object(), *v;

	if (cli_json_set_bytes(o, "k", s, len) < 0)
		bail("memory");
	v = json_object_get(o, "k_hex");
	ok(!strcmp(json_string_value(json_object_get(o, "k")), text) &&
	   (hex ? v && !strcmp(json_string_value(v), hex) : !v), "JSON of '%s'", text);
	json_decref(o);
}

static void test_json(void)
{
	json_is("", 0, "", NULL);
	json_is("plain\n\"", 7, "plain\n\"", NULL);
	json_is("caf\xc3\xa9", 5, "caf\xc3\xa9", NULL);
	json_is("\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80", NULL);
	json_is("a\xff", 2, "a\xef\xbf\xbd", "61ff");
	json_is("a\0b", 3, "a\xef\xbf\xbd" "b", "610062");
	json_is("\xc0\xaf", 2, "\xef\xbf\xbd\xef\xbf\xbd", "c0af");	/* overlong */
	json_is("\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "eda080");	/* surrogate */
	json_is("\xf4\x90\x80\x80", 4, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
		"f4908080");
	json_is("\xe2\x82", 2, "\xef\xbf\xbd\xef\xbf\xbd", "e282");	/* cut off */
}

static void printed_is(const char *s, size_t len, const char *want)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	cli_print_bytes(f, s, len);
	fclose(f);
	is_str(text, want, "for people: '%s'", want);
	free(text);
}

static void test_print(void)
{
	printed_is("a\033[2Jb", 6, "a\\x1b[2Jb");
	printed_is("back\\slash", 10, "back\\\\slash");
	printed_is("\xc3\xa9\xff", 3, "\xc3\xa9\\xff");
	printed_is("\xc2\x9b", 2, "\\xc2\\x9b");	/* a C1 control */
	printed_is("\0", 1, "\\x00");
}

static void test_options(void)
{
	bool flag = false;
	const char *str = NULL;
	struct cli_list list = { .v = NULL };
	uint64_t size = 0;
	const struct cli_opt opts[] = {
		CLI_OPT_FLAG('f', "flag", "", &flag),
		CLI_OPT_STR('\0', "str", "S", "", &str),
		CLI_OPT_LIST('l', "list", "L", "", &list),
		CLI_OPT_SIZE('\0', "size", "N", "", &size),
		CLI_OPT_END
	};
	const struct cli_usage usage = { .command = "test", .args = "A [B]", .text = "",
					 .opts = opts, .min_args = 1, .max_args = 2 };
	char *good[] = { "test", "one", "-f", "--str=x", "-l", "a", "--list", "b", "--size", "2K",
			 "--", "-two", NULL };
	char *unknown[] = { "test", "one", "-x", NULL }, *missing[] = { "test", "--str", NULL };
	char *bad[] = { "test", "--size=2X", "a", NULL }, *none[] = { "test", NULL };
	struct cli_args args;

	is_int(cli_parse(&usage, 12, good, &args), -1, "options and arguments mixed");
	ok(flag && str && !strcmp(str, "x") && size == 2048, "their values");
	ok(list.n == 2 && !strcmp(list.v[1], "b"), "a list");
	ok(args.n == 2 && !strcmp(args.v[0], "one") && !strcmp(args.v[1], "-two"), "arguments");
	is_int(cli_parse(&usage, 3, unknown, &args), CLI_USAGE, "an unknown option");
	is_int(cli_parse(&usage, 2, missing, &args), CLI_USAGE, "a value that is missing");
	is_int(cli_parse(&usage, 3, bad, &args), CLI_USAGE, "a bad value");
	is_int(cli_parse(&usage, 1, none, &args), CLI_USAGE, "an argument that is missing");
	cli_list_done(&list);
}

/* What a command says of wrong usage, on stderr. */
static char *misuse_text(const struct cli_usage *usage, int argc, char **argv)
{
	int saved = dup(2), fd = memfd_create("stderr", MFD_CLOEXEC);
	static char text[400];
	struct cli_args args;
	ssize_t n;

	fflush(stderr);
	if (fd < 0 || saved < 0 || dup2(fd, 2) < 0)
		bail("stderr");
	cli_parse(usage, argc, argv, &args);
	fflush(stderr);
	dup2(saved, 2);
	close(saved);
	n = pread(fd, text, sizeof(text) - 1, 0);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* Where soci has a flag, ours takes a list, and takes the argument for it. */
static void test_swallowed(void)
{
	const char *hosts = NULL, *image = NULL;
	const struct cli_opt opts[] = {
		CLI_OPT_STR('\0', "plain-http", "HOST[:PORT]", "registries", &hosts),
		CLI_OPT_STR('\0', "image", "IMAGE", "of the zTOC", &image),
		CLI_OPT_END
	};
	const struct cli_usage usage = { .command = "test", .args = "IMAGE", .text = "",
					 .opts = opts, .min_args = 1, .max_args = 1 };
	char *path[] = { "test", "--plain-http", "r:5000/a", NULL };
	char *host[] = { "test", "--plain-http", "r:5000", NULL };
	char *joined[] = { "test", "--plain-http=r:5000/a", NULL };
	char *other[] = { "test", "--image", "r:5000/a", NULL };

	ok(strstr(misuse_text(&usage, 3, path), "expected IMAGE; 'r:5000/a' went to "
						"--plain-http=HOST[:PORT], registries") != NULL,
	   "an argument that an option took is told");
	ok(!strstr(misuse_text(&usage, 3, host), "went to"), "not of a host");
	ok(!strstr(misuse_text(&usage, 2, joined), "went to"), "nor of a value by '='");
	ok(!strstr(misuse_text(&usage, 3, other), "went to"), "nor of what takes an image");
}

static void test_outfile(void)
{
	char dir[] = "/tmp/cli_test.XXXXXX", path[64];
	struct cli_outfile o;
	struct err err = ERR_INIT;
	struct stat st;

	if (!mkdtemp(dir))
		bail("mkdtemp");
	umask(022);
	snprintf(path, sizeof(path), "%s/f", dir);
	is_int(cli_outfile_open(&o, path, 0666, &err), 0, "outfile: open %s", err.text);
	ok(write(o.fd, "x", 1) == 1 && access(path, F_OK) < 0, "outfile: not there yet");
	cli_outfile_abort(&o);
	is_int(rmdir(dir), 0, "outfile: abort leaves nothing");
	if (mkdir(dir, 0700) < 0 || cli_outfile_open(&o, path, 0666, &err) < 0)
		bail("%s", err.text);
	is_int(cli_outfile_commit(&o, &err), 0, "outfile: commit %s", err.text);
	cli_outfile_abort(&o);
	ok(stat(path, &st) == 0 && (st.st_mode & 07777) == 0644, "outfile: there, mode by umask");
	unlink(path);
	rmdir(dir);
	ok(cli_outfile_open(&o, path, 0666, &err) < 0 && err.text[0], "outfile: no directory: %s",
	   err.text);
	cli_outfile_abort(&o);
}

int main(void)
{
	test_sizes();
	test_json();
	test_print();
	test_options();
	test_swallowed();
	test_outfile();
	return tap_done();
}
