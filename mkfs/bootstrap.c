/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bootstrap.c - the order in which liberofs wants to be called, and what comes before.
 *
 * liberofs 1.8.6 (mkfs/build-liberofs) keeps its options in one global: one writer per
 * process, one thread. It leaks a little by design; its process is short-lived. The order
 * follows main() of its mkfs: buffers, superblock reserved, device table, tree, table
 * written, flush, superblock, checksum.
 */
#include "mkfs/bootstrap.h"

#include <stdlib.h>
#include <string.h>

#include <erofs/internal.h>
#include <erofs/blobchunk.h>
#include <erofs/cache.h>
#include <erofs/config.h>
#include <erofs/inode.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "mkfs/bootstrap_private.h"

#define VOLUME_NAME "lazyerofs"
#define BLKSZBITS 12
/* Room for the metadata itself in the 32-bit block numbers. */
#define DATA_BLOCKS_MAX (UINT32_MAX - (1u << 24))
#define DEVICE_TABLE_LIMIT_BYTES (8u << 20)	/* devt_slotoff: 16 bits of 128 bytes */

/* Silent, extended inodes (ns mtimes, 32-bit ids), xattr name filter. */
static void configure(void)
{
	erofs_init_configure();
	cfg.c_dbg_lvl = -1;
	cfg.c_showprogress = false;
	cfg.c_inline_data = true;
	cfg.c_xattr_name_filter = true;
	cfg.c_force_inodeversion = FORCE_INODE_EXTENDED;
	erofs_inode_manager_init();
}

static void set_uuid(struct erofs_sb_info *sbi, const struct layer_map *const *maps,
		     uint32_t nlayers, enum bootstrap_kind kind)
{
	struct digest_ctx ctx;
	struct digest d;

	digest_init(&ctx);
	digest_update(&ctx, "lazyerofs bootstrap\n", 20);
	digest_update(&ctx, kind == BOOTSTRAP_CACHEFILES ? "c" : "f", 1);
	for (uint32_t i = 0; i < nlayers; i++) {
		char id[DIGEST_HEX_LEN + 1];

		layer_blob_id(&maps[i]->ztoc_digest, id);
		digest_update(&ctx, id, DIGEST_HEX_LEN);
	}
	digest_final(&ctx, &d);
	memcpy(sbi->uuid, d.sha256, sizeof(sbi->uuid));
	/* RFC 9562: version 8, the application's own; variant 10. */
	sbi->uuid[6] = (sbi->uuid[6] & 0x0f) | 0x80;
	sbi->uuid[8] = (sbi->uuid[8] & 0x3f) | 0x80;
}

/* Number the devices of all layers; their count, or an error. */
static int count_devices(const struct layer_map *const *maps, uint32_t nlayers,
			 enum bootstrap_kind kind, struct bootstrap_layer *layers,
			 struct err *err)
{
	uint64_t devices = 0, blocks = 0;

	for (uint32_t i = 0; i < nlayers; i++) {
		const struct layer_map *m = maps[i];

		layers[i].map = m;
		layers[i].first_device = m->blob_size ? (uint32_t)devices + 1 : 0;
		if (m->blob_size)
			devices += kind == BOOTSTRAP_CACHEFILES ? 1 : m->nsegments;
		blocks += m->blob_size / MAP_BLOCK_BYTES;
		if (devices > BOOTSTRAP_DEVICES_MAX)
			return err_set(err, ERR_UNSUPPORTED, EFBIG,
				       "the image needs more than %u devices (%s)",
				       BOOTSTRAP_DEVICES_MAX,
				       kind == BOOTSTRAP_CACHEFILES ? "one per layer"
				       : "one per segment of at least 4 MiB");
		if (blocks > DATA_BLOCKS_MAX)
			return err_set(err, ERR_UNSUPPORTED, EFBIG,
				       "the image holds more than 16 TiB of file data");
	}
	return (int)devices;
}

static void set_device(struct erofs_device_info *dev, uint64_t bytes, const char *tag)
{
	dev->blocks = (u32)(bytes / MAP_BLOCK_BYTES);
	if (tag)
		memcpy(dev->tag, tag, sizeof(dev->tag));
}

static void fill_device_table(struct erofs_sb_info *sbi, const struct bootstrap_layer *layers,
			      uint32_t nlayers, enum bootstrap_kind kind)
{
	for (uint32_t i = 0; i < nlayers; i++) {
		const struct layer_map *m = layers[i].map;
		struct erofs_device_info *dev = sbi->devs + layers[i].first_device - 1;
		char id[DIGEST_HEX_LEN + 1];

		if (m->blob_size == 0)
			continue;
		if (kind == BOOTSTRAP_CACHEFILES) {
			layer_blob_id(&m->ztoc_digest, id);
			set_device(dev, m->blob_size, id);
			continue;
		}
		for (uint32_t s = 0; s < m->nsegments; s++)
			set_device(dev + s, m->segments[s].size, NULL);
	}
}

/* What liberofs answered, said in our words; the output's own error comes first. */
static int liberofs_failed(const struct bootstrap_out *out, int r, const char *step,
			   struct err *err)
{
	if (bootstrap_out_error(out))
		return err_sys(err, bootstrap_out_error(out), "writing the bootstrap");
	if (r == -ENOMEM)
		return err_sys(err, ENOMEM, "bootstrap, %s", step);
	return err_set(err, ERR_BUG, EIO, "liberofs failed: %s (%d)", step, r);
}

/* liberofs ignores it when it finds no room for an inode; that must not pass. */
static int check_placed(const struct bootstrap_build *b, struct err *err)
{
	for (uint64_t i = 0; i < b->ninodes; i++)
		if (!b->inodes[i] || !b->inodes[i]->bh)
			return err_set(err, ERR_BUG, EIO, "liberofs placed no inode %llu",
				       (unsigned long long)i);
	return 0;
}

static int write_tree(struct bootstrap_build *b, const struct tree *t,
		      const struct bootstrap_out *out, struct err *err)
{
	int r = tree_walk(t, bootstrap_inode_add, b, err);

	if (r < 0)
		return r;
	r = erofs_rebuild_dump_tree(b->inodes[0], false);
	if (r < 0)
		return liberofs_failed(out, r, "tree", err);
	return check_placed(b, err);
}

static int write_rest(struct bootstrap_build *b, struct erofs_buffer_head *sb_bh,
		      struct bootstrap_out *out, uint64_t *ret_bytes, struct err *err)
{
	struct erofs_sb_info *sbi = b->sbi;
	erofs_blk_t nblocks = 0;
	u32 crc;
	int r = sbi->extra_devices ? erofs_mkfs_dump_blobs(sbi) : 0;

	if (r == 0)
		r = erofs_bflush(sbi->bmgr, NULL);
	if (r == 0)
		r = erofs_fixup_root_inode(b->inodes[0]);
	if (r == 0)
		r = erofs_writesb(sbi, sb_bh, &nblocks);
	if (r == 0)
		r = erofs_bflush(sbi->bmgr, NULL);
	if (r == 0)
		r = erofs_enable_sb_chksum(sbi, &crc);
	if (r < 0)
		return liberofs_failed(out, r, "superblock and device table", err);
	*ret_bytes = (uint64_t)nblocks << BLKSZBITS;
	return bootstrap_out_finish(out, *ret_bytes, err);
}

static int write_image(struct bootstrap_build *b, const struct tree *t, uint32_t devices,
		       struct bootstrap_out *out, uint64_t *ret_bytes, struct err *err)
{
	struct erofs_sb_info *sbi = b->sbi;
	struct erofs_buffer_head *sb_bh;
	int r;

	sbi->bmgr = erofs_buffer_init(sbi, 0);
	if (!sbi->bmgr)
		return err_sys(err, ENOMEM, "bootstrap");
	sb_bh = erofs_reserve_sb(sbi->bmgr);
	if (IS_ERR(sb_bh))
		return liberofs_failed(out, -ENOMEM, "superblock", err);
	if (devices) {
		r = erofs_mkfs_init_devices(sbi, devices);
		if (r < 0)
			return liberofs_failed(out, r, "device table", err);
		if (sbi->devt_slotoff == 0 ||
		    sbi->devt_slotoff * 128u >= DEVICE_TABLE_LIMIT_BYTES)
			return err_set(err, ERR_BUG, EINVAL, "device table out of reach");
		fill_device_table(sbi, b->layers, b->nlayers, b->kind);
		erofs_sb_set_chunked_file(sbi);
	}
	r = write_tree(b, t, out, err);
	return r < 0 ? r : write_rest(b, sb_bh, out, ret_bytes, err);
}

static void put_inodes(struct bootstrap_build *b)
{
	for (uint64_t i = 0; i < b->ninodes; i++)
		if (b->inodes[i])
			erofs_iput(b->inodes[i]);
	free(b->inodes);
}

int bootstrap_write(const struct tree *t, const struct layer_map *const *maps,
		    uint32_t nlayers, enum bootstrap_kind kind, int out_fd,
		    struct bootstrap_info *ret_info, struct err *err)
{
	struct erofs_sb_info sbi = {
		.blkszbits = BLKSZBITS, .islotbits = EROFS_ISLOTBITS,
		.volume_name = VOLUME_NAME,
		.feature_compat = EROFS_FEATURE_COMPAT_SB_CHKSUM | EROFS_FEATURE_COMPAT_MTIME,
	};
	cleanup_free struct bootstrap_layer *layers = calloc(nlayers + 1ul, sizeof(*layers));
	struct bootstrap_build b = { .sbi = &sbi, .kind = kind, .nlayers = nlayers };
	struct bootstrap_out *out;
	uint64_t bytes = 0;
	int devices, r;

	if (!layers)
		return err_sys(err, ENOMEM, "layers");
	devices = count_devices(maps, nlayers, kind, layers, err);
	if (devices < 0)
		return devices;
	r = tree_inode_count(t, &b.ninodes, err);
	if (r < 0)
		return r;
	b.layers = layers;
	b.inodes = calloc(b.ninodes, sizeof(struct erofs_inode *));
	if (!b.inodes)
		return err_sys(err, ENOMEM, "inodes");
	out = bootstrap_out_new(out_fd, &sbi.bdev, err);
	if (out) {
		configure();
		set_uuid(&sbi, maps, nlayers, kind);
		r = write_image(&b, t, (uint32_t)devices, out, &bytes, err);
		put_inodes(&b);
		erofs_put_super(&sbi);
		bootstrap_out_free(out);
	} else {
		r = -ENOMEM;
		free(b.inodes);
	}
	if (r == 0)
		*ret_info = (struct bootstrap_info){
			.inodes = b.ninodes, .bytes = bytes, .devices = (uint32_t)devices,
		};
	return r;
}
