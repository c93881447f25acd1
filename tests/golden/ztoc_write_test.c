/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc_write_test.c - reader and writer agree: every zTOC of the fixtures, read and written
 * again, is the same file.
 */
#include "tests/unit/tap.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "ztoc/write.h"
#include "ztoc/ztoc.h"

#define FIXTURES "tests/fixtures/soci/ztoc"

static void copy_entry(const struct ztoc *z, uint64_t i, struct ztoc_model *m)
{
	struct ztoc_entry e;
	struct ztoc_model_entry out;
	struct ztoc_xattr *records;

	ztoc_entry_get(z, i, &e);
	records = calloc(e.nxattrs + 1, sizeof(*records));
	for (uint32_t k = 0; k < e.nxattrs; k++)
		ztoc_xattr_get(z, i, k, &records[k]);
	out = (struct ztoc_model_entry){
		.type = e.type, .offset = e.offset,
		.size = (int64_t)ztoc_entry_raw_size(z, i), .mode = e.mode,
		.devmajor = e.devmajor, .devminor = e.devminor, .uid = e.uid, .gid = e.gid,
		.name = e.name, .linkname = e.linkname, .uname = e.uname, .gname = e.gname,
		.mod_time = ztoc_entry_mod_time(z, i), .records = records,
		.nrecords = e.nxattrs,
	};
	if (ztoc_model_add_entry(m, &out, NULL) < 0)
		bail("ztoc_model_add_entry");
	free(records);
}

static void copy_span(const struct ztoc *z, uint32_t i, struct ztoc_model *m)
{
	static const uint8_t no_window[ZTOC_WINDOW_BYTES];
	struct ztoc_span s;
	uint64_t in;
	int r = 0;

	ztoc_span_get(z, i, &s);
	in = s.comp_start + (s.bits ? 1 : 0);
	if (ztoc_compression(z) == ZTOC_GZIP)
		r = ztoc_model_add_point(m, in, s.out_start, s.bits,
					 s.window ? s.window : no_window, NULL);
	if (r < 0 || ztoc_model_add_digest(m, &s.digest, NULL) < 0)
		bail("ztoc_model_add_point");
}

static void test_file(const char *set, const char *name)
{
	cleanup_buf struct buf b = BUF_INIT(64 << 20);
	char path[300], tool[64];
	struct ztoc_model m;
	struct ztoc *z;
	uint8_t *bytes = NULL;
	size_t len = 0;
	struct err err = ERR_INIT;

	snprintf(path, sizeof(path), FIXTURES "/%s/%s", set, name);
	if (io_read_file(AT_FDCWD, tap_src(path), &b) < 0)
		bail("cannot read %s", path);
	if (ztoc_open(b.data, b.len, &z, &err) < 0) {
		ok(false, "%s/%s: %s", set, name, err.text);
		return;
	}
	snprintf(tool, sizeof(tool), "%.*s", (int)ztoc_build_tool(z).len,
		 ztoc_build_tool(z).s);
	ztoc_model_init(&m, 0);
	m.build_tool = tool;
	m.compression = ztoc_compression(z);
	m.comp_size = ztoc_comp_size(z);
	m.out_size = ztoc_out_size(z);
	m.span_size = ztoc_span_size(z);
	for (uint64_t i = 0; i < ztoc_entry_count(z); i++)
		copy_entry(z, i, &m);
	for (uint32_t i = 0; i < ztoc_span_count(z); i++)
		copy_span(z, i, &m);
	if (ztoc_model_write(&m, &bytes, &len, &err) < 0)
		bail("%s", err.text);
	ok(len == b.len && memcmp(bytes, b.data, len) == 0, "%s/%s: written as read", set,
	   name);
	ztoc_model_done(&m);
	ztoc_free(z);
	free(bytes);
}

static void test_set(const char *set)
{
	char path[300];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), FIXTURES "/%s", set);
	d = opendir(tap_src(path));
	if (!d)
		bail("no %s", path);
	while ((e = readdir(d)))
		if (strstr(e->d_name, ".ztoc"))
			test_file(set, e->d_name);
	closedir(d);
}

int main(void)
{
	static const char *const sets[] = { "soci-0.4.1-smallspan", "soci-0.4.1-default",
					    "soci-head-smallspan", "soci-head-default",
					    "timezone" };

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		test_set(sets[i]);
	ok(tap_count > 50, "%d zTOCs", tap_count);
	return tap_done();
}
