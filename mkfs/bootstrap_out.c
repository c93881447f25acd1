/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bootstrap_out.c - the file behind liberofs's block device: see bootstrap_private.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <erofs/internal.h>

#include "base/io.h"
#include "mkfs/bootstrap_private.h"

#define WINDOW_BYTES (1u << 20)

struct bootstrap_out {
	struct erofs_vfops ops;	/* first: erofs_vfile.ops points here */
	int fd;
	int error;		/* positive errno, latched */
	uint64_t start;		/* of the window in the file */
	size_t dirty_lo, dirty_hi;	/* dirty_lo < dirty_hi: to be written */
	bool loaded;
	uint8_t window[WINDOW_BYTES];
};

static struct bootstrap_out *out_of(struct erofs_vfile *vf)
{
	return (struct bootstrap_out *)vf->ops;
}

static int latch(struct bootstrap_out *o, int r)
{
	if (r < 0 && !o->error)
		o->error = -r;
	return r;
}

static int flush(struct bootstrap_out *o)
{
	int r = 0;

	if (o->dirty_lo < o->dirty_hi)
		r = io_pwrite_full(o->fd, o->window + o->dirty_lo, o->dirty_hi - o->dirty_lo,
				   o->start + o->dirty_lo);
	o->dirty_lo = WINDOW_BYTES;
	o->dirty_hi = 0;
	return latch(o, r);
}

/* Bytes of the file, zeros past its end. */
static int load(struct bootstrap_out *o)
{
	size_t have = 0;

	while (have < WINDOW_BYTES) {
		ssize_t n = pread(o->fd, o->window + have, WINDOW_BYTES - have,
				  (off_t)(o->start + have));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return latch(o, -errno);
		if (n == 0)
			break;
		have += (size_t)n;
	}
	memset(o->window + have, 0, WINDOW_BYTES - have);
	o->loaded = true;
	return 0;
}

static int select_window(struct bootstrap_out *o, uint64_t offset)
{
	uint64_t start = offset / WINDOW_BYTES * WINDOW_BYTES;
	int r;

	if (o->loaded && o->start == start)
		return 0;
	r = flush(o);
	if (r < 0)
		return r;
	o->loaded = false;
	o->start = start;
	return load(o);
}

/* Write data, or zeros where data is NULL. */
static int put(struct bootstrap_out *o, const uint8_t *data, uint64_t offset, size_t len)
{
	while (len) {
		size_t at = offset % WINDOW_BYTES;
		size_t n = len < WINDOW_BYTES - at ? len : WINDOW_BYTES - at;
		int r = select_window(o, offset);

		if (r < 0)
			return r;
		if (data) {
			memcpy(o->window + at, data, n);
			data += n;
		} else {
			memset(o->window + at, 0, n);
		}
		if (at < o->dirty_lo)
			o->dirty_lo = at;
		if (at + n > o->dirty_hi)
			o->dirty_hi = at + n;
		offset += n;
		len -= n;
	}
	return 0;
}

static ssize_t op_pwrite(struct erofs_vfile *vf, const void *buf, u64 offset, size_t len)
{
	int r = put(out_of(vf), buf, offset, len);

	return r < 0 ? r : (ssize_t)len;
}

static int op_fallocate(struct erofs_vfile *vf, u64 offset, size_t len, bool pad)
{
	(void)pad;
	return put(out_of(vf), NULL, offset, len);
}

static ssize_t op_pread(struct erofs_vfile *vf, void *buf, u64 offset, size_t len)
{
	struct bootstrap_out *o = out_of(vf);
	uint8_t *to = buf;
	size_t left = len;

	while (left) {
		size_t at = offset % WINDOW_BYTES;
		size_t n = left < WINDOW_BYTES - at ? left : WINDOW_BYTES - at;
		int r = select_window(o, offset);

		if (r < 0)
			return r;
		memcpy(to, o->window + at, n);
		to += n;
		offset += n;
		left -= n;
	}
	return (ssize_t)len;
}

static int op_ftruncate(struct erofs_vfile *vf, u64 length)
{
	struct bootstrap_out *o = out_of(vf);
	int r = flush(o);

	o->loaded = false;
	if (r == 0 && ftruncate(o->fd, (off_t)length) < 0)
		r = latch(o, -errno);
	return r;
}

static int op_fsync(struct erofs_vfile *vf)
{
	return flush(out_of(vf));
}

static int op_fstat(struct erofs_vfile *vf, struct stat *buf)
{
	return fstat(out_of(vf)->fd, buf);
}

/* Of no use to this writer: no stream, no data copied from elsewhere. */
static ssize_t op_read(struct erofs_vfile *vf, void *buf, size_t len)
{
	(void)buf, (void)len;
	return latch(out_of(vf), -EOPNOTSUPP);
}

static off_t op_lseek(struct erofs_vfile *vf, u64 offset, int whence)
{
	(void)offset, (void)whence;
	return latch(out_of(vf), -EOPNOTSUPP);
}

static int op_xcopy(struct erofs_vfile *vout, off_t pos, struct erofs_vfile *vin,
		    unsigned int len, bool noseek)
{
	(void)pos, (void)vin, (void)len, (void)noseek;
	return latch(out_of(vout), -EOPNOTSUPP);
}

struct bootstrap_out *bootstrap_out_new(int fd, struct erofs_vfile *vf, struct err *err)
{
	struct bootstrap_out *o = malloc(sizeof(*o));

	if (!o) {
		err_sys(err, ENOMEM, "bootstrap");
		return NULL;
	}
	o->ops = (struct erofs_vfops){
		.pread = op_pread, .pwrite = op_pwrite, .fsync = op_fsync,
		.fallocate = op_fallocate, .ftruncate = op_ftruncate, .read = op_read,
		.lseek = op_lseek, .fstat = op_fstat, .xcopy = op_xcopy,
	};
	o->fd = fd;
	o->error = 0;
	o->start = 0;
	o->loaded = false;
	o->dirty_lo = WINDOW_BYTES;
	o->dirty_hi = 0;
	vf->ops = &o->ops;
	return o;
}

int bootstrap_out_error(const struct bootstrap_out *o)
{
	return o->error;
}

int bootstrap_out_finish(struct bootstrap_out *o, uint64_t length, struct err *err)
{
	if (flush(o) == 0 && ftruncate(o->fd, (off_t)length) < 0)
		latch(o, -errno);
	if (o->error)
		return err_sys(err, o->error, "writing the bootstrap");
	return 0;
}

void bootstrap_out_free(struct bootstrap_out *o)
{
	free(o);
}
