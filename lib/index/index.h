/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * index.h - make the SOCI index of an image: read each layer once, put zTOCs and index
 * beside the image, and the layers too, where the image goes elsewhere.
 *
 * Layers are worked on in parallel, each by a thread with a client of its own, streamed and
 * never stored; one that an image lists twice is worked on once. What exists already is used again, unless told otherwise: a zTOC named
 * by the image's present index with the same span size and build tool. Nothing is visible
 * to others before the index manifest is put, which comes last.
 * Blocking. Formats: kernel-notes/soci-format.md.
 */
#ifndef LZ_INDEX_INDEX_H
#define LZ_INDEX_INDEX_H

#include "index/watch.h"
#include "oci/image.h"
#include "oci/soci_write.h"
#include "ztoc/build.h"

#define INDEX_MIN_LAYER_BYTES (10u << 20)	/* soci's default */

/*
 * Layers that images of one run have in common are read for the first of them only. One
 * memo serves index_make() with one destination and the same options.
 */
struct index_memo;
struct index_memo *index_memo_new(void);
void index_memo_free(struct index_memo *m);

struct index_opts {
	uint64_t span_size;			/* 0: 4 MiB */
	uint64_t min_layer_bytes;
	enum soci_compat compat;
	enum soci_index_version version;
	/* Mark layers without extended attributes and opaque directories, as soci does
	 * with --optimizations xattr. */
	bool mark_no_xattrs;
	bool strict;				/* struct ztoc_build_opts */
	uint64_t max_ztoc_bytes;		/* the same */
	bool force;				/* build all zTOCs anew */
	unsigned threads;			/* 0: one per core */
	const char *const *prefetch;		/* paths to list as prefetch, or NULL */
	size_t nprefetch;
	/* Layers go to dst as well, which is another place than src; each is read once. */
	bool copy_layers;
	uint64_t chunk_bytes;			/* of their upload, as in struct oci_transfer */
	const struct index_watch *watch;	/* of the layers, or NULL */
	struct index_memo *memo;		/* or NULL */
	/* A path of prefetch that no layer has. */
	void (*warn)(const char *path);
};

/* Does a layer of this type and size get a zTOC? */
bool index_is_indexable(const struct oci_layer *layer, const struct index_opts *opts);

struct index_layer_result {
	enum index_state state;		/* BUILT, REUSED, SKIPPED_* */
	struct oci_desc ztoc;		/* BUILT, REUSED */
	uint32_t spans;
	uint64_t files;
	unsigned int accepted;		/* BUILT: struct ztoc_built */
	bool no_xattrs;			/* asked for and true */
};

struct index_result {
	uint32_t nlayers;
	struct index_layer_result *layers;	/* as in the image */
	struct buf manifest;			/* the index manifest's bytes */
	struct oci_desc desc;			/* of them */
};

/*
 * Index img (resolved from src) into the repository or layout dst: zTOCs, prefetch lists
 * and the empty config are put there; the manifest is only made, for the caller to put.
 * subject: what a v1 index names (the image manifest). -ENODATA (UNSUPPORTED) when no layer
 * could be indexed. ECANCELED when client's stop flag was set.
 */
int index_make(const struct oci_opts *client, const struct oci_ref *src,
	       const struct oci_image *img, const struct oci_ref *dst,
	       const struct oci_desc *subject, const struct index_opts *opts,
	       struct index_result **ret, struct err *err);
void index_result_free(struct index_result *r);

#endif
