/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc_common.h - what the `lazyerofs ztoc` commands share: opening, names, spans.
 */
#ifndef LZ_CLI_ZTOC_COMMON_H
#define LZ_CLI_ZTOC_COMMON_H

#include <jansson.h>

#include "base/buf.h"
#include "ztoc/extract.h"
#include "ztoc/ztoc.h"

struct ztoc_file {
	struct buf bytes;
	struct ztoc *ztoc;
};

#define ZTOC_FILE_INIT { .ztoc = NULL }

/* Read and check a zTOC file ("-" is stdin); errors name the file. */
int ztoc_file_open(struct ztoc_file *f, const char *path, struct err *err);
void ztoc_file_done(struct ztoc_file *f);

/* Open the layer and check its size; the fd is the caller's. */
int ztoc_layer_open(const struct ztoc *z, const char *path, int *ret_fd, struct err *err);

/* Of a layer that was built although soci refuses it (ZTOC_ACCEPTED_*): a warning, and words
 * for JSON; nothing, and an empty array, where accepted is 0. */
void ztoc_warn_accepted(const char *layer, unsigned int accepted);
json_t *ztoc_accepted_json(unsigned int accepted);

const char *ztoc_type_word(enum ztoc_type type);
const char *ztoc_compression_word(enum ztoc_compression compression);
/* First and last span that hold data of the entry; without data, the span of its offset. */
void ztoc_entry_spans(const struct ztoc *z, const struct ztoc_entry *e, uint32_t *ret_first,
		      uint32_t *ret_last);

int cmd_ztoc_build(int argc, char **argv);
int cmd_ztoc_info(int argc, char **argv);
int cmd_ztoc_list(int argc, char **argv);
int cmd_ztoc_get_file(int argc, char **argv);
int cmd_ztoc_verify(int argc, char **argv);

#endif
