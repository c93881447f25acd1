/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tree.h - the merged file tree of an image: layers applied bottom to top.
 *
 * Follows the OCI image-spec layer.md: later entries of one layer replace earlier ones,
 * upper layers replace lower ones, `.wh.NAME` removes NAME of lower layers, `.wh..wh..opq`
 * hides a directory's lower content, hardlinks share an inode (targets are looked up in
 * the merged tree, as an extraction in order would). Names are cleaned lexically ("./",
 * "/", ".." cannot leave the root); missing parents become 0755 root-owned directories.
 * A directory that replaces a directory keeps its children and takes the new metadata.
 * Memory: about 100 bytes and the name per entry; names and xattrs are borrowed from the
 * zTOCs, which must outlive the tree. One thread. The finer rules, symlinked parents among
 * them, stand in tree_apply.c.
 */
#ifndef LZ_IMAGE_TREE_H
#define LZ_IMAGE_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "image/map.h"
#include "ztoc/ztoc.h"

struct tree;

int tree_new(struct tree **ret, struct err *err);
void tree_free(struct tree *t);

/*
 * Apply one layer on top. `layer` is its number from the bottom (0 ..). The zTOC and map
 * are borrowed until tree_free(). Errors name the entry and the reason (CORRUPT), e.g. a
 * hardlink to nothing, a name component over 255 bytes, a file where a parent must be.
 */
int tree_add_layer(struct tree *t, uint32_t layer, const struct ztoc *z,
		   const struct layer_map *m, struct err *err);

/* --- walking, parents before children, children in byte order of their names ------- */

struct tree_inode {
	uint64_t ino;		/* 0-based, dense; the same for all links of a file */
	enum ztoc_type type;	/* never ZTOC_HARDLINK */
	uint32_t mode, uid, gid, nlink;
	int64_t mtime_sec;
	uint32_t mtime_nsec;
	uint32_t devmajor, devminor;
	struct ztoc_str target;	/* symlink */
	uint64_t size;		/* regular file */
	uint32_t layer;		/* whose blob holds the data (regular, size > 0) */
	uint64_t blob_off;	/* first byte in that blob */
	const struct ztoc *ztoc;	/* xattrs: ztoc_xattr_get(ztoc, entry, k, ..) */
	uint64_t entry;		/* ZTOC_NO_ENTRY for directories made up on the way */
	uint32_t nxattrs;
};

typedef int (*tree_visit)(void *arg, uint64_t parent_ino, struct ztoc_str name,
			  bool first_link, const struct tree_inode *inode, struct err *err);

/* The root comes first, with an empty name and itself as parent. */
int tree_walk(const struct tree *t, tree_visit visit, void *arg, struct err *err);
/* Walks the tree: inodes that can be reached, the root included. */
int tree_inode_count(const struct tree *t, uint64_t *ret, struct err *err);

#endif
