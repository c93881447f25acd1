/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transfer.h - one pass over a blob: read from where it is, checked, shown to whoever wants
 * to see its bytes, and on the way written to where it shall be. Nothing is stored but a
 * small window. Blocking calls on a sync client.
 *
 *	source --> sha256 --> on_data --> window --> upload or layout
 *	  ^------- paused while the window is full ----'
 *
 * The last byte stays in the window until the digest held and on_end agreed, so that
 * nothing wrong is ever complete at the destination. A source that breaks is resumed
 * (client.h); an upload that breaks begins anew, with the first byte of the source.
 */
#ifndef LZ_OCI_TRANSFER_H
#define LZ_OCI_TRANSFER_H

#include "oci/image.h"

enum oci_transfer_sent {
	OCI_TRANSFER_SENT,
	OCI_TRANSFER_PRESENT,	/* was there */
	OCI_TRANSFER_MOUNTED,	/* the registry took it over from another of its repositories */
	OCI_TRANSFER_NO_SOURCE,	/* with an error: the source has it not, or other bytes */
};

struct oci_transfer {
	const struct oci_ref *from;
	const struct oci_ref *to;	/* NULL: nowhere, the bytes are only looked at */
	const struct oci_desc *desc;	/* size and digest; must be known where to is set */
	uint64_t chunk_bytes;		/* of uploads; 0: in one request */
	/* Looks at the bytes, in order. 0, or -errno with err set. NULL: a blob that is at
	 * the destination is not even read. */
	int (*on_data)(void *arg, const uint8_t *data, size_t len, struct err *err);
	/* Bytes of the blob that came so far; non-zero (-errno) ends all. May be NULL. */
	int (*on_progress)(void *arg, uint64_t bytes);
	/* All bytes came and have the digest; a failure (-errno, err set) means that the blob
	 * does not appear at the destination. May be NULL. */
	int (*on_end)(void *arg, struct err *err);
	/* The next byte is the first again. NULL only without on_data. */
	int (*on_restart)(void *arg, struct err *err);
	void *arg;
};

/* *ret_sent (may be NULL): how it came to be at the destination; set on failure, too. */
int oci_blob_transfer(struct oci_client *c, const struct oci_transfer *t,
		      enum oci_transfer_sent *ret_sent, struct err *err);

#endif
