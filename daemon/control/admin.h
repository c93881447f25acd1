/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * admin.h - RUN_DIR/admin.sock: who may ask the daemon, and how answers get back.
 *
 * A unix stream socket for root (0600, and SO_PEERCRED). Lines of JSON, one request after
 * another:
 *	-> {"cmd": "mount", "image": "...", "target": "/mnt"}
 *	<- {"event": "progress", "text": "..."}		any number
 *	<- {"event": "done", "result": {...}}
 *	or {"event": "error", "kind": "network", "num": 5, "text": "..."}
 * Texts that are not UTF-8 cannot be sent (JSON). A client that goes away cancels what it
 * asked for; one that does not read is dropped once ADMIN_OUT_MAX_BYTES wait for it, and
 * holds up nobody. Loop thread.
 */
#ifndef LZ_DAEMON_ADMIN_H
#define LZ_DAEMON_ADMIN_H

#include <jansson.h>

#include "base/err.h"
#include "daemon/loop/loop.h"

#define ADMIN_SOCKET "admin.sock"
#define ADMIN_LINE_MAX_BYTES (64u << 10)
#define ADMIN_OUT_MAX_BYTES (16u << 20)
#define ADMIN_CLIENTS_MAX 64u

struct admin;
struct admin_call;	/* one request under way */

struct admin_field {
	const char *name;
	json_type type;		/* JSON_STRING, JSON_INTEGER, JSON_TRUE (a boolean) */
	bool required;
};

struct admin_command {
	const char *name;
	const struct admin_field *fields;	/* ends with a NULL name */
	/*
	 * request: borrowed for the time of the call of run. Ends in exactly one
	 * admin_done() or admin_fail(), at once or later.
	 */
	void (*run)(struct admin_call *call, json_t *request, void *arg);
};

/* commands: ends with a NULL name. */
int admin_new(struct loop *loop, const char *run_dir, const struct admin_command *commands,
	      void *arg, struct admin **ret, struct err *err);
/* No new clients; calls under way are cancelled, and must end before admin_free(). */
void admin_stop(struct admin *a);
bool admin_is_idle(const struct admin *a);
void admin_free(struct admin *a);

/* The client is gone, or the daemon stops: cancel(arg) is called once, at most. */
void admin_call_set_cancel(struct admin_call *call, void (*cancel)(void *arg), void *arg);
void admin_progress(struct admin_call *call, const char *text);
/* The call is gone after one of these. result is stolen. */
void admin_done(struct admin_call *call, json_t *result);
void admin_fail(struct admin_call *call, const struct err *err);

/* --- for the above and for tests --------------------------------------------------------- */
/*
 * One line: JSON of an object, a known command, only known fields of the right types. The
 * root is yours on success.
 */
int admin_parse(const char *line, size_t len, const struct admin_command *commands,
		json_t **ret_root, const struct admin_command **ret_command, struct err *err);

#endif
