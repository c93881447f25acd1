/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * auth.h - what a registry asks for: WWW-Authenticate, and the headers that answer it.
 *
 * Pure functions, any thread. The field is hostile input: sizes are capped, quoting is
 * strict, control characters are refused. Source: RFC 9110 section 11, RFC 6750, and the
 * distribution project's token specification.
 */
#ifndef LZ_OCI_AUTH_H
#define LZ_OCI_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct auth_challenge {
	bool has_basic, has_bearer;
	/* Of the (first) Bearer challenge; "" when absent. */
	char realm[1024], service[512], scope[2048], error[64];
};

/*
 * field: all WWW-Authenticate fields joined by ", ". Unknown schemes are skipped. -EINVAL
 * when it violates the grammar or a cap.
 */
int auth_parse(const char *field, struct auth_challenge *ret);

/* "Authorization: Basic ..." appended to b; -EINVAL if the user name has a ':'. */
int auth_basic_header(const char *user, const char *password, struct buf *b);

int auth_base64_encode(const void *data, size_t len, struct buf *b);
/* Standard alphabet, padding optional, no white space inside; -EINVAL. */
int auth_base64_decode(const char *text, struct buf *b);

#endif
