/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ref.h - image references and descriptors.
 *
 *   [HOST[:PORT]/]REPO[:TAG][@sha256:HEX]   a registry (docker.io, library/ and latest by
 *                                           default, as `docker pull` reads them)
 *   oci:DIR[:TAG][@sha256:HEX]              an OCI image layout on disk
 * Source: distribution/reference grammar; OCI image-spec image-layout.md, descriptor.md.
 */
#ifndef LZ_OCI_REF_H
#define LZ_OCI_REF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

struct oci_ref {
	bool is_layout;
	char host[262];		/* registry: name[:port], lower case; "docker.io" stays that here */
	char repo[256];		/* registry: repository path */
	char dir[4096];		/* layout: directory */
	char tag[129];		/* "" when only a digest was given */
	bool has_digest;
	struct digest digest;
};

struct oci_desc {
	char media_type[128];
	char artifact_type[128];
	struct digest digest;
	uint64_t size;		/* UINT64_MAX: not known */
};

/* INVALID input is kind UNSUPPORTED/EINVAL and says what is wrong and shows the form. */
int oci_ref_parse(const char *text, struct oci_ref *ret, struct err *err);
/* Canonical text; ret_size >= 4608 never truncates. */
void oci_ref_format(const struct oci_ref *ref, char *ret, size_t ret_size);

#endif
