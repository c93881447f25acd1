/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cachefiles_test.c - what of the cachefiles transport needs no kernel: object paths,
 * messages, kernel floor, data files and what of them is trusted when opened again.
 */
#include "tests/unit/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/io.h"
#include "daemon/kernel/cachefiles_path.h"
#include "daemon/kernel/cachefiles_priv.h"
#include "daemon/kernel/cachefiles_proto.h"
#include "daemon/kernel/cachefiles_seed.h"

static void test_path(void)
{
	/* Paths made by kernels 6.1.192 and 6.12.117. */
	static const struct {
		const char *volume, *cookie, *want;
	} seen[] = {
		{ "erofs,single.erofs", "single.erofs",
		  "cache/Ierofs,single.erofs/@f3/Dsingle.erofs" },
		{ "erofs,chunk1.erofs", "chunk1.erofs",
		  "cache/Ierofs,chunk1.erofs/@80/Dchunk1.erofs" },
		{ "erofs,dom1", "b19", "cache/Ierofs,dom1/@6e/Db19" },
		{ "erofs,h15.erofs", "b15", "cache/Ierofs,h15.erofs/@80/Db15" },
		{ "erofs,dom1", "flat19.erofs", "cache/Ierofs,dom1/@a1/Dflat19.erofs" },
	};
	struct cachefiles_path path;
	char key[CACHEFILES_KEY_MAX + 2];

	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
		cachefiles_path_make(seen[i].volume, seen[i].cookie, &path);
		is_str(path.object, seen[i].want, "the kernel's own path of %s", seen[i].cookie);
	}
	is_int(cachefiles_path_make("erofs,d", "a/b", &path), -EINVAL, "a slash is refused");
	is_int(cachefiles_path_make("erofs,d", "\xc3\xa9", &path), -EINVAL, "and high bytes");
	is_int(cachefiles_path_make("erofs,d", "", &path), -EINVAL, "and nothing at all");
	memset(key, 'k', sizeof(key));
	key[CACHEFILES_KEY_MAX + 1] = '\0';
	is_int(cachefiles_path_make("erofs,d", key, &path), -EINVAL, "253 bytes are too many");
	key[CACHEFILES_KEY_MAX] = '\0';
	is_int(cachefiles_path_make("erofs,d", key, &path), 0, "252 are not");
}

static size_t open_message(uint8_t *buf, uint32_t volume_len, uint32_t cookie_len, int32_t more)
{
	struct cachefiles_msg msg = { .msg_id = 7, .opcode = CACHEFILES_OP_OPEN, .object_id = 9 };
	struct cachefiles_open open = { .volume_key_size = volume_len,
					.cookie_key_size = cookie_len, .fd = 1234567 };

	msg.len = (uint32_t)((int32_t)(sizeof(msg) + sizeof(open)) + 8 + 3 + more);
	memcpy(buf, &msg, sizeof(msg));
	memcpy(buf + sizeof(msg), &open, sizeof(open));
	memcpy(buf + sizeof(msg) + sizeof(open), "erofs,d\0abc", 11);
	return msg.len;
}

static void test_messages(void)
{
	uint8_t buf[CACHEFILES_MSG_MAX_SIZE] = { 0 };
	struct cachefiles_msg msg = { .opcode = CACHEFILES_OP_READ };
	struct cachefiles_read rd = { .off = 4096, .len = 8192 };
	struct cachefiles_request req;
	size_t n = open_message(buf, 8, 3, 0);

	is_int(cachefiles_request_parse(buf, n, &req), 0, "an OPEN parses");
	ok(cachefiles_key_is(&req, "erofs,d", "abc"), "to its keys");
	ok(!cachefiles_key_is(&req, "erofs,d", "ab") && !cachefiles_key_is(&req, "erofs", "abc"),
	   "and no others");
	ok(req.fd == 1234567 && req.msg_id == 7 && req.object_id == 9, "and its numbers");
	is_int(cachefiles_request_parse(buf, n - 1, &req), -EPROTO, "a short one is refused");
	is_int(cachefiles_request_parse(buf, open_message(buf, 8, 4, 0), &req), -EPROTO,
	       "a key beyond the end is refused");
	is_int(req.fd, 1234567, "with its descriptor known, to be closed");
	is_int(cachefiles_request_parse(buf, open_message(buf, 0xffffffff, 3, 0), &req), -EPROTO,
	       "a huge key length is refused");
	is_int(cachefiles_request_parse(buf, open_message(buf, 7, 4, 0), &req), -EPROTO,
	       "a volume key without its NUL is refused");
	is_int(cachefiles_request_parse(buf, open_message(buf, 8, 0, -3), &req), -EPROTO,
	       "an empty cookie key is refused");

	msg.len = sizeof(msg) + sizeof(rd);
	memcpy(buf, &msg, sizeof(msg));
	memcpy(buf + sizeof(msg), &rd, sizeof(rd));
	is_int(cachefiles_request_parse(buf, msg.len, &req), 0, "a READ parses");
	ok(req.off == 4096 && req.len == 8192, "to its range");
	rd.len = UINT64_MAX - 100;
	memcpy(buf + sizeof(msg), &rd, sizeof(rd));
	is_int(cachefiles_request_parse(buf, msg.len, &req), -EPROTO, "an overflowing one does not");
	msg.opcode = 3;
	memcpy(buf, &msg, sizeof(msg));
	is_int(cachefiles_request_parse(buf, msg.len, &req), -EPROTO, "nor an unknown opcode");
}

static void test_kernels(void)
{
	static const struct {
		const char *release, *version;
		bool good;
	} kernels[] = {
		{ "6.12.2", "#1", true },	   { "6.12.1", "#1", false },
		{ "6.12.117", "#1", true },	   { "6.1.129", "#1", true },
		{ "6.1.128", "#1", false },	   { "6.6.78-custom", "#1", true },
		{ "6.6.77", "#1", false },	   { "5.19.17", "#1", false },
		{ "6.11.11", "#1", false },	   { "7.1.9", "#1", true },
		{ "7.2.0", "#1", false },	   { "7.2-rc1", "#1", false },
		{ "6.18.44-fc-v657", "#1", true }, { "nonsense", "#1", false },
		{ "6.1.0-49-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-01)", true },
		{ "6.1.0-30-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.124-1 (2025-01-12)", false },
	};

	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
		is_int(cachefiles_kernel_check(kernels[i].release, kernels[i].version, NULL),
		       kernels[i].good ? 0 : -EOPNOTSUPP, "%s is %s", kernels[i].release,
		       kernels[i].good ? "served" : "refused");
}

/* --- data files ----------------------------------------------------------------------- */
#define SEGMENT (1u << 20)

static struct map_segment segments[3] = {
	{ .blob_off = 0, .size = SEGMENT },
	{ .blob_off = SEGMENT, .size = SEGMENT },
	{ .blob_off = 2 * SEGMENT, .size = 12288 },
};
static struct layer_map map = { .blob_size = 2 * SEGMENT + 12288, .nsegments = 3,
				.segments = segments };
static struct segment present[3];
static struct layer layer = { .map = &map, .segments = present };
static struct cachefiles cache;

uint32_t layer_map_segment_find(const struct layer_map *m, uint64_t blob_off)
{
	(void)m;
	return (uint32_t)(blob_off / SEGMENT);
}

static int layer_reopen(void)
{
	memset(present, 0, sizeof(present));
	return cachefiles_layer_open(&cache.base, &layer, NULL);
}

static int segment_put(uint32_t segment, uint64_t off, uint64_t len)
{
	static uint8_t data[SEGMENT + 1];

	memset(data, 'd', sizeof(data));
	/* Not aligned, as the conductor's bytes need not be. */
	return cachefiles_segment_write(&cache.base, &layer, segment, off, data + 1, len, NULL);
}

static void test_data_file(void)
{
	struct stat st;
	int fd;

	is_int(layer_reopen(), 0, "a layer opens in an empty cache");
	is_int(layer.present_bytes, 0, "with nothing present");
	is_int(segment_put(0, 0, 8192), 0, "its first blocks are written");
	is_int(segment_put(1, 0, SEGMENT), 0, "and a whole segment");
	is_int(segment_put(2, 0, 16384), -EINVAL, "but nothing beyond a segment");
	is_int(segment_put(2, 100, 4096), -EINVAL, "nor across blocks");
	is_int(segment_put(3, 0, 4096), -EINVAL, "nor outside the blob");
	cachefiles_layer_close(&cache.base, &layer);

	is_int(layer_reopen(), 0, "opened again");
	ok(present[0].len == 8192 && present[1].len == SEGMENT && present[2].len == 0,
	   "it has just that");
	is_int(layer.present_bytes, 8192 + SEGMENT, "counted");
	fd = dup(((struct cachefiles_layer *)layer.transport_data)->fd);
	is_int(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, SEGMENT + 65536, 4096), 0,
	       "a hole comes into its file");
	cachefiles_layer_close(&cache.base, &layer);

	is_int(layer_reopen(), 0, "opened again");
	is_int(present[1].len, 65536, "the segment ends at the hole");
	cachefiles_layer_close(&cache.base, &layer);

	is_int(ftruncate(fd, SEGMENT), 0, "its file gets a size that is not the blob's");
	close(fd);
	is_int(layer_reopen(), 0, "opened again");
	is_int(layer.present_bytes, 0, "nothing of it is trusted");
	is_int(segment_put(0, 0, 4096), 0, "and it is filled anew");
	fstat(((struct cachefiles_layer *)layer.transport_data)->fd, &st);
	is_int(st.st_size, map.blob_size, "in a file of the right size");
	cachefiles_layer_close(&cache.base, &layer);

	fd = openat(cache.statefd, "feed/state", O_WRONLY | O_TRUNC);
	close(fd);
	is_int(layer_reopen(), 0, "opened without a good record");
	is_int(layer.present_bytes, 0, "nothing is trusted");
	cachefiles_layer_close(&cache.base, &layer);
}

static void test_bootstrap_seed(void)
{
	char text[10000], back[12288];
	struct cachefiles_path path;
	struct stat st, st2;
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);

	memset(text, 0, sizeof(text));	/* zeros: must not become holes */
	if (fd < 0)
		fd = memfd_create("bootstrap", 0);
	io_pwrite_full(fd, text, sizeof(text), 0);
	cachefiles_path_make("erofs,d", "image", &path);
	is_int(cachefiles_seed_copy(cache.dirfd, &path, fd, sizeof(text), NULL), 0,
	       "a bootstrap is copied");
	fstatat(cache.dirfd, path.object, &st, 0);
	is_int(st.st_size, 12288, "padded to whole blocks");
	is_int(cachefiles_seed_copy(cache.dirfd, &path, fd, sizeof(text), NULL), 0, "again");
	fstatat(cache.dirfd, path.object, &st2, 0);
	ok(st.st_ino == st2.st_ino, "the same bytes stay where they are");
	io_pwrite_full(fd, "x", 1, 5000);
	is_int(cachefiles_seed_copy(cache.dirfd, &path, fd, sizeof(text), NULL), 0, "other bytes");
	fstatat(cache.dirfd, path.object, &st2, 0);
	ok(st.st_ino != st2.st_ino, "get a new file");
	close(fd);
	fd = openat(cache.dirfd, path.object, O_RDONLY);
	is_int(io_pread_full(fd, back, sizeof(back), 0), 0, "which reads back");
	ok(back[5000] == 'x' && back[4999] == 0 && back[12287] == 0, "right");
	is_int(lseek(fd, 0, SEEK_HOLE), 12288, "and has no hole to ask for");
	close(fd);
}

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* The file system of the test must carry what the cache needs. */
static bool place_is_fit(int dirfd)
{
	int fd = openat(dirfd, "probe", O_RDWR | O_CREAT | O_DIRECT, 0600);
	bool fit = fd >= 0 && fsetxattr(fd, "user.probe", "1", 1, 0) == 0 &&
		   ftruncate(fd, 8192) == 0 && lseek(fd, 0, SEEK_HOLE) == 0;

	if (fd >= 0)
		close(fd);
	unlinkat(dirfd, "probe", 0);
	return fit;
}

int main(void)
{
	char dir[] = "cachefiles_test.XXXXXX";

	test_path();
	test_messages();
	test_kernels();
	if (!mkdtemp(dir))
		bail("mkdtemp");
	cache.dirfd = open(dir, O_RDONLY | O_DIRECTORY);
	mkdirat(cache.dirfd, "state", 0700);
	cache.statefd = openat(cache.dirfd, "state", O_RDONLY | O_DIRECTORY);
	cache.seeding = true;
	pthread_mutex_init(&cache.lock, NULL);
	list_init(&cache.objects);
	list_init(&cache.layers);
	list_init(&cache.images);
	strcpy(cache.volume_key, "erofs,d");
	strcpy(layer.blob_id, "feed");
	if (place_is_fit(cache.dirfd)) {
		test_data_file();
		test_bootstrap_seed();
	} else {
		printf("ok %d - data files # SKIP no O_DIRECT, user xattrs or holes here\n",
		       ++tap_count);
	}
	nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
	return tap_done();
}
