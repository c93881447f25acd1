/* SPDX-License-Identifier: GPL-2.0-or-later */
/* admin.c - sockets and clients of the admin socket; see admin.h. Loop thread. */
#include "daemon/control/admin.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "daemon/log.h"

struct client {
	struct list link;		/* admin.clients */
	struct admin *admin;
	struct loop_watch watch;
	struct buf in, out;
	size_t sent;			/* of out */
	struct admin_call *call;	/* under way, or NULL */
	bool dispatching;		/* further up the stack: do not free */
	bool dead;
};

struct admin_call {
	struct list link;		/* admin.calls */
	struct client *client;		/* NULL: gone */
	void (*cancel)(void *arg);
	void *cancel_arg;
};

struct admin {
	struct loop *loop;
	struct loop_watch watch;
	const struct admin_command *commands;
	void *arg;
	struct list clients, calls;
	unsigned nclients;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static void client_serve(struct client *c);

/* --- going away -------------------------------------------------------------------------- */

static void call_cancel(struct admin_call *call)
{
	void (*cancel)(void *arg) = call->cancel;

	call->cancel = NULL;
	if (cancel)
		cancel(call->cancel_arg);
}

static void client_free(struct client *c)
{
	list_del(&c->link);
	c->admin->nclients--;
	buf_done(&c->in);
	buf_done(&c->out);
	free(c);
}

static void client_gone(struct client *c)
{
	struct admin_call *call = c->call;

	if (c->dead)
		return;
	c->dead = true;
	loop_watch_del(&c->watch);
	close(c->watch.fd);
	if (call) {
		call->client = NULL;
		c->call = NULL;
		call_cancel(call);
	}
	if (!c->dispatching)
		client_free(c);
}

/* --- sending ----------------------------------------------------------------------------- */

static void client_events(struct client *c)
{
	/* With a full buffer it waits for its answer first. */
	uint32_t events = c->in.len < ADMIN_LINE_MAX_BYTES ? POLLIN : 0;

	if (c->sent < c->out.len)
		events |= POLLOUT;
	if (events != c->watch.events)
		loop_watch_set(&c->watch, events);
}

static void client_flush(struct client *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->watch.fd, c->out.data + c->sent, c->out.len - c->sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			client_gone(c);
			return;
		}
		c->sent += (size_t)n;
	}
	if (c->sent == c->out.len) {
		buf_reset(&c->out);
		c->sent = 0;
	}
	client_events(c);
}

/* message is stolen. */
static void client_send(struct client *c, json_t *message)
{
	char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

	json_decref(message);
	if (!text || buf_add_str(&c->out, text) < 0 || buf_add(&c->out, "\n", 1) < 0) {
		free(text);
		client_gone(c);
		return;
	}
	free(text);
	client_flush(c);
}

static json_t *error_message(const struct err *err)
{
	/* Bytes of strangers may be in the text: what is no UTF-8 is left out. */
	json_t *text = json_string(err->text);

	if (!text) {
		char plain[sizeof(err->text)];

		for (size_t i = 0; i < sizeof(plain); i++)
			plain[i] = (unsigned char)err->text[i] < 0x80 ? err->text[i] : '?';
		text = json_string(plain);
	}
	return json_pack("{s:s, s:s, s:i, s:o}", "event", "error", "kind",
			 err_kind_name(err->kind), "num", err->num, "text", text);
}

/* --- calls ------------------------------------------------------------------------------- */

void admin_call_set_cancel(struct admin_call *call, void (*cancel)(void *arg), void *arg)
{
	call->cancel = cancel;
	call->cancel_arg = arg;
}

void admin_progress(struct admin_call *call, const char *text)
{
	struct client *c = call->client;
	bool dispatching;

	if (!c)
		return;
	/* The call must outlive what is sent about it. */
	dispatching = c->dispatching;
	c->dispatching = true;
	client_send(c, json_pack("{s:s, s:s}", "event", "progress", "text", text));
	c->dispatching = dispatching;
	if (c->dead && !c->dispatching)
		client_free(c);
}

static void call_end(struct admin_call *call, json_t *message)
{
	struct client *c = call->client;

	list_del(&call->link);
	free(call);
	if (!c) {
		json_decref(message);
		return;
	}
	c->call = NULL;
	if (c->dispatching) {
		client_send(c, message);
		return;
	}
	c->dispatching = true;
	client_send(c, message);
	c->dispatching = false;
	client_serve(c);
}

void admin_done(struct admin_call *call, json_t *result)
{
	call_end(call, json_pack("{s:s, s:o}", "event", "done", "result", result));
}

void admin_fail(struct admin_call *call, const struct err *err)
{
	call_end(call, error_message(err));
}

/* --- requests ---------------------------------------------------------------------------- */

static void line_run(struct client *c, const char *line, size_t len)
{
	const struct admin_command *command;
	struct err err = ERR_INIT;
	struct admin_call *call;
	json_t *root;

	if (admin_parse(line, len, c->admin->commands, &root, &command, &err) < 0) {
		client_send(c, error_message(&err));
		return;
	}
	call = calloc(1, sizeof(*call));
	if (!call) {
		json_decref(root);
		client_gone(c);
		return;
	}
	call->client = c;
	c->call = call;
	list_add_tail(&c->admin->calls, &call->link);
	command->run(call, root, c->admin->arg);
	json_decref(root);
}

/* Run the lines that are there, one at a time. Last thing that is done with c. */
static void client_serve(struct client *c)
{
	c->dispatching = true;
	while (!c->dead && !c->call) {
		char *nl = c->in.len ? memchr(c->in.data, '\n', c->in.len) : NULL;
		size_t len;

		if (!nl)
			break;
		len = (size_t)(nl - (char *)c->in.data) + 1;
		line_run(c, (const char *)c->in.data, len - 1);
		memmove(c->in.data, c->in.data + len, c->in.len - len);
		c->in.len -= len;
	}
	c->dispatching = false;
	if (!c->dead && !c->call && c->in.len >= ADMIN_LINE_MAX_BYTES) {
		client_gone(c);		/* a line without end */
		return;
	}
	if (c->dead)
		client_free(c);
	else
		client_events(c);
}

static void client_read(struct client *c)
{
	char data[4096];
	ssize_t n = recv(c->watch.fd, data, sizeof(data), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* One that closes its side has no interest in what it asked for. */
	if (n <= 0 || buf_add(&c->in, data, (size_t)n) < 0)
		client_gone(c);
}

static void client_ready(struct loop_watch *w, uint32_t revents)
{
	struct client *c = container_of(w, struct client, watch);

	c->dispatching = true;
	if (revents & (POLLERR | POLLHUP))
		client_gone(c);
	if (!c->dead && (revents & POLLOUT))
		client_flush(c);
	if (!c->dead && (revents & POLLIN))
		client_read(c);
	c->dispatching = false;
	client_serve(c);
}

/* --- the socket -------------------------------------------------------------------------- */

static bool peer_is_root(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.uid == 0;
}

static void client_new(struct admin *a, int fd)
{
	struct client *c = NULL;

	if (a->nclients < ADMIN_CLIENTS_MAX && peer_is_root(fd))
		c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	c->admin = a;
	c->in.max_bytes = ADMIN_LINE_MAX_BYTES + 4096;
	c->out.max_bytes = ADMIN_OUT_MAX_BYTES;
	c->watch.fd = fd;
	c->watch.events = POLLIN;
	c->watch.ready = client_ready;
	list_add_tail(&a->clients, &c->link);
	a->nclients++;
	if (loop_watch_add(a->loop, &c->watch) < 0)
		client_gone(c);
}

static void admin_ready(struct loop_watch *w, uint32_t revents)
{
	struct admin *a = container_of(w, struct admin, watch);
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)revents;
	if (fd >= 0)
		client_new(a, fd);
}

static int socket_open(struct admin *a, struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t mask;
	int r;

	a->watch.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->watch.fd < 0)
		return err_sys(err, errno, "admin socket");
	strcpy(addr.sun_path, a->path);
	unlink(a->path);	/* the single-instance lock is held: it is a dead one's */
	mask = umask(0177);
	r = bind(a->watch.fd, (struct sockaddr *)&addr, sizeof(addr));
	umask(mask);
	if (r < 0 || listen(a->watch.fd, 64) < 0)
		return err_sys(err, errno, "admin socket %s", a->path);
	return 0;
}

int admin_new(struct loop *loop, const char *run_dir, const struct admin_command *commands,
	      void *arg, struct admin **ret, struct err *err)
{
	struct admin *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return err_sys(err, ENOMEM, "admin socket");
	list_init(&a->clients);
	list_init(&a->calls);
	a->loop = loop;
	a->commands = commands;
	a->arg = arg;
	a->watch.fd = -1;
	a->watch.events = POLLIN;
	a->watch.ready = admin_ready;
	if ((size_t)snprintf(a->path, sizeof(a->path), "%s/" ADMIN_SOCKET, run_dir) >=
	    sizeof(a->path)) {
		a->path[0] = '\0';
		r = err_set(err, ERR_UNSUPPORTED, ENAMETOOLONG,
			    "run_dir %s is too long for a unix socket", run_dir);
	} else {
		r = socket_open(a, err);
	}
	if (r == 0)
		r = loop_watch_add(loop, &a->watch);
	if (r < 0) {
		admin_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void admin_stop(struct admin *a)
{
	struct admin_call *call, *tmp;

	loop_watch_del(&a->watch);
	if (a->path[0])
		unlink(a->path);
	a->path[0] = '\0';
	list_for_each_safe(call, tmp, &a->calls, link)
		call_cancel(call);
}

bool admin_is_idle(const struct admin *a)
{
	return list_is_empty(&a->calls);
}

void admin_free(struct admin *a)
{
	struct client *c, *tmp;

	if (!a)
		return;
	admin_stop(a);
	list_for_each_safe(c, tmp, &a->clients, link)
		client_gone(c);
	if (a->watch.fd >= 0)
		close(a->watch.fd);
	free(a);
}
