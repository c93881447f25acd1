/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * admin_client.h - asking the running daemon (protocol: daemon/control/admin.h). Blocking.
 * When the program ends in the middle of a call, the daemon undoes what it was doing.
 */
#ifndef LZ_CLI_ADMIN_CLIENT_H
#define LZ_CLI_ADMIN_CLIENT_H

#include <stdbool.h>

#include <jansson.h>

#include "base/err.h"

#define ADMIN_CLIENT_RUN_DIR "/run/lazyerofs"

/* Where the daemon's socket is; text is borrowed. */
void admin_client_set_run_dir(const char *dir);
const char *admin_client_run_dir(void);

/*
 * One request (stolen), one answer. progress may be NULL. Kinds and texts of errors are the
 * daemon's own; ENOENT and ECONNREFUSED: there is no daemon, and the text says so.
 */
int admin_client_call(json_t *request, void (*progress)(const char *text),
		      json_t **ret_result, struct err *err);

/* --- mounting, for `lazyerofs mount` and mount.lazyerofs ------------------------------ */
struct mount_request {
	const char *image, *target;
	const char *platform, *index;	/* NULL: not given */
	bool build_index;
	void (*progress)(const char *text);
};

/* Checks the target, asks the daemon. */
int mount_request_run(const struct mount_request *req, struct err *err);

#endif
