/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bootstrap_test.c - what liberofs would take and get wrong is refused; what is at the edge
 * is written; the same input gives the same bytes.
 *
 * Each write happens in a child: liberofs is made for one run per process (and leaks).
 */
#include "mkfs/bootstrap.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image_make.h"

#define SB 1024			/* superblock */
#define MAX_LAYERS 3

struct outcome {		/* shared with the child */
	int r;
	struct err err;
	struct bootstrap_info info;
};

static struct outcome *out;
static int image_fd;

static uint32_t image_u32(uint64_t off)
{
	uint8_t b[4] = { 0 };

	if (pread(image_fd, b, 4, (off_t)off) != 4)
		return 0xdeadbeef;
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void write_layers(const struct mk_entry *const *entries, uint64_t span_bytes,
			 enum bootstrap_kind kind)
{
	const struct layer_map *maps[MAX_LAYERS];
	struct mk_layer l[MAX_LAYERS];
	struct tree *t;
	uint32_t n = 0;

	tree_new(&t, NULL);
	for (; entries[n]; n++) {
		mk_layer(&l[n], entries[n], span_bytes);
		maps[n] = l[n].map;
		out->r = tree_add_layer(t, n, l[n].ztoc, maps[n], &out->err);
		if (out->r < 0)
			return;
	}
	out->r = bootstrap_write(t, maps, n, kind, image_fd, &out->info, &out->err);
}

static int write_image(const struct mk_entry *const *layers, uint64_t span_bytes,
		       enum bootstrap_kind kind)
{
	int status;
	pid_t pid;

	memset(out, 0, sizeof(*out));
	if (ftruncate(image_fd, 0) < 0)
		bail("ftruncate");
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		write_layers(layers, span_bytes, kind);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (status != 0)
		bail("the writer died (%d)", status);
	return out->r;
}

static int write_one(const struct mk_entry *entries)
{
	const struct mk_entry *const layers[] = { entries, NULL };

	return write_image(layers, 4 << 20, BOOTSTRAP_FANOTIFY);
}

static void refused(const char *what, struct mk_entry e, const char *text)
{
	const struct mk_entry list[] = { e, { 0 } };
	int r = write_one(list);

	ok(r < 0 && strstr(out->err.text, text), "refused: %s (%s)", what, out->err.text);
}

static void accepted(const char *what, struct mk_entry e)
{
	const struct mk_entry list[] = { e, { 0 } };
	int r = write_one(list);

	ok(r == 0 && image_u32(SB) == 0xe0f5e1e2 && out->info.inodes == 2,
	   "accepted: %s %s", what, out->err.text);
}

static void test_symlinks(void)
{
	static char max[4096], over[4097];

	memset(max, 'x', 4095);
	memset(over, 'x', 4096);
	refused("an empty symlink", (struct mk_entry){ "s", ZTOC_SYMLINK, .link = "" }, "symlink");
	refused("a symlink of 4096 bytes",
		(struct mk_entry){ "s", ZTOC_SYMLINK, .link = over }, "symlink");
	accepted("a symlink of 4095 bytes", (struct mk_entry){ "s", ZTOC_SYMLINK, .link = max });
}

static void test_devices(void)
{
	accepted("device 4095:1048575",
		 (struct mk_entry){ "c", ZTOC_CHAR, .major = 4095, .minor = 1048575 });
	refused("device 4096:0", (struct mk_entry){ "c", ZTOC_CHAR, .major = 4096 }, "device");
	refused("device 0:1048576",
		(struct mk_entry){ "b", ZTOC_BLOCK, .minor = 1048576 }, "device");
}

static void test_xattrs(void)
{
	static char big[65536];
	const struct mk_xattr max[] = { { "SCHILY.xattr.user.a", big, 65535 }, { 0 } };
	const struct mk_xattr over[] = { { "SCHILY.xattr.user.a", big, 65536 }, { 0 } };
	const struct mk_xattr total[] = {
		{ "SCHILY.xattr.user.a", big, 65535 }, { "SCHILY.xattr.user.b", big, 65535 },
		{ "SCHILY.xattr.user.c", big, 65535 }, { "SCHILY.xattr.user.d", big, 65535 },
		{ 0 } };
	/* 12 + 4 + 1 + n, rounded up to four, is 65536 for this n. */
	const struct mk_xattr unlucky[] = { { "SCHILY.xattr.user.a", big, 65536 - 17 }, { 0 } };
	const struct mk_xattr twice[] = {
		{ "SCHILY.xattr.user.a%3Db", "1" }, { "SCHILY.xattr.user.a=b", "2" }, { 0 } };

	accepted("an xattr of 65535 bytes", (struct mk_entry){ "f", .xattrs = max });
	refused("an xattr of 65536 bytes", (struct mk_entry){ "f", .xattrs = over }, "65535");
	refused("xattrs of 256 KiB in all", (struct mk_entry){ "f", .xattrs = total }, "256 KiB");
	refused("xattrs that liberofs would lose", (struct mk_entry){ "f", .xattrs = unlucky },
		"64 KiB");
	accepted("one name in two spellings", (struct mk_entry){ "f", .xattrs = twice });
}

static void test_devices_needed(void)
{
	static struct mk_entry many[70002];
	const struct mk_entry *const layers[] = { many, NULL };

	mk_compression = ZTOC_UNCOMPRESSED;
	for (int i = 0; i < 70000; i++)
		many[i] = (struct mk_entry){ .name = "f", .size = 4200000 };
	write_image(layers, 4200000, BOOTSTRAP_FANOTIFY);
	ok(out->r < 0 && out->err.kind == ERR_UNSUPPORTED && strstr(out->err.text, "65535"),
	   "refused: too many segments (%s)", out->err.text);
	is_int(write_image(layers, 4200000, BOOTSTRAP_CACHEFILES), 0,
	       "one device per layer under cachefiles");
	is_int(out->info.devices, 1, "one");
	many[60000].name = NULL;
	is_int(write_image(layers, 4200000, BOOTSTRAP_FANOTIFY), 0, "60,000 segments: %s",
	       out->err.text);
	ok(out->info.devices >= 59000, "%u devices", out->info.devices);
	is_int(image_u32(SB + 86) & 0xffff, out->info.devices, "in the superblock");
	is_int(image_u32(SB + 88) & 0xffff, 32, "a large table starts at the second block");
	mk_compression = ZTOC_GZIP;
}

static void test_device_table(void)
{
	const struct mk_entry a[] = { { "a", .size = 9 << 20 }, { 0 } };
	const struct mk_entry none[] = { { "d", ZTOC_DIR }, { 0 } };
	const struct mk_entry b[] = { { "b", .size = 5000 }, { 0 } };
	const struct mk_entry *const layers[] = { a, none, b, NULL };
	char tag[65] = "", id[DIGEST_HEX_LEN + 1];
	struct mk_layer l;

	is_int(write_image(layers, 4 << 20, BOOTSTRAP_FANOTIFY), 0, "three layers");
	is_int(out->info.devices, 4, "three segments, none, one");
	is_int(image_u32(1152 + 64), (4 << 20) / 4096, "blocks of segment 0");
	is_int(image_u32(1152 + 3 * 128 + 64), 2, "blocks of the last");
	is_int(image_u32(1152), 0, "no tags");
	is_int(write_image(layers, 4 << 20, BOOTSTRAP_CACHEFILES), 0, "for cachefiles");
	is_int(out->info.devices, 2, "layers without data have no device");
	is_int(image_u32(1152 + 64), (9 << 20) / 4096, "blocks of layer 1");
	mk_layer(&l, b, 4 << 20);
	layer_blob_id(&l.digest, id);
	if (pread(image_fd, tag, 64, 1152 + 128) != 64)
		bail("pread");
	is_str(tag, id, "tags are blob IDs");
	mk_done(&l);
}

static void test_deterministic(void)
{
	const struct mk_entry a[] = { { "d/b" }, { "d/a", .size = 5 }, { "c" }, { 0 } };
	const struct mk_entry *const layers[] = { a, NULL };
	struct buf first = BUF_INIT(0), second = BUF_INIT(0);

	for (int i = 0; i < 2; i++) {
		struct buf *b = i ? &second : &first;

		write_image(layers, 4 << 20, BOOTSTRAP_FANOTIFY);
		buf_reserve(b, out->info.bytes);
		b->len = out->info.bytes;
		if (io_pread_full(image_fd, b->data, b->len, 0) < 0)
			bail("short image");
	}
	ok(first.len == second.len && memcmp(first.data, second.data, first.len) == 0,
	   "same input, same bytes");
	buf_done(&first);
	buf_done(&second);
}

/* A full disk is an error, whatever liberofs makes of it. */
static void test_write_error(void)
{
	static const struct mk_entry a[] = { { "a" }, { 0 } };
	int saved = image_fd, status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		const struct mk_entry *const layers[] = { a, NULL };

		/* Readable, never writable: the first flush fails. */
		if (fcntl(image_fd, F_ADD_SEALS, F_SEAL_WRITE) < 0)
			_exit(1);
		write_layers(layers, 4 << 20, BOOTSTRAP_FANOTIFY);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ok(status == 0 && out->r < 0 && out->err.kind == ERR_SYSTEM &&
		   strstr(out->err.text, "writing the bootstrap"),
	   "refused: an output that cannot be written (%s)", out->err.text);
	image_fd = saved;
}

int main(void)
{
	out = mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	image_fd = memfd_create("image", MFD_ALLOW_SEALING);
	if (out == MAP_FAILED || image_fd < 0)
		bail("memory");
	accepted("a file", (struct mk_entry){ "f", .size = 1 });
	test_symlinks();
	test_devices();
	test_xattrs();
	test_devices_needed();
	test_device_table();
	test_deterministic();
	test_write_error();
	return tap_done();
}
