/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state record: round trip, and that nothing damaged or foreign is trusted. */
#include "daemon/fill/state.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/io.h"
#include "tests/unit/tap.h"

enum { N = 5 };
static int dirfd;

static void put(const struct buf *b)
{
	int fd = openat(dirfd, FILL_STATE_NAME, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || io_write_full(fd, b->data, b->len) < 0)
		bail("cannot write the test's file");
	close(fd);
}

static bool nothing_trusted(struct err *e)
{
	uint64_t lens[N] = { 9, 9, 9, 9, 9 }, sum = 0;
	bool same = true;
	int r;

	*e = (struct err)ERR_INIT;
	r = fill_state_load(dirfd, N, lens, &same, e);
	for (int i = 0; i < N; i++)
		sum += lens[i];
	return r == 0 && !same && sum == 0;
}

static void redigest(struct buf *b)
{
	struct digest d;

	digest_of(b->data, b->len - DIGEST_BYTES, &d);
	memcpy(b->data + b->len - DIGEST_BYTES, d.sha256, DIGEST_BYTES);
}

int main(void)
{
	char dir[] = "/tmp/state_test.XXXXXX";
	uint64_t lens[N] = { 0, 4096, 1 << 20, 4097, UINT64_C(5) << 32 }, got[N];
	struct err e = ERR_INIT;
	struct buf b = { 0 };
	bool same = false;
	int missed = 0;

	if (!mkdtemp(dir) || (dirfd = open(dir, O_RDONLY | O_DIRECTORY)) < 0)
		bail("no temporary directory");
	ok(nothing_trusted(&e) && e.num == 0, "no file: nothing is trusted, no complaint");
	is_int(fill_state_save(dirfd, N, lens, &e), 0, "saved");
	is_int(fill_state_load(dirfd, N, got, &same, &e), 1, "loaded");
	ok(same, "written in this boot");
	ok(got[0] == 0 && got[1] == 4096 && got[2] == 1 << 20 && got[4] == lens[4], "as saved");
	is_int(got[3], 4096, "floored to 4 KiB");

	if (io_read_file(dirfd, FILL_STATE_NAME, &b) < 0)
		bail("cannot read it back");
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] ^= 0x10;
		put(&b);
		if (!nothing_trusted(&e) || e.kind != ERR_CORRUPT)
			missed++;
		b.data[i] ^= 0x10;
	}
	is_int(missed, 0, "each of %zu single damaged bytes is noticed", b.len);
	for (size_t cut = b.len; cut-- > 0;) {
		struct buf s = { .data = b.data, .len = cut };

		put(&s);
		if (!nothing_trusted(&e) || e.kind != ERR_CORRUPT)
			missed++;
	}
	is_int(missed, 0, "each shorter file is noticed");
	put(&b);
	is_int(fill_state_load(dirfd, N - 1, got, &same, &e), 0,
	       "a record of another number of segments is not used");

	b.data[16] = b.data[16] == 'a' ? 'b' : 'a';
	redigest(&b);
	put(&b);
	is_int(fill_state_load(dirfd, N, got, &same, &e), 1, "a record of another boot is loaded");
	ok(!same && got[2] == 1 << 20, "and says so");
	is_int(fill_state_save(dirfd, 0, NULL, &e), 0, "a layer without segments");
	is_int(fill_state_load(dirfd, 0, got, &same, &e), 1, "has a state too");

	unlinkat(dirfd, FILL_STATE_NAME, 0);
	rmdir(dir);
	buf_done(&b);
	return tap_done();
}
