/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state.c - see state.h. The file, little endian:
 *
 *	 0  8  "LZSTATE" and a NUL
 *	 8  4  version, 1
 *	12  4  number of segments n
 *	16 36  boot ID, as the kernel prints it
 *	52  4  zero
 *	56 8n  recorded length of each segment, bytes
 *	   32  sha256 of everything before
 */
#include "daemon/fill/state.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/io.h"

#define STATE_MAGIC "LZSTATE"
#define STATE_VERSION 1u
#define STATE_HEADER_BYTES 56u
#define BOOT_ID_LEN 36u

static int boot_id_read(char ret[BOOT_ID_LEN], struct err *err)
{
	cleanup_close int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_sys(err, errno, "cannot open the kernel's boot_id");
	r = io_read_full(fd, ret, BOOT_ID_LEN);
	return r < 0 ? err_sys(err, -r, "cannot read the kernel's boot_id") : 0;
}

static uint64_t state_size(uint32_t nsegments)
{
	return STATE_HEADER_BYTES + 8 * (uint64_t)nsegments + DIGEST_BYTES;
}

static uint32_t get_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static int damaged(struct err *err, const char *what)
{
	err_set(err, ERR_CORRUPT, EBADMSG, "%s file: %s; nothing recorded is trusted",
		FILL_STATE_NAME, what);
	return 0;
}

/* 1 when b is a record for nsegments segments, else 0 and a reason. */
static int state_check(const struct buf *b, uint32_t nsegments, struct err *err)
{
	struct digest d;

	if (b->len < STATE_HEADER_BYTES || memcmp(b->data, STATE_MAGIC, 8) != 0)
		return damaged(err, "not a state file");
	if (get_u32(b->data + 8) != STATE_VERSION)
		return damaged(err, "unknown version");
	if (get_u32(b->data + 12) != nsegments || b->len != state_size(nsegments))
		return damaged(err, "another number of segments");
	digest_of(b->data, b->len - DIGEST_BYTES, &d);
	if (memcmp(d.sha256, b->data + b->len - DIGEST_BYTES, DIGEST_BYTES) != 0)
		return damaged(err, "digest differs");
	return 1;
}

int fill_state_load(int dirfd, uint32_t nsegments, uint64_t *lens, bool *ret_same_boot,
		    struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(state_size(nsegments));
	char boot[BOOT_ID_LEN];
	int r;

	memset(lens, 0, sizeof(*lens) * nsegments);
	*ret_same_boot = false;
	r = io_read_file(dirfd, FILL_STATE_NAME, &b);
	if (r == -ENOENT)
		return 0;
	if (r == -EFBIG)
		return damaged(err, "too long");
	if (r < 0)
		return err_sys(err, -r, "cannot read the %s file", FILL_STATE_NAME);
	if (!state_check(&b, nsegments, err))
		return 0;
	r = boot_id_read(boot, err);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < nsegments; i++) {
		uint64_t v;

		memcpy(&v, b.data + STATE_HEADER_BYTES + 8 * (uint64_t)i, sizeof(v));
		v = le64toh(v);
		lens[i] = v - v % IO_BLOCK_BYTES;
	}
	*ret_same_boot = memcmp(boot, b.data + 16, BOOT_ID_LEN) == 0;
	return 1;
}

int fill_state_save(int dirfd, uint32_t nsegments, const uint64_t *lens, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	uint8_t header[STATE_HEADER_BYTES] = STATE_MAGIC;
	uint32_t version = htole32(STATE_VERSION), n = htole32(nsegments);
	struct digest d;
	int r;

	memcpy(header + 8, &version, 4);
	memcpy(header + 12, &n, 4);
	r = boot_id_read((char *)header + 16, err);
	if (r < 0)
		return r;
	r = buf_add(&b, header, sizeof(header));
	for (uint32_t i = 0; i < nsegments && r == 0; i++) {
		uint64_t v = htole64(lens[i]);

		r = buf_add(&b, &v, sizeof(v));
	}
	if (r == 0) {
		digest_of(b.data, b.len, &d);
		r = buf_add(&b, d.sha256, DIGEST_BYTES);
	}
	if (r == 0)
		r = io_write_file_atomic(dirfd, FILL_STATE_NAME, b.data, b.len, 0600);
	return r < 0 ? err_sys(err, -r, "cannot write the %s file", FILL_STATE_NAME) : 0;
}
