/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy.h - images from one registry or layout to another, with their SOCI indexes of both
 * versions. Nothing changes its digest; what is there already is not sent again.
 *
 *	copy_new() -> copy_add() ...: reads all documents, finds out what belongs together
 *	-> copy_run(): blobs, several at once, then manifests, the lowest first -> copy_free()
 *
 * Blobs pass through, none is stored. Blocking; one client for the documents, more for the
 * blobs.
 */
#ifndef LZ_INDEX_COPY_H
#define LZ_INDEX_COPY_H

#include "index/watch.h"
#include "oci/image.h"
#include "oci/json.h"

struct copy_stats {
	uint32_t images, indexes;	/* image manifests; SOCI indexes of either version */
	uint32_t incomplete;		/* SOCI indexes left out: damaged, or not all at the source */
	uint32_t blobs, present, mounted;	/* sent; found there; taken over by the registry */
	uint64_t bytes;			/* sent */
};

struct copy_opts {
	const struct oci_opts *client;
	unsigned threads;		/* 0: one per core */
	uint64_t chunk_bytes;		/* as in struct oci_transfer */
	const struct index_watch *watch;	/* of the blobs, or NULL */
	/* copy_image(): what a layout lists and does not hold, or NULL. */
	void (*tell)(const char *text);
};

struct copy;

/* All are borrowed. */
int copy_new(struct oci_client *c, const struct oci_ref *src, const struct oci_ref *dst,
	     struct copy **ret, struct err *err);
void copy_free(struct copy *k);
/*
 * The manifest of that digest at src: of an image, with all SOCI indexes found from it; or
 * an index of images with all that it lists. CORRUPT where documents make no sense, or are
 * too many.
 */
int copy_add(struct copy *k, const struct digest *digest, struct err *err);
/* The same for what is known to be no image with indexes (attestations). */
int copy_add_bare(struct copy *k, const struct digest *digest, struct err *err);
/* All that an index of images lists; the index itself does not go. */
int copy_add_list(struct copy *k, const json_t *index, struct err *err);
/* A manifest that is not at src, while its blobs are; media type: OCI's. *ret: of it. */
int copy_add_manifest(struct copy *k, const void *data, size_t len, struct oci_desc *ret,
		      struct err *err);
/* What an index of images lists though it is no manifest. */
int copy_add_blob(struct copy *k, const struct oci_desc *desc, struct err *err);
int copy_run(struct copy *k, const struct copy_opts *opts, struct copy_stats *ret,
	     struct err *err);

/*
 * What src names: an image, or an index of images with all that it lists. dst's tag is set
 * last; a layout that is not there is made. What a layout lists and does not hold is left
 * out of the index, which gets another digest then. *ret: what dst names in the end.
 */
int copy_image(struct oci_client *c, const struct oci_ref *src, const struct oci_ref *dst,
	       const struct copy_opts *opts, struct copy_stats *stats, struct oci_desc *ret,
	       struct err *err);
/* ref by digest, without its tag. */
void copy_ref_by_digest(const struct oci_ref *ref, const struct digest *digest,
			struct oci_ref *ret);

#endif
