/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_oci_hosts.c - any bytes as a hosts.toml. (Those that would read files named by the
 * input are parsed as TOML only.)
 *
 * fuzz-sources: lib/oci/toml.c lib/oci/hosts.c lib/oci/http_url.c lib/base/err.c lib/base/buf.c lib/base/io.c
 * fuzz-libs: -lcurl
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "oci/hosts.h"
#include "oci/toml.h"

static bool names_files(const struct toml *t)
{
	for (size_t i = 0; i < t->nentries; i++)
		if (!strcmp(t->entries[i].path[t->entries[i].npath - 1], "ca"))
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	struct toml t;
	struct hosts h;
	bool skip;

	if (toml_parse((const char *)data, len, "f", &t, &err) < 0) {
		if (!err.text[0])
			abort();
		return 0;
	}
	skip = names_files(&t);
	toml_done(&t);
	if (skip || hosts_parse((const char *)data, len, "/nonexistent", &h, &err) < 0)
		return 0;
	if (h.n == 0 || !h.list[h.n - 1].is_origin)
		abort();
	hosts_done(&h);
	return 0;
}
