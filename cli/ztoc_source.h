/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc_source.h - where the `lazyerofs ztoc` commands get zTOCs and layers from: a file, or
 * with --image the SOCI indexes of an image in a registry or layout.
 *
 *	struct ztoc_source src = ZTOC_SOURCE_INIT;
 *	options: ZTOC_SOURCE_OPTS(&src); cli_parse(); ztoc_source_misuse();
 *	ztoc_source_file(&src, name, &file, &err) ...
 *	ztoc_source_done()
 *
 * What comes from an image is trusted as far as digests reach: index, zTOC, spans. ^C ends
 * the work in order from the first call that goes to the image on.
 */
#ifndef LZ_CLI_ZTOC_SOURCE_H
#define LZ_CLI_ZTOC_SOURCE_H

#include <stdatomic.h>

#include "cli/registry.h"
#include "cli/ztoc_common.h"

/* A zTOC that an index names for a layer. */
struct ztoc_row {
	struct oci_desc ztoc, layer;
	struct digest index;
	uint64_t span_size;		/* as the index says; 0: it does not */
};

struct ztoc_source {
	/* Options; image NULL: zTOCs are files. */
	struct cli_registry registry;
	const char *image, *platform;
	/* Of the image, once asked for. */
	const atomic_bool *stop;
	struct oci_client *client;
	struct cli_images images;
	struct oci_image *img;		/* the only one of them */
	/* Index by index, in the order in which a mount looks for them, then as the layers
	 * lie, the lowest first. One zTOC may stand in several indexes. */
	struct ztoc_row *rows;
	size_t nrows;
	const struct ztoc_row *chosen;	/* by ztoc_source_file() */
};

#define ZTOC_SOURCE_INIT { .image = NULL }
#define ZTOC_SOURCE_OPTS(s)                                                              \
	CLI_OPT_STR('\0', "image", "IMAGE",                                              \
		    "look into its SOCI indexes: ZTOC is the digest of a zTOC or layer", \
		    &(s)->image),                                                        \
	CLI_OPT_STR('p', "platform", "OS/ARCH", "of the image (default: this machine's)",  \
		    &(s)->platform),                                                     \
	CLI_REGISTRY_OPTS(&(s)->registry)

/* Are there options for an image, but no image? Says so; true. */
bool ztoc_source_misuse(const struct ztoc_source *s, const char *command);
void ztoc_source_done(struct ztoc_source *s);

/* Look through the image's indexes: s->rows. Once; ztoc_source_file() does it by itself. */
int ztoc_source_look(struct ztoc_source *s, struct err *err);

/*
 * The zTOC that name stands for: a file ("-" is stdin), or the digest of a zTOC or of a
 * layer in the image, or the beginning of one, with or without "sha256:".
 */
int ztoc_source_file(struct ztoc_source *s, const char *name, struct ztoc_file *ret,
		     struct err *err);

/*
 * Fetch of the chosen layer what entry i of z takes into a file without a name (in $TMPDIR,
 * else /var/tmp). *ret is good for that entry; its layer_fd (-1: no data) is the caller's.
 */
int ztoc_source_fetch(struct ztoc_source *s, const struct ztoc *z, uint64_t i,
		      struct extract *ret, struct err *err);

#endif
