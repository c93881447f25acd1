/* SPDX-License-Identifier: GPL-2.0-or-later */
/* oci_ref_test.c - references as docker reads them, and what is refused. */
#include "tests/unit/tap.h"

#include "oci/ref.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void good(const char *text, const char *canonical)
{
	struct err err = ERR_INIT;
	struct oci_ref ref, again;
	char out[4700];

	if (!ok(oci_ref_parse(text, &ref, &err) == 0, "%s: %s", text, err.text))
		return;
	oci_ref_format(&ref, out, sizeof(out));
	is_str(out, canonical, "%s is %s", text, canonical);
	is_int(oci_ref_parse(out, &again, &err), 0, "which parses");
	oci_ref_format(&again, out, sizeof(out));
	is_str(out, canonical, "to itself");
}

static void bad(const char *text)
{
	struct err err = ERR_INIT;
	struct oci_ref ref;

	is_int(oci_ref_parse(text, &ref, &err), -EINVAL, "refused: %.60s: %s", text, err.text);
}

int main(void)
{
	static char name[400];

	good("ubuntu", "docker.io/library/ubuntu:latest");
	good("ubuntu:24.04", "docker.io/library/ubuntu:24.04");
	good("user/app", "docker.io/user/app:latest");
	good("docker.io/ubuntu", "docker.io/library/ubuntu:latest");
	good("index.docker.io/user/app", "docker.io/user/app:latest");
	good("localhost/app", "localhost/app:latest");
	good("localhost:5000/a/b/c:v1", "localhost:5000/a/b/c:v1");
	good("GHCR.io/a/b", "ghcr.io/a/b:latest");
	good("[::1]:5000/a", "[::1]:5000/a:latest");
	good("127.0.0.1:5000/a@sha256:" HEX, "127.0.0.1:5000/a@sha256:" HEX);
	good("r.example/a_b/c__d/e--f/g.h:T_1.x-y@sha256:" HEX,
	     "r.example/a_b/c__d/e--f/g.h:T_1.x-y@sha256:" HEX);
	good("oci:/tmp/x", "oci:/tmp/x");
	good("oci:/tmp/x:v1", "oci:/tmp/x:v1");
	good("oci:rel/dir:v1@sha256:" HEX, "oci:rel/dir:v1@sha256:" HEX);
	good("oci:/a:b/c", "oci:/a:b/c");
	good("oci:/a@b/c", "oci:/a@b/c");
	bad("");
	bad("/a");
	bad("a/");
	bad("a//b");
	bad("A");
	bad("a..b");
	bad("a___b");
	bad("-a");
	bad("a-");
	bad("../etc");
	bad("r.example/../x");
	bad("r.example/a?x=1");
	bad("r.example:99999999/a");
	bad("r.example:/a");
	bad("-r.example/a");
	bad("r..example/a");
	bad("user@r.example/a");
	bad("http://r.example/a");
	bad("a:");
	bad("a:-x");
	bad("a:b:c");
	bad("a@sha256:12");
	bad("a@sha512:" HEX HEX);
	bad("a b");
	bad("a\n");
	bad("[::1/a");
	bad("[zz]:1/a");
	bad("oci:");
	bad("oci::v1");
	bad("oci:/x:");
	bad("oci:/x@sha256:12");
	memset(name, 'a', 257);
	bad(name);
	return tap_done();
}
