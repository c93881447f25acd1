/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cachefiles_selftest.c - prove the promises of this kernel before anything is mounted.
 *
 * A three-block EROFS image, made here, is mounted by a thread in a mount namespace of its
 * own, while this thread plays the daemon:
 *
 *	block 0   superblock, root directory, inode of "probe"; seeded
 *	block 1   first block of probe: a hole, filled when asked for
 *	block 2   second block: a hole, completed without data
 *
 * proved                                        | else
 * a READ is delivered, and answered with data   | this kernel is not served
 * a completion without data is EIO, not zeros   | this kernel is not served
 * block 0 is not asked for, block 1 lands in    | no seeding: data files are the kernel's,
 * the file that was made beforehand             | bootstraps are served by READ
 *
 * Main thread; the device is bound and fresh, nothing else is mounted from it.
 */
#include <endian.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/kernel/cachefiles_priv.h"
#include "daemon/kernel/cachefiles_seed.h"
#include "daemon/log.h"

#define PROBE_ID "lazyerofs-selftest"
#define BLOCK IO_BLOCK_BYTES
#define IMAGE_BYTES (3 * (uint64_t)BLOCK)
#define TIMEOUT_MS 10000
#define RESULT_NAME "selftest"

struct probe {
	struct cachefiles *t;
	struct cachefiles_path path;
	char dir[4096], opts[2 * CACHEFILES_KEY_MAX + 32];
	uint8_t *image;			/* IMAGE_BYTES, aligned */
	int fd;				/* the anonymous descriptor, -1: none */
	bool metadata_read, closed;
	/* the reader's findings */
	atomic_bool done;
	int mount_num, first_num, second_num, umount_num;
	bool first_same;
};

static void put16(uint8_t *p, uint16_t value)
{
	value = htole16(value);
	memcpy(p, &value, sizeof(value));
}

static void put32(uint8_t *p, uint32_t value)
{
	value = htole32(value);
	memcpy(p, &value, sizeof(value));
}

static void dirent_put(uint8_t *dir, unsigned index, uint64_t nid, unsigned nameoff,
		       unsigned type, const char *name)
{
	uint8_t *p = dir + 12 * index;

	put32(p, (uint32_t)nid);
	put16(p + 8, (uint16_t)nameoff);
	p[10] = (uint8_t)type;
	memcpy(dir + nameoff, name, strlen(name));
}

/* struct erofs_inode_compact: format, mode, links, size, first block, inode number */
static void inode_put(uint8_t *p, unsigned format, unsigned mode, unsigned nlink,
		      uint32_t size, uint32_t block, uint32_t ino)
{
	put16(p, (uint16_t)format);
	put16(p + 4, (uint16_t)mode);
	put16(p + 6, (uint16_t)nlink);
	put32(p + 8, size);
	put32(p + 16, block);
	put32(p + 20, ino);
}

/* Layout: fs/erofs/erofs_fs.h; inode number n is at 32 * n. */
static void image_make(uint8_t *image)
{
	const unsigned root = 40, file = 44;
	uint8_t *sb = image + 1024, *dir = image + root * 32 + 32;

	memset(image, 0, IMAGE_BYTES);
	put32(sb, 0xE0F5E1E2u);			/* magic */
	sb[12] = 12;				/* block size bits */
	put16(sb + 14, root);
	put32(sb + 16, 2);			/* inodes */
	put32(sb + 36, IMAGE_BYTES / BLOCK);
	inode_put(image + root * 32, 2 << 1, S_IFDIR | 0755, 2, 44, 0, 1);	/* inline */
	dirent_put(dir, 0, root, 36, 2, ".");
	dirent_put(dir, 1, root, 37, 2, "..");
	dirent_put(dir, 2, file, 39, 1, "probe");
	inode_put(image + file * 32, 0, S_IFREG | 0444, 1, 2 * BLOCK, 1, 2);	/* plain */
	for (unsigned i = 0; i < 2 * BLOCK; i++)
		image[BLOCK + i] = (uint8_t)(i * 131 + i / 251 + 1);
}

static void probe_read(struct probe *p)
{
	uint8_t buf[BLOCK];
	char name[4200];
	int fd;

	snprintf(name, sizeof(name), "%s/probe", p->dir);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		p->first_num = p->second_num = errno;
		return;
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	p->first_num = -io_pread_full(fd, buf, BLOCK, 0);
	p->first_same = p->first_num == 0 && memcmp(buf, p->image + BLOCK, BLOCK) == 0;
	p->second_num = pread(fd, buf, BLOCK, BLOCK) < 0 ? errno : 0;
	close(fd);
}

static void *reader_run(void *arg)
{
	struct probe *p = arg;

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(PROBE_ID, p->dir, "erofs", MS_RDONLY, p->opts)) {
		p->mount_num = errno;
	} else {
		probe_read(p);
		p->umount_num = umount(p->dir) ? errno : 0;
	}
	atomic_store(&p->done, true);
	return NULL;
}

static void serve_open(struct probe *p, const struct cachefiles_request *req)
{
	if (cachefiles_key_is(req, p->t->volume_key, PROBE_ID) && p->fd < 0 &&
	    cachefiles_copen(p->t->devfd, req->msg_id, (int64_t)IMAGE_BYTES) == 0) {
		p->fd = req->fd;
		p->closed = false;
		return;
	}
	cachefiles_copen(p->t->devfd, req->msg_id, -ENOENT);
	close(req->fd);
}

/* Blocks 0 and 1 get their data, block 2 never. */
static void serve_read(struct probe *p, const struct cachefiles_request *req)
{
	if (p->fd < 0)
		return;
	if (req->off < BLOCK) {
		p->metadata_read = true;
		cachefiles_write(p->fd, p->image, BLOCK, 0);
	}
	if (req->off <= BLOCK && req->len > BLOCK - req->off)
		cachefiles_write(p->fd, p->image + BLOCK, BLOCK, BLOCK);
	cachefiles_read_complete(p->fd, req->msg_id);
}

static void serve_one(struct probe *p, const struct cachefiles_request *req)
{
	if (req->opcode == CACHEFILES_OP_OPEN)
		serve_open(p, req);
	else if (req->opcode == CACHEFILES_OP_READ)
		serve_read(p, req);
	else if (p->fd >= 0) {
		close(TAKE_FD(p->fd));
		p->closed = true;
	}
}

/* Until the reader is done and the kernel has closed the object; -ETIMEDOUT. */
static int serve(struct probe *p)
{
	_Alignas(8) uint8_t buf[CACHEFILES_MSG_MAX_SIZE];
	uint64_t deadline = io_now_ms() + TIMEOUT_MS;
	struct pollfd pfd = { .fd = p->t->devfd, .events = POLLIN };
	struct cachefiles_request req;
	int rc;

	while (!atomic_load(&p->done) || p->fd >= 0) {
		if (io_now_ms() > deadline)
			return -ETIMEDOUT;
		poll(&pfd, 1, 10);
		while ((rc = cachefiles_request_read(p->t->devfd, buf, &req)) > 0)
			serve_one(p, &req);
		if (rc < 0 && rc != -EPROTO)
			return rc;
	}
	return 0;
}

/* Did the data of block 1 land in the file that was there before the mount? */
static bool file_was_adopted(struct probe *p, int seed)
{
	cleanup_free void *buf = NULL;
	struct stat st;

	return !p->metadata_read && fstat(seed, &st) == 0 && st.st_nlink == 1 &&
	       lseek(seed, BLOCK, SEEK_DATA) == BLOCK && lseek(seed, BLOCK, SEEK_HOLE) == 2 * BLOCK &&
	       posix_memalign(&buf, BLOCK, BLOCK) == 0 &&
	       io_pread_full(seed, buf, BLOCK, BLOCK) == 0 &&
	       memcmp(buf, p->image + BLOCK, BLOCK) == 0;
}

static int findings_judge(const struct probe *p, struct err *err)
{
	if (p->mount_num)
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "self-test: this kernel does not mount EROFS over cachefiles (%s): "
			       "CONFIG_EROFS_FS_ONDEMAND?", strerror(p->mount_num));
	if (p->first_num || !p->first_same)
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "self-test: a served block was not read back right (%s)",
			       p->first_num ? strerror(p->first_num) : "other bytes");
	if (p->second_num != EIO)
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "self-test: a block that was never served did not fail with EIO "
			       "(%s): this kernel could show wrong bytes",
			       p->second_num ? strerror(p->second_num) : "it was read");
	return 0;
}

static int probe_run(struct probe *p, bool *ret_seeding, struct err *err)
{
	cleanup_close int seed = -1;
	pthread_t reader;
	int rc;

	rc = cachefiles_seed_create(p->t->dirfd, &p->path, IMAGE_BYTES, &seed, err);
	if (rc == 0)
		rc = cachefiles_write(seed, p->image, BLOCK, 0);
	if (rc < 0)
		return err_sys(err, -rc, "self-test: cannot write to %s", p->t->dir);
	rc = pthread_create(&reader, NULL, reader_run, p);
	if (rc)
		return err_sys(err, rc, "self-test");
	rc = serve(p);
	if (rc < 0) {
		/* Whatever the reader waits for fails when the device is closed. */
		close(TAKE_FD(p->t->devfd));
		if (p->fd >= 0)
			close(TAKE_FD(p->fd));
	}
	pthread_join(reader, NULL);
	if (rc < 0)
		return err_set(err, ERR_UNSUPPORTED, -rc,
			       "self-test: no end of it within %d s (%s)", TIMEOUT_MS / 1000,
			       strerror(-rc));
	rc = findings_judge(p, err);
	if (rc == 0)
		*ret_seeding = !p->t->no_seeding && file_was_adopted(p, seed);
	return rc;
}

/* "BOOT_ID seeding\n" or "BOOT_ID plain\n" */
static int result_format(bool seeding, char *ret, size_t size)
{
	cleanup_buf struct buf b = BUF_INIT(64);
	int rc = io_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &b);

	if (rc == 0)
		snprintf(ret, size, "%.*s %s\n", (int)strcspn((char *)b.data, "\n"),
			 (char *)b.data, seeding ? "seeding" : "plain");
	return rc;
}

/* An adopted device carries others' requests: what this boot's test found still holds. */
static bool result_recall(struct cachefiles *t)
{
	cleanup_buf struct buf b = BUF_INIT(128);
	char want[128];

	return result_format(true, want, sizeof(want)) == 0 &&
	       io_read_file(t->statefd, RESULT_NAME, &b) == 0 &&
	       strcmp((char *)b.data, want) == 0;
}

static int result_record(struct cachefiles *t, bool seeding, struct err *err)
{
	char text[128];
	int rc = result_format(seeding, text, sizeof(text));

	if (rc == 0)
		rc = io_write_file_atomic(t->statefd, RESULT_NAME, text, strlen(text), 0600);
	return rc < 0 ? err_sys(err, -rc, "cannot record the self-test") : 0;
}

int cachefiles_selftest(struct cachefiles *t, bool *ret_seeding, struct err *err)
{
	struct probe p = { .t = t, .fd = -1 };
	cleanup_free void *image = NULL;
	int rc;

	if (t->adopted) {
		*ret_seeding = result_recall(t);
		return 0;
	}
	if (cachefiles_path_make(t->volume_key, PROBE_ID, &p.path) < 0)
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "domain \"%s\" is no cache key",
			       t->domain);
	if (posix_memalign(&image, BLOCK, IMAGE_BYTES))
		return err_sys(err, ENOMEM, "self-test");
	p.image = image;
	image_make(p.image);
	snprintf(p.dir, sizeof(p.dir), "%s/selftest", t->dir);
	snprintf(p.opts, sizeof(p.opts), "fsid=" PROBE_ID ",domain_id=%s", t->domain);
	if (mkdir(p.dir, 0700) && errno != EEXIST)
		return err_sys(err, errno, "cannot make %s", p.dir);
	rc = probe_run(&p, ret_seeding, err);
	unlinkat(t->dirfd, p.path.object, 0);
	rmdir(p.dir);
	return rc < 0 ? rc : result_record(t, *ret_seeding, err);
}
