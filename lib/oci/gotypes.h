/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gotypes.h - OCI documents as Go's encoder writes the types of image-spec: compact, known
 * keys only, in the order of their struct, maps sorted; what is empty is left out where the
 * type says so (mediaType, digest, size, architecture, os never are).
 *
 * Pure functions. Keys count in their exact case only. -EINVAL: a value has another JSON
 * type than its key wants, which Go refuses too; -ENOMEM, -EFBIG as of struct buf.
 */
#ifndef LZ_OCI_GOTYPES_H
#define LZ_OCI_GOTYPES_H

#include "base/buf.h"
#include "oci/json.h"

int gotypes_manifest(struct buf *out, const json_t *manifest);
int gotypes_index(struct buf *out, const json_t *index);

#endif
