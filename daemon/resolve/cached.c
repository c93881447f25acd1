/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cached.c - what the cache has need not be fetched. Sizes are compared here; digests by
 * the one who installs.
 */
#include "daemon/resolve/resolve.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "image/map.h"

static bool layer_file_size(const struct resolve_opts *opts, const struct digest *ztoc,
			    const char *name, uint64_t *ret)
{
	char path[4096], id[DIGEST_HEX_LEN + 1];
	struct stat st;

	layer_blob_id(ztoc, id);
	snprintf(path, sizeof(path), "%s/layers/%s/%s", opts->cache_dir, id, name);
	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	*ret = (uint64_t)st.st_size;
	return true;
}

static bool built_ztoc(const struct resolve_opts *opts, const struct digest *layer,
		       struct digest *ret)
{
	cleanup_buf struct buf b = BUF_INIT(256);
	char path[4096], hex[DIGEST_HEX_LEN + 1];

	digest_format_hex(layer, hex);
	snprintf(path, sizeof(path), "%s/built/%s", opts->cache_dir, hex);
	return io_read_file(AT_FDCWD, path, &b) == 0 && b.len == DIGEST_TEXT_LEN &&
	       digest_parse((const char *)b.data, b.len, ret) == 0;
}

bool resolve_layer_is_cached(const struct resolve_opts *opts, const struct oci_layer *layer,
			     struct image_record_layer *ret)
{
	struct digest ztoc = layer->ztoc.digest;
	uint64_t size, blob_size;

	if (!opts->cache_dir)
		return false;
	if (!layer->has_ztoc && (opts->refuse_unindexed ||
				 !built_ztoc(opts, &layer->desc.digest, &ztoc)))
		return false;
	if (!layer_file_size(opts, &ztoc, "ztoc", &size))
		return false;
	if (layer->has_ztoc && size != layer->ztoc.size)
		return false;
	if (!layer->has_ztoc && (!layer_file_size(opts, &ztoc, "blob", &blob_size) ||
				 blob_size != layer->desc.size))
		return false;
	ret->ztoc = ztoc;
	ret->ztoc_size = size;
	ret->local = !layer->has_ztoc;
	return true;
}
