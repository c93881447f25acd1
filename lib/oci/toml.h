/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * toml.h - the part of TOML that hosts.toml files use, as a flat list of entries.
 *
 * Taken: [tables] with bare and quoted names, key = value with dotted keys, basic and
 * literal one-line strings, integers, booleans, arrays (nested, over several lines),
 * comments. Refused with the line number: multi-line strings, floats, dates, inline
 * tables, [[arrays of tables]], duplicate keys and tables. Pure, any thread.
 * Source: TOML 1.0.
 */
#ifndef LZ_OCI_TOML_H
#define LZ_OCI_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TOML_MAX_PATH 8u
#define TOML_MAX_ENTRIES 1024u
#define TOML_MAX_DEPTH 4u

enum toml_kind { TOML_TABLE, TOML_STRING, TOML_INTEGER, TOML_BOOLEAN, TOML_ARRAY };

struct toml_value {
	enum toml_kind kind;
	char *str;
	int64_t integer;
	bool boolean;
	struct toml_value *items;
	size_t nitems;
};

/* One key, or (kind TABLE) one [header]; path is the whole way to it. */
struct toml_entry {
	char *path[TOML_MAX_PATH];
	unsigned npath;
	struct toml_value value;
};

struct toml {
	struct toml_entry *entries;	/* in the order of the file */
	size_t nentries;
};

/* name stands in messages. */
int toml_parse(const char *text, size_t len, const char *name, struct toml *ret,
	       struct err *err);
void toml_done(struct toml *t);

#endif
