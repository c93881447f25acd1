/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_ztoc.c - a zTOC of any bytes is refused cleanly, or every accessor works.
 *
 * fuzz-sources: lib/ztoc/ztoc.c lib/ztoc/entries.c lib/ztoc/checkpoints.c lib/ztoc/fb.c lib/ztoc/mtime.c lib/base/err.c lib/base/digest.c
 * fuzz-libs: -lnettle
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "tests/unit/ztoc_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	struct ztoc *z = NULL;
	int r = ztoc_open(data, len, &z, &err);

	if (r == 0)
		ztoc_walk(z);
	else if (z || r != -err.num || !err.text[0])
		abort();
	ztoc_free(z);
	return 0;
}
