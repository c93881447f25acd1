/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json.h - JSON from strangers: parsed under caps, read with strict accessors.
 *
 * Pure, any thread. Before jansson sees a document, a scan counts its values and its depth,
 * so that a small text cannot make a large tree. Duplicate keys are refused: two readers of
 * one document must not see two different ones.
 */
#ifndef LZ_OCI_JSON_H
#define LZ_OCI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "oci/ref.h"

#define JDOC_MAX_BYTES (4u << 20)
#define JDOC_MAX_VALUES (1u << 17)
#define JDOC_MAX_DEPTH 32u

DEFINE_CLEANUP(json_t *, json_decref, cleanup_jsonp)
#define cleanup_json cleanup_(cleanup_jsonp)

/* The document must be an object. what names it in messages. Kind CORRUPT. */
int jdoc_parse(const void *data, size_t len, const char *what, json_t **ret,
	       struct err *err);

/* Borrowed; NULL if there is no such key or it is not a string. */
const char *jdoc_str(const json_t *obj, const char *key);
/* Copy a string; "" if absent; -EINVAL if too long, not a string, or not printable ASCII. */
int jdoc_copy(const json_t *obj, const char *key, char *ret, size_t ret_size);
/* A non-negative integer; -ENOENT if absent, -EINVAL otherwise. */
int jdoc_u64(const json_t *obj, const char *key, uint64_t *ret);
/* A sha256 digest; -ENOENT if absent, -EINVAL otherwise. */
int jdoc_digest(const json_t *obj, const char *key, struct digest *ret);
/* obj.annotations[name], borrowed, or NULL. */
const char *jdoc_annotation(const json_t *obj, const char *name);
/* A descriptor: digest and size required, mediaType at most 127 characters. */
int jdoc_desc(const json_t *obj, struct oci_desc *ret);
/* For messages: text cut to size and cleaned of what could garble a terminal. */
void jdoc_clean(const char *text, char *ret, size_t ret_size);

#endif
