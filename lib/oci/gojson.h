/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gojson.h - JSON strings as Go's encoder writes them: `<`, `>`, `&` and the two Unicode line
 * separators are escaped. Documents that must be byte for byte upstream's need it.
 */
#ifndef LZ_OCI_GOJSON_H
#define LZ_OCI_GOJSON_H

#include "base/buf.h"

/* Append s[0..len), which is UTF-8, quoted; 0, -ENOMEM or -EFBIG. */
int gojson_string(struct buf *out, const char *s, size_t len);
/*
 * Append s[0..len), which is base64, quoted, as Go's decoder and encoder leave it: without
 * line ends, unused bits zero. -EINVAL: not base64.
 */
int gojson_base64(struct buf *out, const char *s, size_t len);

#endif
