/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bootstrap_private.h - what the files of the bootstrap writer share. liberofs's own types
 * appear by name only: its headers are included by the .c files.
 *
 *   bootstrap.c        order of the calls, device table, superblock
 *   bootstrap_inode.c  one tree_inode -> one erofs_inode, everything checked
 *   bootstrap_out.c    where liberofs writes to
 */
#ifndef LZ_MKFS_BOOTSTRAP_PRIVATE_H
#define LZ_MKFS_BOOTSTRAP_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "mkfs/bootstrap.h"

struct erofs_inode;
struct erofs_sb_info;
struct erofs_vfile;

#define BOOTSTRAP_DEVICES_MAX 65535u

/* --- output ------------------------------------------------------------------------ */

/*
 * liberofs writes inode by inode, 64 bytes at a time, and ignores some of its own write
 * errors. A window over the file turns that into large writes and latches the first error.
 */
struct bootstrap_out;
struct bootstrap_out *bootstrap_out_new(int fd, struct erofs_vfile *vf, struct err *err);
/* Write what is pending and set the length; the first error of the whole run, if any. */
int bootstrap_out_finish(struct bootstrap_out *o, uint64_t length, struct err *err);
/* 0, or the errno (positive) of the first failed read or write. */
int bootstrap_out_error(const struct bootstrap_out *o);
void bootstrap_out_free(struct bootstrap_out *o);

/* --- inodes ------------------------------------------------------------------------ */

struct bootstrap_layer {
	const struct layer_map *map;
	uint32_t first_device;	/* device id of its first segment, or of its blob; 1-based */
};

struct bootstrap_build {
	struct erofs_sb_info *sbi;
	enum bootstrap_kind kind;
	const struct bootstrap_layer *layers;
	uint32_t nlayers;
	struct erofs_inode **inodes;	/* by tree inode number; a reference each */
	uint64_t ninodes;
};

/* A tree_visit: makes the inode where it is new, and its name in the parent. */
int bootstrap_inode_add(void *build, uint64_t parent_ino, struct ztoc_str name,
			bool first_link, const struct tree_inode *in, struct err *err);

#endif
