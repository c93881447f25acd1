/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tiny_erofs.c - see tiny_erofs.h. Format: fs/erofs/erofs_fs.h of Linux 6.1 and later.
 *
 *   0        1024         4096                     next block
 *   |        | superblock | device table (128 B    | root inode + entries | inode, chunk
 *   |        |            | each)                  | (inline)             | index | ...
 */
#include "daemon/kernel/tiny_erofs.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/le.h"

#define SB_OFFSET 1024
#define SLOT_BYTES 128
#define INODE_BYTES 32
#define CHUNK_BYTES (1u << 20)
#define CHUNK_BLKBITS 8			/* 1 MiB / 4 KiB */
#define CHUNK_INDEXES 0x20
#define INCOMPAT_CHUNKED_FILE 0x4
#define INCOMPAT_DEVICE_TABLE 0x8
#define LAYOUT_FLAT_INLINE 2
#define LAYOUT_CHUNK_BASED 4
#define DIRENT_BYTES 12
#define TYPE_REG 1
#define TYPE_DIR 2

static void put_superblock(uint8_t *sb, uint64_t root_off, uint64_t total, uint32_t nfiles)
{
	le32_put(sb, 0xE0F5E1E2);
	sb[12] = 12;						/* 4 KiB blocks */
	le16_put(sb + 14, (uint16_t)(root_off / INODE_BYTES));
	le64_put(sb + 16, nfiles + 1);
	le32_put(sb + 36, (uint32_t)(total / IO_BLOCK_BYTES));
	memcpy(sb + 48, "lazyerofs-tiny-1", 16);		/* UUID */
	le32_put(sb + 80, INCOMPAT_CHUNKED_FILE | INCOMPAT_DEVICE_TABLE);
	le16_put(sb + 86, (uint16_t)nfiles);
	le16_put(sb + 88, IO_BLOCK_BYTES / SLOT_BYTES);		/* table begins in block 1 */
}

static void put_inode(uint8_t *p, unsigned layout, uint16_t mode, uint16_t nlink,
		      uint64_t size, uint32_t u, uint32_t ino)
{
	le16_put(p, (uint16_t)(layout << 1));			/* compact form */
	le16_put(p + 4, mode);
	le16_put(p + 6, nlink);
	le32_put(p + 8, (uint32_t)size);
	le32_put(p + 16, u);
	le32_put(p + 20, ino);
}

static uint64_t inode_span(const struct tiny_file *f)
{
	uint64_t chunks = (f->size + CHUNK_BYTES - 1) / CHUNK_BYTES;

	return io_round_up(INODE_BYTES + chunks * 8, INODE_BYTES);
}

static uint64_t dir_bytes(const struct tiny_file *files, uint32_t nfiles)
{
	uint64_t n = 2 * DIRENT_BYTES + 3;			/* "." and ".." */

	for (uint32_t i = 0; i < nfiles; i++)
		n += DIRENT_BYTES + strlen(files[i].name);
	return n;
}

static void put_dir(uint8_t *dir, uint64_t root_off, uint64_t inode_off,
		    const struct tiny_file *files, uint32_t nfiles)
{
	uint32_t name_off = (nfiles + 2) * DIRENT_BYTES;

	for (uint32_t i = 0; i < nfiles + 2; i++) {
		const char *name = i == 0 ? "." : i == 1 ? ".." : files[i - 2].name;
		uint8_t *d = dir + (uint64_t)i * DIRENT_BYTES;
		size_t len = strlen(name);

		le64_put(d, (i < 2 ? root_off : inode_off) / INODE_BYTES);
		le16_put(d + 8, (uint16_t)name_off);
		d[10] = i < 2 ? TYPE_DIR : TYPE_REG;
		memcpy(dir + name_off, name, len);
		name_off += (uint32_t)len;
		if (i >= 2)
			inode_off += inode_span(&files[i - 2]);
	}
}

static void put_file(uint8_t *p, const struct tiny_file *f, uint32_t index)
{
	uint64_t chunks = (f->size + CHUNK_BYTES - 1) / CHUNK_BYTES;

	put_inode(p, LAYOUT_CHUNK_BASED, S_IFREG | f->mode, 1, f->size,
		  CHUNK_BLKBITS | CHUNK_INDEXES, index + 2);
	for (uint64_t j = 0; j < chunks; j++) {
		uint8_t *idx = p + INODE_BYTES + j * 8;

		le16_put(idx + 2, (uint16_t)(index + 1));		/* device */
		le32_put(idx + 4, (uint32_t)(j << CHUNK_BLKBITS));	/* block within it */
	}
}

int tiny_erofs_build(const struct tiny_file *files, uint32_t nfiles, struct buf *out)
{
	uint64_t table_end = IO_BLOCK_BYTES + (uint64_t)nfiles * SLOT_BYTES;
	uint64_t root_off = io_round_up(table_end, IO_BLOCK_BYTES);
	uint64_t dir_len = dir_bytes(files, nfiles);
	uint64_t first_inode = root_off + io_round_up(INODE_BYTES + dir_len, INODE_BYTES);
	uint64_t total = first_inode, off = first_inode;
	uint8_t *img;
	int r;

	if (INODE_BYTES + dir_len > IO_BLOCK_BYTES)
		return -EFBIG;
	for (uint32_t i = 0; i < nfiles; i++)
		total += inode_span(&files[i]);
	total = io_round_up(total, IO_BLOCK_BYTES);

	r = buf_reserve(out, total);
	if (r < 0)
		return r;
	img = out->data + out->len;
	memset(img, 0, total + 1);
	put_superblock(img + SB_OFFSET, root_off, total, nfiles);
	put_inode(img + root_off, LAYOUT_FLAT_INLINE, S_IFDIR | 0755, 2, dir_len, 0, 1);
	put_dir(img + root_off + INODE_BYTES, root_off, first_inode, files, nfiles);
	for (uint32_t i = 0; i < nfiles; i++) {
		uint64_t blocks = io_round_up(files[i].size, IO_BLOCK_BYTES) / IO_BLOCK_BYTES;

		le32_put(img + IO_BLOCK_BYTES + (uint64_t)i * SLOT_BYTES + 64, (uint32_t)blocks);
		put_file(img + off, &files[i], i);
		off += inode_span(&files[i]);
	}
	out->len += total;
	return 0;
}
