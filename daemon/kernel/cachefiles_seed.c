/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cachefiles_seed.c - backing files made before the kernel asks for them; see the header.
 *
 *	volume directory   user.CacheFiles.cache = be32 0
 *	object             user.CacheFiles.cache = be64 size, be64 0, u8 type 1, u8 content 0
 *	                   file size = size rounded up to 4 KiB, holes = "ask the daemon"
 */
#include "daemon/kernel/cachefiles_seed.h"

#include <endian.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/kernel/cachefiles_proto.h"

#define XATTR_NAME "user.CacheFiles.cache"
#define TYPE_DATA 1			/* CACHEFILES_COOKIE_TYPE_DATA */
#define CONTENT_NO_DATA 0		/* CACHEFILES_CONTENT_NO_DATA */
#define CONTENT_DIRTY 5			/* CACHEFILES_CONTENT_DIRTY */
#define COPY_BYTES (1u << 20)

struct object_xattr {
	uint64_t object_size_be, zero_point_be;
	uint8_t type, content;
} __attribute__((packed));

static int directory_make(int dirfd, const char *path, bool volume)
{
	static const uint8_t reserved[4];
	cleanup_close int fd = -1;

	if (mkdirat(dirfd, path, 0700) && errno != EEXIST)
		return -errno;
	fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (volume && fgetxattr(fd, XATTR_NAME, NULL, 0) < 0 &&
	    fsetxattr(fd, XATTR_NAME, reserved, sizeof(reserved), 0))
		return -errno;
	return fsync(fd) ? -errno : 0;
}

static int directories_make(int dirfd, const struct cachefiles_path *path, struct err *err)
{
	int rc = directory_make(dirfd, "cache", false);

	if (rc == 0)
		rc = directory_make(dirfd, path->volume, true);
	if (rc == 0)
		rc = directory_make(dirfd, path->fan, false);
	return rc < 0 ? err_sys(err, -rc, "cannot make %s", path->fan) : 0;
}

static int directory_sync(int dirfd, const char *path)
{
	cleanup_close int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? -errno : 0;
}

/* What cachefiles_check_auxdata() would say, and a size that needs no adjusting. */
static bool object_is_adoptable(int fd, uint64_t size)
{
	struct object_xattr attr;
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
	       (uint64_t)st.st_size == io_round_up(size, IO_BLOCK_BYTES) &&
	       fgetxattr(fd, XATTR_NAME, &attr, sizeof(attr)) == sizeof(attr) &&
	       attr.object_size_be == htobe64(size) && attr.type == TYPE_DATA &&
	       attr.content != CONTENT_DIRTY;
}

int cachefiles_seed_open(int dirfd, const struct cachefiles_path *path, uint64_t size,
			 int *ret_fd, struct err *err)
{
	cleanup_close int fd = openat(dirfd, path->object, O_RDWR | O_DIRECT | O_NOFOLLOW |
							   O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? -ENOENT :
					 err_sys(err, errno, "cannot open %s", path->object);
	if (!object_is_adoptable(fd, size))
		return err_set(err, ERR_CORRUPT, ESTALE, "%s has another size or mark than ours",
			       path->object);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* An unnamed-to-the-kernel file beside the object: right size, right mark, no data yet. */
static int temporary_make(int dirfd, const char *name, uint64_t size, int *ret_fd)
{
	struct object_xattr attr = {
		.object_size_be = htobe64(size),
		.type = TYPE_DATA,
		.content = CONTENT_NO_DATA,
	};
	cleanup_close int fd = -1;

	unlinkat(dirfd, name, 0);
	fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_DIRECT | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0 || ftruncate(fd, (off_t)io_round_up(size, IO_BLOCK_BYTES)) ||
	    fsetxattr(fd, XATTR_NAME, &attr, sizeof(attr), XATTR_CREATE))
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int temporary_install(int dirfd, const struct cachefiles_path *path,
			     const char *name, int fd)
{
	if (fsync(fd) || renameat(dirfd, name, dirfd, path->object))
		return -errno;
	return directory_sync(dirfd, path->fan);
}

static void temporary_name(const struct cachefiles_path *path, char ret[PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%s.new", path->object);
}

int cachefiles_seed_create(int dirfd, const struct cachefiles_path *path, uint64_t size,
			   int *ret_fd, struct err *err)
{
	cleanup_close int fd = -1;
	char name[PATH_MAX];
	int rc = directories_make(dirfd, path, err);

	if (rc < 0)
		return rc;
	temporary_name(path, name);
	rc = temporary_make(dirfd, name, size, &fd);
	if (rc == 0)
		rc = temporary_install(dirfd, path, name, fd);
	if (rc < 0) {
		unlinkat(dirfd, name, 0);
		return err_sys(err, -rc, "cannot create %s", path->object);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The next block-padded piece of from's size bytes into buf; its padded length, or -errno. */
static int64_t piece_read(int from, uint8_t *buf, uint64_t off, uint64_t size)
{
	uint64_t len = size - off < COPY_BYTES ? size - off : COPY_BYTES;
	uint64_t padded = io_round_up(len, IO_BLOCK_BYTES);
	int rc = io_pread_full(from, buf, len, off);

	if (rc < 0)
		return rc;
	memset(buf + len, 0, padded - len);
	return (int64_t)padded;
}

static int data_copy(int from, int to, uint8_t *buf, uint64_t size)
{
	int64_t len;
	int rc;

	for (uint64_t off = 0; off < size; off += (uint64_t)len) {
		len = piece_read(from, buf, off, size);
		if (len < 0)
			return (int)len;
		rc = cachefiles_write(to, buf, (uint64_t)len, off);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Same bytes, and no hole among them: a hole would be asked for. */
static bool data_is_same(int from, int to, uint8_t *buf, uint8_t *other, uint64_t size)
{
	uint64_t end = io_round_up(size, IO_BLOCK_BYTES);
	int64_t len;

	if (lseek(to, 0, SEEK_HOLE) != (off_t)end)
		return false;
	for (uint64_t off = 0; off < size; off += (uint64_t)len) {
		len = piece_read(from, buf, off, size);
		if (len < 0 || io_pread_full(to, other, (size_t)len, off) < 0 ||
		    memcmp(buf, other, (size_t)len) != 0)
			return false;
	}
	return true;
}

int cachefiles_seed_copy(int dirfd, const struct cachefiles_path *path, int fd,
			 uint64_t size, struct err *err)
{
	cleanup_close int to = -1;
	cleanup_free void *buf = NULL;
	uint8_t *second;
	char name[PATH_MAX];
	int rc;

	if (posix_memalign(&buf, IO_BLOCK_BYTES, 2 * COPY_BYTES))
		return err_sys(err, ENOMEM, "bootstrap copy");
	second = (uint8_t *)buf + COPY_BYTES;
	if (cachefiles_seed_open(dirfd, path, size, &to, NULL) == 0 &&
	    data_is_same(fd, to, buf, second, size))
		return 0;
	if (to >= 0)
		close(TAKE_FD(to));
	rc = directories_make(dirfd, path, err);
	if (rc < 0)
		return rc;
	temporary_name(path, name);
	rc = temporary_make(dirfd, name, size, &to);
	if (rc == 0)
		rc = data_copy(fd, to, buf, size);
	if (rc == 0)
		rc = temporary_install(dirfd, path, name, to);
	if (rc < 0) {
		unlinkat(dirfd, name, 0);
		return err_sys(err, -rc, "cannot seed %s", path->object);
	}
	return 0;
}
