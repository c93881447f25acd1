/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ztoc.c - `lazyerofs ztoc ...`: the group's table of commands, and what they share. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "cli/ztoc_common.h"
#include "ztoc/accepted.h"

#define MAX_ZTOC_BYTES 0x7fffffffu	/* a FlatBuffers buffer cannot be larger */

static const struct cli_command commands[] = {
	{ "build", "make the zTOC of a layer, as soci does", cmd_ztoc_build },
	{ "info", "print what a zTOC says about its layer, and the spans", cmd_ztoc_info },
	{ "list", "list the files, or the zTOCs of an image", cmd_ztoc_list },
	{ "get-file", "extract one file of a layer", cmd_ztoc_get_file },
	{ "verify", "check a local copy of the layer against the zTOC", cmd_ztoc_verify },
	{ NULL, NULL, NULL },
};

int cmd_ztoc(int argc, char **argv)
{
	return cli_dispatch("lazyerofs ztoc", commands, NULL, argc, argv);
}

int ztoc_file_open(struct ztoc_file *f, const char *path, struct err *err)
{
	int r = cli_read_file(path, MAX_ZTOC_BYTES, &f->bytes, err);

	if (r < 0)
		return r;
	r = ztoc_open(f->bytes.data, f->bytes.len, &f->ztoc, err);
	return r < 0 ? err_prefix(err, "%s", path) : 0;
}

void ztoc_file_done(struct ztoc_file *f)
{
	ztoc_free(TAKE_PTR(f->ztoc));
	buf_done(&f->bytes);
}

int ztoc_layer_open(const struct ztoc *z, const char *path, int *ret_fd, struct err *err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct extract x = { .ztoc = z, .layer_fd = fd };
	int r;

	if (fd < 0)
		return err_sys(err, errno, "cannot open %s", path);
	r = extract_check_layer(&x, err);
	if (r < 0)
		return err_prefix(err, "%s", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static const struct accepted_word {
	unsigned int flag;
	const char *word;
} accepted_words[] = {
	{ ZTOC_ACCEPTED_GLOBAL_PAX, "global PAX headers" },
	{ ZTOC_ACCEPTED_CONTIGUOUS, "contiguous files" },
	{ ZTOC_ACCEPTED_JUNK, "junk after the gzip data" },
	{ ZTOC_ACCEPTED_GZIP_NAME, "a long name in a gzip header" },
};

#define N_ACCEPTED_WORDS (sizeof(accepted_words) / sizeof(accepted_words[0]))

void ztoc_warn_accepted(const char *layer, unsigned int accepted)
{
	for (size_t i = 0; i < N_ACCEPTED_WORDS; i++)
		if (accepted & accepted_words[i].flag)
			cli_warn("%s: has %s, which soci refuses (--strict does, too)", layer,
				 accepted_words[i].word);
}

json_t *ztoc_accepted_json(unsigned int accepted)
{
	json_t *list = json_array();

	for (size_t i = 0; i < N_ACCEPTED_WORDS; i++)
		if (accepted & accepted_words[i].flag)
			json_array_append_new(list, json_string(accepted_words[i].word));
	return list;
}

const char *ztoc_type_word(enum ztoc_type type)
{
	static const char *const words[] = { "reg",  "hardlink", "symlink", "dir",
					     "char", "block",	 "fifo" };

	return words[type];
}

const char *ztoc_compression_word(enum ztoc_compression compression)
{
	return compression == ZTOC_GZIP ? "gzip" : "uncompressed";
}

void ztoc_entry_spans(const struct ztoc *z, const struct ztoc_entry *e, uint32_t *ret_first,
		      uint32_t *ret_last)
{
	uint64_t last = e->offset + (e->size ? e->size - 1 : 0);

	*ret_first = ztoc_span_find(z, e->offset);
	*ret_last = ztoc_span_find(z, last);
}
