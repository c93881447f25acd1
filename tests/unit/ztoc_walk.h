/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ztoc_walk.h - calls every accessor of an open zTOC and touches every byte they give. */
#ifndef LZ_TESTS_ZTOC_WALK_H
#define LZ_TESTS_ZTOC_WALK_H

#include "ztoc/ztoc.h"

static inline uint64_t ztoc_walk_str(struct ztoc_str s)
{
	uint64_t sum = s.len;

	for (uint32_t i = 0; i < s.len; i++)
		sum = sum * 31 + (uint8_t)s.s[i];
	return sum;
}

static inline uint64_t ztoc_walk_entry(const struct ztoc *z, uint64_t i)
{
	struct ztoc_entry e;
	uint64_t sum;

	ztoc_entry_get(z, i, &e);
	sum = ztoc_walk_str(e.name) + ztoc_walk_str(e.linkname) + ztoc_walk_str(e.uname) +
	      ztoc_walk_str(e.gname) + ztoc_walk_str(ztoc_entry_mod_time(z, i)) +
	      ztoc_entry_raw_size(z, i) + ztoc_entry_is_sparse(z, i);
	for (uint32_t k = 0; k < e.nxattrs; k++) {
		struct ztoc_xattr x;

		ztoc_xattr_get(z, i, k, &x);
		sum += ztoc_walk_str(x.key) + ztoc_walk_str(x.value);
	}
	return sum + ztoc_span_find(z, e.offset);
}

static inline uint64_t ztoc_walk(const struct ztoc *z)
{
	bool legacy;
	uint64_t sum = ztoc_walk_str(ztoc_version(z)) + ztoc_walk_str(ztoc_build_tool(z)) +
		       ztoc_comp_size(z) + ztoc_out_size(z) + ztoc_span_size(z) +
		       ztoc_checkpoints_offset(z, &legacy) + (uint64_t)ztoc_check_lazy(z, NULL);

	for (uint64_t i = 0; i < ztoc_entry_count(z); i++)
		sum += ztoc_walk_entry(z, i);
	for (uint32_t i = 0; i < ztoc_span_count(z); i++) {
		struct ztoc_span s;

		ztoc_span_get(z, i, &s);
		sum += s.digest.sha256[31] + ztoc_window_offset(z, i);
		if (s.window)
			sum += s.window[0] + s.window[ZTOC_WINDOW_BYTES - 1];
	}
	return sum;
}

#endif
