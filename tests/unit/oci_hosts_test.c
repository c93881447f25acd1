/* SPDX-License-Identifier: GPL-2.0-or-later */
/* oci_hosts_test.c - the TOML subset, hosts.toml and certs.d. */
#include "tests/unit/tap.h"

#include <fcntl.h>
#include <ftw.h>
#include <unistd.h>

#include "base/io.h"
#include "oci/hosts.h"
#include "oci/toml.h"

static void bad_toml(const char *text)
{
	struct err err = ERR_INIT;
	struct toml t;

	is_int(toml_parse(text, strlen(text), "f", &t, &err), -EINVAL, "refused: %.40s: %s", text,
	       err.text);
}

static void test_toml(void)
{
	static const char text[] =
		"# comment\r\n"
		"a = \"x\\t\\u00e9\\\"\" # more\n"
		"b = 'C:\\raw'\n"
		"n = -12\n"
		"[t.\"https://x.y:1\".u]\n"
		"  on = true\n"
		"  k.l = [ 'p', # one\n    'q',\n [\"r\"], ]\n"
		"[empty]";
	struct err err = ERR_INIT;
	struct toml t;

	if (!ok(toml_parse(text, strlen(text), "f", &t, &err) == 0, "a document %s", err.text))
		return;
	is_int(t.nentries, 7, "seven entries");
	is_str(t.entries[0].value.str, "x\t\xc3\xa9\"", "escapes");
	is_str(t.entries[1].value.str, "C:\\raw", "literal string");
	is_int(t.entries[2].value.integer, -12, "integer");
	is_int(t.entries[3].value.kind, TOML_TABLE, "header");
	is_str(t.entries[3].path[1], "https://x.y:1", "quoted part");
	ok(t.entries[4].npath == 4 && t.entries[4].value.boolean, "key in its table");
	ok(t.entries[5].npath == 5 && t.entries[5].value.nitems == 3, "dotted key, array");
	is_str(t.entries[5].value.items[2].items[0].str, "r", "nested");
	is_int(t.entries[6].value.kind, TOML_TABLE, "a table with nothing in it");
	toml_done(&t);
	bad_toml("a");
	bad_toml("a =");
	bad_toml("= 1");
	bad_toml("a = 1 b = 2");
	bad_toml("a = \"x");
	bad_toml("a = \"x\ny\"");
	bad_toml("a = \"\"\"x\"\"\"");
	bad_toml("a = \"\\q\"");
	bad_toml("a = \"\\ud800\"");
	bad_toml("a = 1.5");
	bad_toml("a = 1979-05-27");
	bad_toml("a = 012");
	bad_toml("a = 99999999999999999999");
	bad_toml("a = {b = 1}");
	bad_toml("a = [1");
	bad_toml("a = [[[[[[1]]]]]]");
	bad_toml("a = 1\na = 2");
	bad_toml("[t]\n[t]");
	bad_toml("[[t]]");
	bad_toml("[t");
	bad_toml("[]");
	bad_toml("a.b.c.d.e.f.g.h.i = 1");
	bad_toml("\x01 = 1");
}

static void bad_hosts(const char *text)
{
	struct err err = ERR_INIT;
	struct hosts h;

	is_int(hosts_parse(text, strlen(text), "/d", &h, &err), -EINVAL, "refused: %.50s: %s", text,
	       err.text);
}

static void test_hosts(void)
{
	static const char text[] =
		"server = \"https://registry-1.docker.io\"\n"
		"[host.\"https://m1:5000\"]\n"
		"  capabilities = [\"pull\", \"resolve\"]\n"
		"  skip_verify = true\n"
		"  client = [[\"/c/a.cert\", \"a.key\"]]\n"
		"  dial_timeout = \"1s\"\n"
		"[host.\"https://m1:5000\".header]\n"
		"  x-custom = \"y\"\n"
		"[host.\"http://m2/v2/hub/\"]\n"
		"  override_path = true\n"
		"[host.\"m3\"]\n";
	struct err err = ERR_INIT;
	struct hosts h;

	if (!ok(hosts_parse(text, strlen(text), "/d", &h, &err) == 0, "hosts.toml %s", err.text))
		return;
	is_int(h.n, 4, "three mirrors and the registry");
	is_str(h.list[0].base, "https://m1:5000/v2", "first");
	is_int(h.list[0].caps, HOST_CAP_PULL | HOST_CAP_RESOLVE, "its capabilities");
	ok(h.list[0].tls.skip_verify, "skip_verify");
	is_str(h.list[0].tls.cert_file, "/c/a.cert", "absolute file name");
	is_str(h.list[0].tls.key_file, "/d/a.key", "relative file name");
	is_str(h.list[1].base, "http://m2/v2/hub", "override_path");
	is_int(h.list[1].caps, HOST_CAP_ALL, "all capabilities by default");
	is_str(h.list[2].base, "https://m3/v2", "no scheme is https");
	is_str(h.list[3].base, "https://registry-1.docker.io/v2", "server is last");
	ok(h.list[3].is_origin && !h.list[0].is_origin, "and the origin");
	hosts_done(&h);
	bad_hosts("server = 3");
	bad_hosts("server = \"ftp://x\"");
	bad_hosts("server = \"https://u:p@x\"");
	bad_hosts("server = \"https://x/?q\"");
	bad_hosts("[host.\"\"]\n");
	bad_hosts("[host.\"https://x\"]\ncapabilities = \"pull\"");
	bad_hosts("[host.\"https://x\"]\ncapabilities = [\"fly\"]");
	bad_hosts("[host.\"https://x\"]\nskip_verify = \"yes\"");
	bad_hosts("[host.\"https://x\"]\nca = 3");
	bad_hosts("[host.\"https://x\"]\nclient = [3]");
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	*strrchr(path, '/') = 0;
	io_mkdir_p(path, 0700);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (io_write_file_atomic(AT_FDCWD, path, text, strlen(text), 0600) < 0)
		bail("%s", path);
}

static int remove_one(const char *path, const struct stat *sb, int type, struct FTW *f)
{
	(void)sb;
	(void)type;
	(void)f;
	return remove(path);
}

static void load(const char *dirs, const char *host, const char *base, const char *ca)
{
	struct hosts_opts opts = { .dirs = dirs, .plain_http = "plain:5000, other" };
	struct err err = ERR_INIT;
	struct hosts h;
	const struct host_conf *c;

	if (!ok(hosts_load(&opts, host, &h, &err) == 0, "%s: %s", host, err.text))
		return;
	c = &h.list[h.n - 1];
	is_str(c->base, base, "%s is at %s", host, base);
	is_str(c->tls.ca_pem.data ? (char *)c->tls.ca_pem.data : "", ca, "its authority");
	hosts_done(&h);
}

static void test_load(void)
{
	char root[] = "/tmp/oci-hosts.XXXXXX", dirs[300];

	if (!mkdtemp(root))
		bail("mkdtemp");
	snprintf(dirs, sizeof(dirs), "/nonexistent:%s/a:%s/b", root, root);
	put(root, "a/r_5000_/hosts.toml", "server = \"https://under\"\n");
	put(root, "a/r:5000/hosts.toml", "server = \"https://colon\"\n");
	put(root, "a/c:5000/own.crt", "CERT");
	put(root, "b/s/hosts.toml", "server = \"https://s\"\nca = \"x.pem\"\n");
	put(root, "b/s/x.pem", "PEM");
	put(root, "b/broken/hosts.toml", "server = ");
	load(dirs, "r:5000", "https://under/v2", "");
	load(dirs, "c:5000", "https://c:5000/v2", "CERT\n");
	load(dirs, "s", "https://s/v2", "PEM\n");
	load(dirs, "docker.io", "https://registry-1.docker.io/v2", "");
	load(dirs, "127.0.0.1:5000", "http://127.0.0.1:5000/v2", "");
	load(dirs, "plain:5000", "http://plain:5000/v2", "");
	load(dirs, "plain:5001", "https://plain:5001/v2", "");
	load(dirs, "other:1", "http://other:1/v2", "");
	load(NULL, "[::1]:5000", "http://[::1]:5000/v2", "");
	{
		struct hosts_opts opts = { .dirs = dirs };
		struct err err = ERR_INIT;
		struct hosts h;

		ok(hosts_load(&opts, "broken", &h, &err) < 0 && strstr(err.text, "hosts.toml:1"),
		   "a broken file is an error that names it: %s", err.text);
	}
	put(root, "b/_default/hosts.toml", "[host.\"https://mirror\"]\n");
	load(dirs, "x.y", "https://x.y/v2", "");
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	test_toml();
	test_hosts();
	test_load();
	return tap_done();
}
