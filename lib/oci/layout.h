/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layout.h - `oci:DIR`: the same repository interface over an OCI image layout on disk.
 *
 * Every path is opened beneath DIR (openat2 RESOLVE_BENEATH), so that neither a name nor a
 * symbolic link leads out of it. Reads of blobs go through client_run(); index.json and
 * writes are blocking, for the sync calls of image.h and push.h.
 * Source: OCI image-spec image-layout.md.
 */
#ifndef LZ_OCI_LAYOUT_H
#define LZ_OCI_LAYOUT_H

#include <jansson.h>

#include "oci/repo.h"

#define LAYOUT_REF_NAME "org.opencontainers.image.ref.name"

int layout_read_start(struct oci_repo *repo, const struct oci_desc *desc, uint64_t off,
		      uint64_t len, const struct oci_read *read, struct oci_req **ret,
		      struct err *err);

/* index.json, parsed. */
int layout_index(struct oci_repo *repo, json_t **ret, struct err *err);
/*
 * The descriptor that tag names; tag "": "latest", or the only one there is. 1: index.json
 * is itself the index of images (of several, none of them tagged, as go-containerregistry
 * writes it); its text, without the SOCI indexes v1 that were put beside, goes to own. Kind
 * UNSUPPORTED/ENOENT if there is none.
 */
int layout_resolve(struct oci_repo *repo, const char *tag, struct oci_desc *ret,
		   struct buf *own, struct err *err);

/*
 * The entry of index.json (parsed) that tag names, borrowed: tag "": "latest", or the only
 * one there is; or NULL.
 */
const json_t *layout_entry(const json_t *index, const char *tag);

/*
 * The SOCI v1 indexes of the image subject, in order, at most max of them. index.json does
 * not say whose an index is: each is read.
 */
int layout_find_indexes(struct oci_repo *repo, const struct digest *subject,
			struct oci_desc *ret, uint32_t max, uint32_t *ret_n, struct err *err);

/* "blobs/sha256/HEX" */
void layout_blob_path(const struct digest *d, char ret[96]);

/* --- writing --- */

/* Store a blob whose digest has been checked. */
int layout_put_blob(struct oci_repo *repo, const struct digest *digest, const void *data,
		    size_t len, struct err *err);

#define LAYOUT_TMP_NAME_SIZE 128

/* A blob that is written piece by piece: open -> write ... -> commit -> done, which also
 * takes away what was not committed. The digest is the caller's to check. */
struct layout_tmp {
	struct oci_repo *repo;		/* borrowed */
	int dir, fd;
	char hex[DIGEST_HEX_LEN + 1], name[LAYOUT_TMP_NAME_SIZE];
};

int layout_tmp_open(struct oci_repo *repo, const struct digest *digest,
		    struct layout_tmp *ret, struct err *err);
int layout_tmp_write(struct layout_tmp *t, const void *data, size_t len, struct err *err);
int layout_tmp_commit(struct layout_tmp *t, struct err *err);
void layout_tmp_done(struct layout_tmp *t);

bool layout_has_blob(struct oci_repo *repo, const struct digest *digest, uint64_t size);
/*
 * Put desc into index.json: replaces the entry of the same tag, or, with tag NULL, the one
 * of the same digest.
 */
int layout_put_entry(struct oci_repo *repo, const char *tag, const struct oci_desc *desc,
		     struct err *err);
/* Take the entries of digest out of index.json. */
int layout_drop_entry(struct oci_repo *repo, const struct digest *digest, struct err *err);
/*
 * Take a SOCI index out: its entry, its manifest, and those blobs of its layers that no
 * other document of the layout names.
 */
int layout_drop_manifest(struct oci_repo *repo, const struct digest *digest,
			 struct err *err);

#endif
