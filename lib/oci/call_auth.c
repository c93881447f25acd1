/* SPDX-License-Identifier: GPL-2.0-or-later */
/* call_auth.c - a call that is asked for authorization; see call.h and call_priv.h. */
#include "oci/call_priv.h"

#include <string.h>

void call_auth_told(void *arg, const struct err *err)
{
	struct call *call = arg;

	if (err) {
		call->err = *err;
		call->has_hope = err->kind == ERR_NETWORK || err->kind == ERR_SYSTEM;
		call_host_failed(call);
		return;
	}
	call->fresh_auth = true;
	call_send(call);
}

void call_renew_auth(struct call *call, const struct auth_challenge *ch)
{
	struct err err = ERR_INIT;

	call->exchanges++;
	if (auth_state_renew(&call_host(call)->auth, ch, call->spec.cap & HOST_CAP_PUSH,
			     &call->waiter, &err) < 0)
		call_finish(call, &err);
}

static void refused(struct call *call)
{
	struct repo_host *h = call_host(call);

	call->has_hope = false;
	auth_state_drop(&h->auth);
	if (*h->auth.user)
		err_set(&call->err, ERR_AUTH, EACCES, "registry %s refused the password of user "
			"%s for %s: run docker login %s", h->name, h->auth.user,
			call->repo->ref.repo, h->cred_key);
	else
		err_set(&call->err, ERR_AUTH, EACCES, "registry %s wants a login for %s (or "
			"there is no such repository): run docker login %s", h->name,
			call->repo->ref.repo, h->cred_key);
	call_host_failed(call);
}

/* 401 of the API itself. */
void call_unauthorized(struct call *call)
{
	struct auth_state *st = &call_host(call)->auth;
	struct auth_challenge ch;
	bool more_scope;

	/* Somebody else got a (newer) one while we were under way. */
	if (auth_state_header(st) && !call->fresh_auth &&
	    (!call->sent_auth || call->auth_generation != st->generation)) {
		call_send(call);
		return;
	}
	if (!call->challenges.len ||
	    auth_parse((char *)call->challenges.data, &ch) < 0 ||
	    !(ch.has_basic || ch.has_bearer)) {
		call->has_hope = false;
		err_set(&call->err, ERR_AUTH, EPROTO, "registry %s answers 401 without saying "
			"what it wants", call_host(call)->name);
		call_host_failed(call);
		return;
	}
	more_scope = ch.has_bearer && strcmp(ch.scope, st->challenge.scope);
	if (call->exchanges >= 2 || (call->fresh_auth && !more_scope))
		refused(call);
	else
		call_renew_auth(call, &ch);
}
