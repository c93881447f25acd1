/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy_priv.h - the plan of a copy: copy_plan.c makes it, copy.c carries it out.
 *
 *	docs:  manifests in the order in which they are put, each after all that it names
 *	blobs: each once; refs: which blobs a document needs, docs[i].refs .. + nrefs
 */
#ifndef LZ_INDEX_COPY_PRIV_H
#define LZ_INDEX_COPY_PRIV_H

#include "index/copy.h"

struct copy_doc {
	struct oci_desc desc;
	struct buf bytes;
	bool is_image, is_soci;
	bool is_optional;		/* found beside an image: goes only if it is complete */
	bool has_subject;		/* to be found from: */
	struct digest subject;
	uint32_t refs, nrefs;
};

struct copy_blob {
	struct oci_desc desc;
	bool is_needed;			/* not by optional documents only */
};

struct copy {
	struct oci_client *c;
	const struct oci_ref *src, *dst;
	struct copy_doc *docs;
	struct copy_blob *blobs;
	uint32_t *refs;
	uint32_t ndocs, nblobs, nrefs;
	const struct digest *of;	/* image whose indexes are being added */
	uint32_t incomplete;		/* optional documents that are not at the source */
	uint64_t doc_bytes;
};

#endif
