/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_test.c - the daemon's settings: table, file, messages, reload, documents. */
#include "tests/unit/tap.h"

#include <fcntl.h>

#include "base/buf.h"
#include "base/io.h"
#include "daemon/config.h"

static struct config c, other;

static const char *fails(const char *text)
{
	static struct err err;

	memset(&err, 0, sizeof(err));
	config_defaults(&c);
	return config_parse(&c, text, strlen(text), "FILE", &err) < 0 ? err.text : "accepted";
}

static int passes(const char *text)
{
	config_defaults(&c);
	return config_parse(&c, text, strlen(text), "FILE", NULL);
}

static void test_values(void)
{
	char text[CONFIG_TEXT_SIZE];

	config_defaults(&c);
	for (const struct config_key *k = config_keys; k->name; k++)
		is_str(config_value(&c, k, text), k->dflt, "default of %s", k->name);
	is_int(config_check(&c, NULL), 0, "the defaults fit together");
	is_int(passes("# c\n\n dir\t/a/b/ \r\nbrun 20%\nbcull 10\nbackground off\n"
		      "kernel_path cachefiles\nplain_http  a, b"), 0, "a file");
	is_str(c.dir, "/a/b", "folder, without the slash at its end");
	is_int(c.brun, 20, "percent");
	is_int(c.bcull, 10, "percent without the sign");
	ok(!c.background, "switch");
	is_int(c.kernel_path, CONFIG_PATH_CACHEFILES, "word");
	is_str(c.plain_http, "a, b", "text with blanks, no newline at the end");
}

static void test_refused(void)
{
	is_str(fails("dir /a\n\nnonsense 1\n"),
	       "FILE, line 3: nonsense: unknown key (lazyerofsd --print-config lists them)",
	       "unknown key");
	is_str(fails("jobs 1\njobs 2\n"), "FILE, line 2: jobs: given twice", "twice");
	is_str(fails("jobs 0\n"), "FILE, line 1: jobs: wants a number from 1 to 256", "range");
	is_str(fails("jobs 99999999999999999999999\n"),
	       "FILE, line 1: jobs: wants a number from 1 to 256", "overflow");
	ok(strstr(fails("jobs 5x\n"), "wants a number"), "junk behind a number");
	ok(strstr(fails("jobs -5\n"), "wants a number"), "sign");
	ok(strstr(fails("jobs\n"), "wants a number"), "no value");
	ok(strstr(fails("jobs 5%\n"), "wants a number"), "percent where none is wanted");
	ok(strstr(fails("background maybe\n"), "on or off"), "switch");
	is_str(fails("kernel_path fuse\n"),
	       "FILE, line 1: kernel_path: wants one of: auto fanotify cachefiles", "word");
	ok(strstr(fails("dir cache\n"), "absolute"), "relative folder");
	ok(strstr(fails("dir /\n"), "absolute"), "the root");
	ok(strstr(fails("dir /a/../b\n"), "absolute"), "..");
	ok(strstr(fails("tag a/b\n"), "letters"), "name");
	ok(strstr(fails("tag\n"), "1 to 64"), "empty name");
	ok(strstr(fails("ca_file a\033[2J\n"), "control"), "control character");
	config_defaults(&c);
	ok(config_parse(&c, "dir\0/a", 6, "FILE", NULL) < 0, "NUL");
	config_defaults(&c);
	c.bcull = c.brun;
	ok(config_check(&c, NULL) < 0, "limits out of order");
	config_defaults(&c);
	strcpy(c.run_dir, "/var/cache/lazyerofs/run");
	ok(config_check(&c, NULL) < 0, "sockets in the cache");
	strcpy(c.run_dir, "/var/cache/lazyerofs2");
	is_int(config_check(&c, NULL), 0, "a neighbour of the cache is fine");
}

static void count(void *arg, const struct config_key *key)
{
	(void)key;
	++*(int *)arg;
}

static void test_reload(void)
{
	int ignored = 0;

	config_defaults(&c);
	config_defaults(&other);
	strcpy(other.dir, "/elsewhere");
	other.background = false;
	other.jobs = 3;
	config_reload(&c, &other, count, &ignored);
	ok(!c.background, "what can change changes");
	is_str(c.dir, "/var/cache/lazyerofs", "what cannot stays");
	is_int(ignored, 2, "and is named");
}

static void test_documents(void)
{
	cleanup_buf struct buf want = BUF_INIT(0), man = BUF_INIT(0);
	char *text = NULL, line[160];
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int missing = 0, listed = 0;

	config_defaults(&c);
	config_print(&c, f);
	fclose(f);
	if (io_read_file(AT_FDCWD, tap_src("daemon/lazyerofs.conf"), &want) < 0 ||
	    io_read_file(AT_FDCWD, tap_src("daemon/lazyerofs.conf.5"), &man) < 0)
		bail("documents not found");
	is_str((const char *)want.data, text, "lazyerofs.conf is what --print-config prints");
	config_defaults(&other);
	is_int(config_parse(&other, text, len, "printed", NULL), 0, "and can be read");
	for (const struct config_key *k = config_keys; k->name; k++) {
		snprintf(line, sizeof(line), ".It Cm %s%s%s\n", k->name, *k->dflt ? " " : "",
			 k->dflt);
		if (!strstr((const char *)man.data, line)) {
			printf("# lazyerofs.conf(5) lacks: %s", line);
			missing++;
		}
		listed++;
	}
	is_int(missing, 0, "lazyerofs.conf(5) has every key with its default");
	for (char *p = (char *)man.data; (p = strstr(p, "\n.It Cm ")); p++)
		listed--;
	is_int(listed, 0, "and no other");
	free(text);
}

int main(void)
{
	test_values();
	test_refused();
	test_reload();
	test_documents();
	return tap_done();
}
