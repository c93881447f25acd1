/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * platform.h - what an image is made for: os, architecture, variant.
 *
 * Pure, any thread. The names are those of the OCI image-spec; several spellings of one
 * platform are in use, which containerd brings into one form before it compares or writes them.
 */
#ifndef LZ_OCI_PLATFORM_H
#define LZ_OCI_PLATFORM_H

#include <stdbool.h>

#include "base/err.h"

struct oci_platform {
	char os[32], arch[32], variant[16];	/* "" variant: any */
};

/* The platform of this machine: linux/amd64 and so on. */
void oci_platform_host(struct oci_platform *ret);
/*
 * "os/arch[/variant]", in normal form but for the variant, which is there only where it was
 * said (v8 of arm64 too); or an os alone, for this machine's architecture; or an
 * architecture alone, for linux.
 */
int oci_platform_parse(const char *text, struct oci_platform *ret, struct err *err);
/*
 * Into containerd's normal form: lower case; no os is linux; x86_64 is amd64, aarch64 arm64,
 * i386 386, armhf arm/v7, armel arm/v6; arm without variant is v7, "6" is v6; arm64/v8 and
 * amd64/v1 have no variant.
 */
void oci_platform_normalize(struct oci_platform *p);
/* In normal form. */
bool oci_platform_is_equal(const struct oci_platform *a, const struct oci_platform *b);

#define OCI_PLATFORM_TEXT_SIZE 96
/* "os/arch[/variant]" as it is */
void oci_platform_format(const struct oci_platform *p, char ret[OCI_PLATFORM_TEXT_SIZE]);

#endif
