/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc.c - opening a zTOC; see ztoc.h for the promises.
 *
 * A struct ztoc is immutable after ztoc_open() and may be read by any number of threads.
 * Format: kernel-notes/soci-format.md section 1.
 */
#include "ztoc/private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "ztoc/format.h"

DEFINE_CLEANUP(struct ztoc *, ztoc_free, ztoc_freep)

const char *ztoc_str_printable(struct ztoc_str s, char buf[512])
{
	size_t n = 0;

	for (uint32_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.s[i];

		if (i == 120) {
			snprintf(buf + n, 512 - n, "...");
			return buf;
		}
		if (c < 0x20 || c >= 0x7f || c == '\\' || c == '"')
			n += (size_t)snprintf(buf + n, 512 - n, "\\x%02x", c);
		else
			buf[n++] = (char)c;
	}
	buf[n] = '\0';
	return buf;
}

static int read_sizes(struct ztoc *z, const struct fb_table *root, struct err *err)
{
	int64_t comp, out;

	if (fb_i64(root, ZF_ZTOC_COMP_SIZE, 0, &comp) < 0 || comp < 0)
		return ztoc_corrupt(err, "zTOC: bad compressed_archive_size");
	if (fb_i64(root, ZF_ZTOC_OUT_SIZE, 0, &out) < 0 || out < 0)
		return ztoc_corrupt(err, "zTOC: bad uncompressed_archive_size");
	z->comp_size = (uint64_t)comp;
	z->out_size = (uint64_t)out;
	return 0;
}

static int read_root(struct ztoc *z, const struct fb_table *root, struct err *err)
{
	struct fb_table toc, info;
	int r;

	if (fb_string(root, ZF_ZTOC_VERSION, &z->version) < 0)
		return ztoc_corrupt(err, "zTOC: bad version string");
	if (fb_string(root, ZF_ZTOC_BUILD_TOOL, &z->build_tool) < 0)
		return ztoc_corrupt(err, "zTOC: bad build_tool_identifier string");
	r = read_sizes(z, root, err);
	if (r < 0)
		return r;
	if (fb_subtable(root, ZF_ZTOC_COMPRESSION_INFO, &info) <= 0)
		return ztoc_corrupt(err, "zTOC: no valid compression_info");
	if (fb_subtable(root, ZF_ZTOC_TOC, &toc) <= 0)
		return ztoc_corrupt(err, "zTOC: no valid toc");
	if (fb_vector(&toc, ZF_TOC_METADATA, 4, &z->entries) < 0)
		return ztoc_corrupt(err, "zTOC: bad vector of files");
	return ztoc_spans_open(z, &info, err);
}

int ztoc_open(const void *data, size_t len, struct ztoc **ret_ztoc, struct err *err)
{
	cleanup_(ztoc_freep) struct ztoc *z = NULL;
	struct fb_table root;
	int r;

	if (len > FB_MAX_BYTES)
		return ztoc_corrupt(err, "zTOC: %zu bytes are more than a zTOC can have", len);
	if (fb_root(data, len, &root) < 0)
		return ztoc_corrupt(err, "zTOC: %zu bytes that are no FlatBuffers buffer", len);
	z = calloc(1, sizeof(*z));
	if (!z)
		return err_sys(err, ENOMEM, "zTOC");
	r = read_root(z, &root, err);
	if (r < 0)
		return r;
	r = ztoc_entries_check(z, err);
	if (r < 0)
		return r;
	*ret_ztoc = TAKE_PTR(z);
	return 0;
}

void ztoc_free(struct ztoc *z)
{
	free(z);
}

struct ztoc_str ztoc_version(const struct ztoc *z)
{
	return z->version;
}

struct ztoc_str ztoc_build_tool(const struct ztoc *z)
{
	return z->build_tool;
}

enum ztoc_compression ztoc_compression(const struct ztoc *z)
{
	return z->compression;
}

uint64_t ztoc_comp_size(const struct ztoc *z)
{
	return z->comp_size;
}

uint64_t ztoc_out_size(const struct ztoc *z)
{
	return z->out_size;
}

uint64_t ztoc_span_size(const struct ztoc *z)
{
	return z->span_size;
}

int ztoc_check_lazy(const struct ztoc *z, struct err *err)
{
	struct ztoc_entry e;
	char name[512];

	if (z->first_sparse == ZTOC_NO_ENTRY)
		return 0;
	ztoc_entry_get(z, z->first_sparse, &e);
	return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
		       "\"%s\" is a sparse file in PAX form (GNU.sparse.*), which a zTOC cannot "
		       "represent: the layer has to be unpacked, not loaded lazily",
		       ztoc_str_printable(e.name, name));
}
