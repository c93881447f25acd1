/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * indexing.h - what `create` and `convert` share: options, one run of index_make(), report.
 *
 *	struct indexing w = INDEXING_INIT(version);
 *	options: INDEXING_OPTS(&w); cli_parse(); indexing_begin();
 *	per image: indexing_run(), then put what it made, then indexing_report();
 *	rc = indexing_end(); indexing_done()
 */
#ifndef LZ_CLI_INDEXING_H
#define LZ_CLI_INDEXING_H

#include "cli/registry.h"
#include "index/index.h"

struct indexing {
	struct cli_registry registry;
	struct oci_opts client;
	struct index_opts opts;
	uint64_t threads;
	const char *compat, *prefetch_json, *optimizations;
	struct cli_list prefetch;	/* the options, */
	struct cli_list paths;		/* and what they say; owns its strings */
	bool json;
	json_t *report;			/* with --json: one entry per image */
	struct progress *progress;
	size_t nskipped;		/* images of which no layer could be indexed */
};

#define INDEXING_INIT(v)                                                                 \
	{ .compat = "soci-0.2",                                                          \
	  .opts = { .version = (v), .span_size = ZTOC_BUILD_SPAN_BYTES,                  \
		    .min_layer_bytes = INDEX_MIN_LAYER_BYTES,                           \
		    .max_ztoc_bytes = ZTOC_BUILD_MAX_ZTOC_BYTES } }

#define INDEXING_OPTS(w)                                                                 \
	CLI_OPT_SIZE('\0', "span-size", "BYTES", "least size of a span (4M)",             \
		     &(w)->opts.span_size),                                              \
	CLI_OPT_SIZE('\0', "min-layer-size", "BYTES", "smaller layers get no zTOC (10M)", \
		     &(w)->opts.min_layer_bytes),                                        \
	CLI_OPT_LIST('\0', "prefetch-file", "PATH",                                       \
		     "file to fetch first when the image is mounted; a comma list, may be repeated", \
		     &(w)->prefetch),                                                    \
	CLI_OPT_STR('\0', "prefetch-files-json", "FILE", "the same, as a JSON array of strings", \
		    &(w)->prefetch_json),                                                \
	CLI_OPT_FLAG('\0', "strict",                                                       \
		     "refuse layers that soci refuses, though they can be served",       \
		     &(w)->opts.strict),                                                 \
	CLI_OPT_SIZE('\0', "max-ztoc-size", "BYTES", "make no larger zTOC (512M)",       \
		     &(w)->opts.max_ztoc_bytes),                                         \
	CLI_OPT_FLAG('f', "force", "build all zTOCs anew", &(w)->opts.force),             \
	CLI_OPT_STR('\0', "compat", "soci-0.2|soci-0.1",                              \
		    "the soci to be like (default: soci-0.2; soci-0.1: before 0.10)",    \
		    &(w)->compat),                                                       \
	CLI_OPT_STR('\0', "optimizations", "xattr",                                        \
		    "mark layers without extended attributes, as soci does",             \
		    &(w)->optimizations),                                                \
	CLI_OPT_U64('\0', "threads", "N", "layers at once (default: one per core)",       \
		    &(w)->threads),                                                      \
	CLI_OPT_FLAG('\0', "json", "print JSON", &(w)->json)

/* For convert, which sends layers. */
#define INDEXING_COPY_OPTS(w)                                                            \
	CLI_OPT_SIZE('\0', "chunk-size", "BYTES",                                         \
		     "upload in pieces of this size (default: whole layers)",            \
		     &(w)->opts.chunk_bytes)

/*
 * Before anything is read or made: where src is a layout, does it hold all layers that are
 * wanted of it? With dst (of a conversion) platforms that are to stay as they are, and are
 * not wholly there, leave the index of images.
 */
int indexing_check(const struct indexing *w, struct oci_client *c, const struct oci_ref *src,
		   struct cli_images *images, const struct oci_ref *dst, struct err *err);
/* Check and complete the options: -1, or the exit code. */
int indexing_begin(struct indexing *w, const char *command);
/*
 * index_make() for one image of n. One of several that has no layer to index is left out,
 * with a warning: 1; the last of them only if another was indexed.
 */
int indexing_run(struct indexing *w, const struct oci_ref *src, const struct oci_image *img,
		 size_t n, const struct oci_ref *dst, struct index_result **ret,
		 struct err *err);
/* Tell what was made of img; manifest: the image that the index is for, at last. */
int indexing_report(struct indexing *w, const struct oci_image *img,
		    const struct oci_desc *manifest, const struct index_result *res,
		    struct err *err);
/* r: of the work. Prints the JSON or the failure; the exit code. */
int indexing_end(struct indexing *w, int r, const struct err *err);
void indexing_done(struct indexing *w);

#endif
