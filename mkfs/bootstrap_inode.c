/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bootstrap_inode.c - one tree_inode becomes one erofs_inode.
 *
 * liberofs believes what it is told and truncates or corrupts what it cannot hold, so every
 * number is checked here against the on-disk field that will take it. Limits: EROFS's
 * on-disk format (erofs_fs.h of the pinned version), Linux's dev_t, PATH_MAX.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <erofs/internal.h>
#include <erofs/blobchunk.h>
#include <erofs/inode.h>
#include <erofs/xattr.h>

#include "image/quote.h"
#include "image/xattr.h"
#include "mkfs/bootstrap_private.h"

#define CHUNK_BLKBITS 8		/* 1 MiB in 4 KiB blocks */
#define SYMLINK_MAX_BYTES 4095u	/* PATH_MAX with its NUL */
#define DEV_MAJOR_MAX 4095u	/* on-disk rdev: 12 and 20 bits */
#define DEV_MINOR_MAX 1048575u
/* i_xattr_icount has 16 bits: 12 bytes of header, then units of four. */
#define XATTR_BODY_MAX (12u + 4u * 65534u)

_Static_assert(MAP_CHUNK_BYTES == MAP_BLOCK_BYTES << CHUNK_BLKBITS, "chunk size");

static int refuse(struct err *err, enum err_kind kind, struct ztoc_str name, const char *what)
{
	char quoted[IMAGE_QUOTE_SIZE];

	return err_set(err, kind, kind == ERR_UNSUPPORTED ? EOPNOTSUPP : EUCLEAN,
		       "file %s: %s", image_quote(name, quoted), what);
}

/* --- data ---------------------------------------------------------------------------- */

/* Device and block of the chunk at blob offset `off`, n blocks long. */
static int chunk_place(const struct bootstrap_build *b, const struct tree_inode *in,
		       uint64_t off, uint64_t len, uint32_t *ret_device, uint64_t *ret_blk)
{
	const struct bootstrap_layer *l = &b->layers[in->layer];
	const struct map_segment *s;
	uint32_t i;

	if (b->kind == BOOTSTRAP_CACHEFILES) {
		*ret_device = l->first_device;
		*ret_blk = off / MAP_BLOCK_BYTES;
		return 0;
	}
	i = layer_map_segment_find(l->map, off);
	s = &l->map->segments[i];
	if (off - s->blob_off + len > s->size)
		return -EINVAL;
	*ret_device = l->first_device + i;
	*ret_blk = (off - s->blob_off) / MAP_BLOCK_BYTES;
	return 0;
}

static int set_chunks(const struct bootstrap_build *b, struct erofs_inode *inode,
		      const struct tree_inode *in, struct err *err)
{
	uint64_t count = (in->size + MAP_CHUNK_BYTES - 1) / MAP_CHUNK_BYTES;
	struct erofs_blobchunk **chunks = calloc(count, sizeof(*chunks));

	if (!chunks)
		return err_sys(err, ENOMEM, "chunks of a file");
	inode->chunkindexes = chunks;
	inode->extent_isize = (unsigned int)(count * sizeof(struct erofs_inode_chunk_index));
	inode->datalayout = EROFS_INODE_CHUNK_BASED;
	inode->u.chunkformat = EROFS_CHUNK_FORMAT_INDEXES | CHUNK_BLKBITS;
	for (uint64_t j = 0; j < count; j++) {
		uint64_t at = j * MAP_CHUNK_BYTES, left = in->size - at, blk;
		uint64_t len = left < MAP_CHUNK_BYTES ? left : MAP_CHUNK_BYTES;
		uint32_t device;

		if (chunk_place(b, in, in->blob_off + at, len, &device, &blk) < 0)
			return err_set(err, ERR_BUG, EINVAL, "a chunk crosses a segment");
		chunks[j] = erofs_get_unhashed_chunk(device, (erofs_blk_t)blk, at);
		if (IS_ERR(chunks[j]))
			return err_sys(err, ENOMEM, "chunks of a file");
	}
	return 0;
}

static int set_data(const struct bootstrap_build *b, struct erofs_inode *inode,
		    const struct tree_inode *in, struct err *err)
{
	const struct layer_map *m;

	inode->i_size = in->size;
	if (in->size == 0)
		return 0;
	m = b->layers[in->layer].map;
	if (in->blob_off % MAP_BLOCK_BYTES || in->blob_off > m->blob_size ||
	    in->size > m->blob_size - in->blob_off)
		return err_set(err, ERR_BUG, EINVAL, "file data outside the layer blob");
	return set_chunks(b, inode, in, err);
}

/* --- extended attributes ------------------------------------------------------------- */

struct xattr_item {
	struct image_xattr x;
	uint32_t record;
};

static int xattr_cmp(const void *a, const void *b)
{
	const struct xattr_item *p = a, *q = b;
	int c = strcmp(p->x.name, q->x.name);

	/* Equal names (a=b and a%3Db): the last record first; it counts, as in PAX headers. */
	return c ? c : (p->record < q->record) - (p->record > q->record);
}

/* Bytes that the attribute takes after `pos` in the inode's xattr body. */
static uint64_t xattr_body_end(uint64_t pos, const struct image_xattr *x)
{
	unsigned int index, prefix_len;

	if (!erofs_xattr_prefix_matches(x->name, &index, &prefix_len))
		return UINT64_MAX / 2;
	return (pos + 4 + strlen(x->name) - prefix_len + x->value.len + 3) / 4 * 4;
}

static int write_xattrs(struct erofs_inode *inode, struct xattr_item *list, uint32_t n,
			struct ztoc_str name, struct err *err)
{
	uint64_t body = 12;

	qsort(list, n, sizeof(*list), xattr_cmp);
	for (uint32_t i = 0; i < n; i++) {
		struct image_xattr *x = &list[i].x;
		int r;

		if (i && strcmp(x->name, list[i - 1].x.name) == 0)
			continue;
		body = xattr_body_end(body, x);
		if (body > XATTR_BODY_MAX)
			return refuse(err, ERR_UNSUPPORTED, name,
				      "more than 256 KiB of extended attributes");
		r = erofs_setxattr(inode, x->name, x->value.s, x->value.len);
		if (r < 0)
			return err_sys(err, -r, "extended attributes");
	}
	/* liberofs takes a multiple of 64 KiB for no attributes at all. */
	if (body % 65536 == 0)
		return refuse(err, ERR_UNSUPPORTED, name,
			      "extended attributes of exactly a multiple of 64 KiB");
	return 0;
}

static int set_xattrs(struct erofs_inode *inode, const struct tree_inode *in,
		      struct ztoc_str name, struct err *err)
{
	struct xattr_item *list = NULL;
	uint32_t n = 0;
	int r = 0;

	for (uint32_t k = 0; k < in->nxattrs && r == 0; k++) {
		struct ztoc_xattr record;
		struct xattr_item item = { .record = k }, *p;

		ztoc_xattr_get(in->ztoc, in->entry, k, &record);
		r = image_xattr_parse(&record, in->type, &item.x, err);
		if (r <= 0)
			continue;
		r = 0;
		/* Room for a power of two at least as large as n + 1. */
		p = (n & (n - 1)) == 0 ? realloc(list, (n ? 2 * n : 1) * sizeof(*p)) : list;
		if (!p) {
			r = err_sys(err, ENOMEM, "xattrs");
			break;
		}
		list = p;
		list[n++] = item;
	}
	if (r == 0 && n)
		r = write_xattrs(inode, list, n, name, err);
	free(list);
	return r < 0 ? r : 0;
}

/* --- the rest of an inode ------------------------------------------------------------ */

static uint32_t type_mode(enum ztoc_type type)
{
	switch (type) {
	case ZTOC_REG: return S_IFREG;
	case ZTOC_DIR: return S_IFDIR;
	case ZTOC_SYMLINK: return S_IFLNK;
	case ZTOC_CHAR: return S_IFCHR;
	case ZTOC_BLOCK: return S_IFBLK;
	case ZTOC_FIFO: return S_IFIFO;
	case ZTOC_HARDLINK: break;
	}
	return 0;
}

static int set_symlink(struct erofs_inode *inode, const struct tree_inode *in,
		       struct ztoc_str name, struct err *err)
{
	if (in->target.len == 0 || in->target.len > SYMLINK_MAX_BYTES)
		return refuse(err, ERR_CORRUPT, name, "symlink target of no or over 4095 bytes");
	if (memchr(in->target.s, '\0', in->target.len))
		return refuse(err, ERR_CORRUPT, name, "symlink target with a NUL byte");
	inode->i_link = malloc(in->target.len);
	if (!inode->i_link)
		return err_sys(err, ENOMEM, "symlink");
	memcpy(inode->i_link, in->target.s, in->target.len);
	inode->i_size = in->target.len;
	return 0;
}

static int set_metadata(struct erofs_inode *inode, const struct tree_inode *in,
			struct ztoc_str name, struct err *err)
{
	if (type_mode(in->type) == 0 || in->mode > 07777)
		return refuse(err, ERR_CORRUPT, name, "mode or type");
	if (in->mtime_nsec > 999999999)
		return refuse(err, ERR_CORRUPT, name, "modification time");
	inode->i_mode = (umode_t)(type_mode(in->type) | in->mode);
	inode->i_uid = in->uid;
	inode->i_gid = in->gid;
	inode->i_mtime = (u64)in->mtime_sec;
	inode->i_mtime_nsec = in->mtime_nsec;
	inode->i_nlink = in->nlink;
	return 0;
}

static int set_type(const struct bootstrap_build *b, struct erofs_inode *inode,
		    const struct tree_inode *in, struct ztoc_str name, struct err *err)
{
	switch (in->type) {
	case ZTOC_REG:
		return set_data(b, inode, in, err);
	case ZTOC_SYMLINK:
		return set_symlink(inode, in, name, err);
	case ZTOC_CHAR:
	case ZTOC_BLOCK:
		if (in->devmajor > DEV_MAJOR_MAX || in->devminor > DEV_MINOR_MAX)
			return refuse(err, ERR_UNSUPPORTED, name, "device number out of range");
		inode->u.i_rdev = erofs_new_encode_dev(makedev(in->devmajor, in->devminor));
		return 0;
	default:
		return 0;
	}
}

static int fill_inode(const struct bootstrap_build *b, struct erofs_inode *inode,
		      const struct tree_inode *in, struct ztoc_str name, struct err *err)
{
	int r = set_metadata(inode, in, name, err);

	if (r == 0)
		r = set_type(b, inode, in, name, err);
	if (r == 0)
		r = set_xattrs(inode, in, name, err);
	return r;
}

/* A new inode, ours by one reference; the root's has "." and ".." already. */
static int new_inode(const struct bootstrap_build *b, struct erofs_inode *parent,
		     const struct tree_inode *in, struct ztoc_str name,
		     struct erofs_inode **ret, struct err *err)
{
	struct erofs_inode *inode = parent ? erofs_new_inode(b->sbi)
					   : erofs_rebuild_make_root(b->sbi);
	int r;

	if (IS_ERR(inode))
		return err_sys(err, ENOMEM, "inode");
	*ret = inode;
	if (parent) {
		/* liberofs prints it nowhere, but dereferences it. */
		inode->i_srcpath = strdup("");
		inode->i_parent = parent;
	}
	if (!inode->i_srcpath)
		return err_sys(err, ENOMEM, "inode");
	r = fill_inode(b, inode, in, name, err);
	if (r == 0 && parent && in->type == ZTOC_DIR && erofs_init_empty_dir(inode) < 0)
		r = err_sys(err, ENOMEM, "directory");
	return r;
}

static int add_name(struct erofs_inode *parent, struct erofs_inode *inode,
		    struct ztoc_str name, struct err *err)
{
	char text[EROFS_NAME_LEN + 1];
	struct erofs_dentry *d;

	if (name.len == 0 || name.len > EROFS_NAME_LEN || memchr(name.s, '\0', name.len) ||
	    memchr(name.s, '/', name.len))
		return refuse(err, ERR_BUG, name, "impossible name");
	memcpy(text, name.s, name.len);
	text[name.len] = '\0';
	if (is_dot_dotdot(text))
		return refuse(err, ERR_BUG, name, "impossible name");
	d = erofs_d_alloc(parent, text);
	if (IS_ERR(d))
		return err_sys(err, ENOMEM, "directory entry");
	d->inode = erofs_igrab(inode);
	d->type = erofs_mode_to_ftype(inode->i_mode);
	return 0;
}

int bootstrap_inode_add(void *build, uint64_t parent_ino, struct ztoc_str name,
			bool first_link, const struct tree_inode *in, struct err *err)
{
	struct bootstrap_build *b = build;
	struct erofs_inode *parent;

	if (in->ino >= b->ninodes || parent_ino >= b->ninodes ||
	    (in->size && (in->layer >= b->nlayers || b->layers[in->layer].first_device == 0)))
		return err_set(err, ERR_BUG, EINVAL, "tree and layers do not match");
	if (in->ino == 0)
		return new_inode(b, NULL, in, name, &b->inodes[0], err);
	parent = b->inodes[parent_ino];
	if (first_link) {
		int r = new_inode(b, parent, in, name, &b->inodes[in->ino], err);

		if (r < 0) {
			err_prefix(err, "layer %u", in->layer + 1);
			return r;
		}
	}
	return add_name(parent, b->inodes[in->ino], name, err);
}
