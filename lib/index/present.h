/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * present.h - what an index of images lists and its layout does not hold: exports of one
 * platform (docker save, nerdctl save) keep the index of all of them.
 *
 * A registry is not asked, it holds what it lists. Blocking.
 */
#ifndef LZ_INDEX_PRESENT_H
#define LZ_INDEX_PRESENT_H

#include "oci/image.h"

struct present_opts {
	bool whole;			/* config and layers shall be there, too; */
	const struct digest *keep;	/* not of these, which others look after */
	size_t nkeep;
	/* An entry that goes: platform, digest and why. */
	void (*tell)(const char *text);
};

/*
 * index: the bytes of an index of images that ref leads to. Entries that are not in the
 * layout ref are taken out. How many, or -errno.
 */
int present_filter(struct oci_client *c, const struct oci_ref *ref,
		   const struct present_opts *opts, struct buf *index, struct err *err);

#endif
