/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc_synth.c - ztoc_synth ENTRIES FILE: the zTOC of a layer that never was.
 *
 * ENTRIES directories, files, symlinks and hardlinks in the proportions of a root file
 * system, 5 KiB per file, spans of 4 MiB. There are no bytes behind it: good for measuring
 * what reads zTOCs, useless for what reads layers.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/io.h"
#include "ztoc/write.h"

#define FILES_PER_DIR 40u
#define DIRS_PER_DIR 25u
#define SPAN_BYTES (4u << 20)

static void check(int r, const struct err *err)
{
	if (r < 0) {
		fprintf(stderr, "ztoc_synth: %s\n", err->text);
		exit(1);
	}
}

static struct ztoc_str str(const char *s)
{
	return (struct ztoc_str){ s, (uint32_t)strlen(s) };
}

static int dir_name(char *buf, size_t size, uint64_t dir)
{
	int n = 0;

	if (dir == 0)
		return snprintf(buf, size, "usr/");
	n = dir_name(buf, size, (dir - 1) / DIRS_PER_DIR);
	return n + snprintf(buf + n, size - (size_t)n, "package-%llu/", (unsigned long long)dir);
}

/* Entry i: a directory first, then its files; the tar offset moves on. */
static void add_entry(struct ztoc_model *m, uint64_t i, uint64_t *tar_off, struct err *err)
{
	uint64_t dir = i / FILES_PER_DIR, k = i % FILES_PER_DIR;
	char name[512], target[512], time[64];
	struct ztoc_xattr cap = { str("SCHILY.xattr.user.note"), str("made by ztoc_synth") };
	struct ztoc_model_entry e = { .type = ZTOC_REG, .mode = 0644, .uname = str("root"),
				      .gname = str("root") };
	int n = dir_name(name, sizeof(name), dir);

	snprintf(time, sizeof(time), "2024-03-01T12:%02u:%02u.123456789Z",
		 (unsigned int)(i / 60 % 60), (unsigned int)(i % 60));
	e.mod_time = str(time);
	e.linkname = str("");
	*tar_off += 512;
	e.offset = *tar_off;
	if (k == 0) {
		e.type = ZTOC_DIR;
		e.mode = 0755;
	} else {
		snprintf(name + n, sizeof(name) - (size_t)n, "library-file-%llu.so",
			 (unsigned long long)k);
	}
	if (k == 5) {
		e.type = ZTOC_SYMLINK;
		e.linkname = str("library-file-1.so");
	} else if (k == 6) {
		memcpy(target, name, (size_t)n);
		strcpy(target + n, "library-file-2.so");
		e.type = ZTOC_HARDLINK;
		e.linkname = str(target);
	} else if (k > 0) {
		e.size = (int64_t)(1 + i * 2654435761u % 10240);
		*tar_off += io_round_up((uint64_t)e.size, 512);
	}
	if (k == 7) {
		e.records = &cap;
		e.nrecords = 1;
	}
	e.name = str(name);
	check(ztoc_model_add_entry(m, &e, err), err);
}

static void add_spans(struct ztoc_model *m, uint64_t tar_bytes, struct err *err)
{
	static uint8_t window[ZTOC_WINDOW_BYTES];
	struct digest d;
	uint64_t n = 0;

	digest_of("", 0, &d);
	for (uint64_t out = 0; out < tar_bytes; out += SPAN_BYTES, n++) {
		check(ztoc_model_add_point(m, 10 + out / 2, out, 0, window, err), err);
		check(ztoc_model_add_digest(m, &d, err), err);
	}
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct ztoc_model m;
	uint64_t n, tar_off = 0;
	uint8_t *bytes;
	size_t len;

	if (argc != 3) {
		fprintf(stderr, "usage: ztoc_synth ENTRIES FILE\n");
		return 2;
	}
	n = strtoull(argv[1], NULL, 10);
	ztoc_model_init(&m, 2ull << 30);
	m.build_tool = "ztoc_synth";
	m.compression = ZTOC_GZIP;
	m.span_size = SPAN_BYTES;
	for (uint64_t i = 0; i < n; i++)
		add_entry(&m, i, &tar_off, &err);
	m.out_size = tar_off + 1024;
	m.comp_size = 10 + m.out_size / 2 + SPAN_BYTES;
	add_spans(&m, m.out_size, &err);
	check(ztoc_model_write(&m, &bytes, &len, &err), &err);
	if (io_write_file_atomic(AT_FDCWD, argv[2], bytes, len, 0644) < 0) {
		perror(argv[2]);
		return 1;
	}
	printf("%llu entries, %zu bytes\n", (unsigned long long)n, len);
	free(bytes);
	ztoc_model_done(&m);
	return 0;
}
