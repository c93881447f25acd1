/* SPDX-License-Identifier: GPL-2.0-or-later */
/* push_priv.h - what push.c and referrers.c share. */
#ifndef LZ_OCI_PUSH_PRIV_H
#define LZ_OCI_PUSH_PRIV_H

#include "oci/doc.h"
#include "oci/push.h"

/* The blob is there, with that size: 1; 0 not; or -errno. */
int push_has_blob(struct oci_repo *repo, const struct oci_desc *desc, struct err *err);
/* media type, digest and size of a manifest. */
int push_describe(const char *media_type, const void *data, size_t len,
		  struct oci_desc *ret, struct err *err);
/* name: tag or digest text. */
int push_manifest(struct oci_repo *repo, const char *name, const struct oci_desc *desc,
		  const void *data, bool *ret_has_subject, struct err *err);

#endif
