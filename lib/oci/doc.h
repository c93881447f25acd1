/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * doc.h - whole documents, blocking: manifests by tag or digest, small blobs, and any other
 * call, on a sync client. Digest and size are checked before anybody sees a byte.
 */
#ifndef LZ_OCI_DOC_H
#define LZ_OCI_DOC_H

#include "oci/call.h"

#define DOC_DEADLINE_MS 120000u

/* What is left of a finished call; doc_reply_done(). */
struct doc_reply {
	int status;			/* 0: no host answered, or a layout */
	bool has_subject;
	uint64_t length;
	char content_type[128], content_digest[80];
	char *location, *link;
};

void doc_reply_done(struct doc_reply *r);

/* Run spec (ops and arg are set here) to its end; the body goes to b (NULL: nowhere). */
int doc_call(struct oci_repo *repo, struct call_spec *spec, struct buf *b,
	     struct doc_reply *ret, struct err *err);

/*
 * A manifest by digest, or by tag if digest is NULL. *ret gets media type (of the document
 * itself where it says one), digest and size; b the bytes. want may be NULL; if it has a
 * size, the document must have it. ret_status (may be NULL): HTTP status, also on failure.
 */
int doc_manifest(struct oci_repo *repo, const char *tag, const struct digest *digest,
		 const struct oci_desc *want, struct oci_desc *ret, struct buf *b,
		 int *ret_status, struct err *err);

/* A blob, digest and size checked. */
int doc_blob(struct oci_repo *repo, const struct oci_desc *desc, struct buf *b,
	     struct err *err);

#endif
