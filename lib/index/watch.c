/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch.c - see watch.h. */
#include "index/watch.h"

const char *index_state_name(enum index_state state)
{
	switch (state) {
	case INDEX_WAITING:
		return "waiting";
	case INDEX_INDEXING:
		return "indexing";
	case INDEX_COPYING:
		return "copying";
	case INDEX_BUILT:
		return "indexed";
	case INDEX_REUSED:
		return "was indexed";
	case INDEX_SKIPPED_SMALL:
		return "skipped: small";
	case INDEX_SKIPPED_ZSTD:
		return "skipped: zstd";
	case INDEX_SKIPPED_TYPE:
		return "skipped: type";
	case INDEX_COPIED:
		return "copied";
	case INDEX_PRESENT:
		return "was there";
	case INDEX_MOUNTED:
		return "taken over";
	case INDEX_MISSING:
		return "missing";
	}
	return "?";
}

bool index_state_is_end(int state)
{
	return state >= INDEX_BUILT;
}
