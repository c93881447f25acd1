/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tree_private.h - the data of a merged tree, shared by tree.c (store), tree_apply.c (merge
 * rules) and tree_walk.c (reading).
 *
 *   nodes   one per (directory, name) ever seen; a removed one stays, with no inode, so
 *           that removal is O(1) and the hash table never loses an entry
 *   inodes  one per file or directory ever made; replaced ones stay, unreachable
 *
 * A subtree is removed by taking its top node's inode away: the children are keyed by the
 * inode that nobody reaches any more. Node 0 and inode 0 are the root. Indices are 32-bit:
 * 72 bytes per entry plus the hash table.
 *
 * Layer stamps are layer number + 1. node.stamp: last layer that wrote the node or
 * something below it. A whiteout of layer L removes what has another stamp.
 */
#ifndef LZ_IMAGE_TREE_PRIVATE_H
#define LZ_IMAGE_TREE_PRIVATE_H

#include "image/tree.h"

#define TREE_NONE UINT32_MAX
#define TREE_NAME_MAX 255u
#define TREE_PATH_MAX 4096u	/* of an entry's name, and of a symlink followed */
#define TREE_DEPTH_MAX 2048u	/* directories above one another */
#define TREE_LINKS_MAX 255u	/* symlinks followed for one name (containerd: 255) */

struct tree_node {
	const char *name;	/* borrowed from a zTOC */
	uint32_t parent;	/* inode of the directory */
	uint32_t inode;		/* TREE_NONE: removed */
	uint32_t next;		/* in the directory's list */
	uint32_t stamp;
	uint32_t hash;
	uint8_t namelen;
};

struct tree_rec {
	uint64_t entry;		/* in its layer's zTOC, or ZTOC_NO_ENTRY */
	uint32_t layer;
	uint32_t first_child;	/* directories: node list, newest first */
	uint32_t node;		/* directories: their own node, for ".." */
	uint32_t pruned;	/* directories: stamp of the layer that cleared it last */
	uint32_t nlink, ino;	/* set by tree_walk() */
	uint16_t depth;		/* directories */
	uint8_t type;		/* enum ztoc_type */
};

struct tree_layer {
	const struct ztoc *ztoc;
	const struct layer_map *map;
};

struct tree {
	struct tree_node *nodes;
	struct tree_rec *recs;
	uint32_t *slots;	/* open addressing: node + 1, 0 free */
	struct tree_layer *layers;
	uint32_t *stack;	/* scratch of tree_prune() */
	uint32_t nnodes, nodes_cap, nrecs, recs_cap, nslots, nlayers, stack_cap;
	uint64_t seed;		/* of the hash: input cannot aim at collisions */
};

/* Node of name in directory inode `dir`, also a removed one; TREE_NONE if never seen. */
uint32_t tree_node_find(const struct tree *t, uint32_t dir, const char *name, uint32_t len);
/* The inode that name has now, or TREE_NONE. */
uint32_t tree_lookup(const struct tree *t, uint32_t dir, const char *name, uint32_t len);
/* Find or make the node (without an inode when new). */
int tree_node_get(struct tree *t, uint32_t dir, const char *name, uint32_t len,
		  uint32_t *ret, struct err *err);
int tree_rec_new(struct tree *t, enum ztoc_type type, uint32_t layer, uint64_t entry,
		 uint32_t *ret, struct err *err);
/* Give node `inode`, stamped by the layer, and stamp the directories above. */
void tree_node_set(struct tree *t, uint32_t node, uint32_t inode, uint32_t stamp);
/* Remove from directory `dir` and below all that does not carry the stamp. */
int tree_prune(struct tree *t, uint32_t dir, uint32_t stamp, struct err *err);

#endif
