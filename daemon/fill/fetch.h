/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fetch.h - an OCI client on the event loop: its descriptors are watched by the ring, its
 * timer is the loop's. Its blocking work (credential helpers, files of a layout) gets two
 * threads of its own, started when first needed: a helper that hangs holds up neither a
 * fault's inflater nor a read of a layout. Loop thread only.
 */
#ifndef LZ_DAEMON_FILL_FETCH_H
#define LZ_DAEMON_FILL_FETCH_H

#include "daemon/loop/loop.h"
#include "oci/client.h"

struct fetch;

int fetch_new(struct loop *l, const struct oci_opts *opts, struct fetch **ret,
	      struct err *err);
/*
 * Ends what is under way (ECANCELED). Not from inside a callback of the client; all its
 * repositories were put back (layers freed). Turn the loop once more before freeing it.
 * NULL is fine.
 */
void fetch_free(struct fetch *f);
struct oci_client *fetch_client(struct fetch *f);

#endif
