/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_image.c - from any zTOC that opens to the merged tree, as mkfs.lazyerofs goes.
 *
 * The layer is applied twice: as a lower layer, and over itself. What the walk hands out
 * must be what a bootstrap writer may rely on.
 *
 * fuzz-sources: lib/image/map.c lib/image/quote.c lib/image/tree.c lib/image/tree_apply.c lib/image/tree_walk.c lib/image/xattr.c lib/ztoc/ztoc.c lib/ztoc/entries.c lib/ztoc/checkpoints.c lib/ztoc/fb.c lib/ztoc/mtime.c lib/base/err.c lib/base/digest.c
 * fuzz-libs: -lnettle
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "image/map.h"
#include "image/tree.h"
#include "image/xattr.h"

struct seen {
	const struct layer_map *map;
	uint64_t inodes, next_ino;
};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void read_xattrs(const struct tree_inode *in)
{
	for (uint32_t k = 0; k < in->nxattrs; k++) {
		struct ztoc_xattr record;
		struct image_xattr x;

		ztoc_xattr_get(in->ztoc, in->entry, k, &record);
		if (image_xattr_parse(&record, in->type, &x, NULL) == 1)
			must(x.name[0] && x.value.len <= XATTR_VALUE_LEN_MAX);
	}
}

static int visit(void *arg, uint64_t parent, struct ztoc_str name, bool first,
		 const struct tree_inode *in, struct err *err)
{
	struct seen *s = arg;

	(void)err;
	must(in->ino < s->inodes && parent < s->inodes && (!first || parent <= in->ino));
	must(in->type != ZTOC_HARDLINK && in->mode <= 07777 && in->nlink > 0);
	if (in->ino == 0) {
		must(in->type == ZTOC_DIR && name.len == 0);
	} else {
		must(name.len > 0 && name.len <= 255 && !memchr(name.s, '/', name.len) &&
		     !memchr(name.s, '\0', name.len));
		must(!(name.s[0] == '.' &&
		       (name.len == 1 || (name.len == 2 && name.s[1] == '.'))));
	}
	/* New inodes are numbered in the order of the walk. */
	must(first == (in->ino == s->next_ino));
	s->next_ino += first;
	if (in->size)
		must(in->blob_off % MAP_BLOCK_BYTES == 0 &&
		     in->size <= s->map->blob_size - in->blob_off);
	if (first)
		read_xattrs(in);
	return 0;
}

static void merge(const struct ztoc *z, const struct layer_map *m)
{
	struct seen s = { .map = m };
	struct tree *t;

	must(tree_new(&t, NULL) == 0);
	for (uint32_t layer = 0; layer < 2; layer++) {
		struct err err = ERR_INIT;
		int r = tree_add_layer(t, layer, z, m, &err);

		must(r == 0 || (r == -err.num && err.text[0]));
		must(tree_inode_count(t, &s.inodes, NULL) == 0);
		s.next_ino = 0;
		must(tree_walk(t, visit, &s, NULL) == 0 && s.next_ino == s.inodes);
	}
	tree_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct digest digest;
	struct err err = ERR_INIT;
	struct layer_map *m = NULL;
	struct ztoc *z = NULL;

	if (ztoc_open(data, len, &z, NULL) == 0 && ztoc_check_lazy(z, NULL) == 0) {
		int r = layer_map_build(z, &digest, &m, &err);

		if (r == 0)
			merge(z, m);
		else
			must(!m && r == -err.num && err.text[0]);
	}
	layer_map_free(m);
	ztoc_free(z);
	return 0;
}
