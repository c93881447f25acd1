/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quote.h - names from images, made fit for an error text. Any thread. */
#ifndef LZ_IMAGE_QUOTE_H
#define LZ_IMAGE_QUOTE_H

#include "ztoc/ztoc.h"

#define IMAGE_QUOTE_SIZE 200

/*
 * At most ~160 characters of s, in single quotes; bytes outside printable ASCII, quotes and
 * backslashes as \xNN; "..." where it was cut. Returns buf.
 */
const char *image_quote(struct ztoc_str s, char buf[IMAGE_QUOTE_SIZE]);

#endif
