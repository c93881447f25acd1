/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_main.c - runs a fuzz harness once over each file of its corpus, without libFuzzer.
 *
 * With arguments: these files. Without: SRCDIR/tests/fuzz/corpus/NAME, where NAME is the
 * program's name less "fuzz_". TAP: one line per file; a crash is the failure.
 */
#include "tests/unit/tap.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "tests/fuzz/fuzz.h"

static void replay(const char *path)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	uint8_t *copy;

	if (io_read_file(AT_FDCWD, path, &b) < 0)
		bail("cannot read %s", path);
	copy = malloc(b.len ? b.len : 1);	/* its own size, for the sanitizers */
	if (b.len)
		memcpy(copy, b.data, b.len);
	LLVMFuzzerTestOneInput(copy, b.len);
	free(copy);
	ok(true, "%s", strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
}

static int is_file(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static int replay_corpus(const char *name)
{
	char dir[4096], path[8192];
	struct dirent **list;
	int n;

	snprintf(dir, sizeof(dir), "%s/%s", tap_src("tests/fuzz/corpus"), name);
	n = scandir(dir, &list, is_file, alphasort);
	if (n <= 0)
		bail("no corpus in %s", dir);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		replay(path);
		free(list[i]);
	}
	free(list);
	return tap_done();
}

int main(int argc, char **argv)
{
	const char *base = strrchr(argv[0], '/');
	const char *name = strstr(base ? base : argv[0], "fuzz_");

	if (argc == 1)
		return name ? replay_corpus(name + strlen("fuzz_")) : 99;
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	return tap_done();
}
