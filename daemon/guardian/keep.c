/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keep.c - the table of descriptors and the requests on it; see proto.h. One thread. */
#include "daemon/guardian/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "daemon/guardian/wire.h"

void keep_init(struct keep *k)
{
	memset(k, 0, sizeof(*k));
	k->grace_ms = KEEP_GRACE_DEFAULT_MS;
	k->absent_since_ms = io_now_ms();
	for (int i = 0; i < KEEP_CLIENTS_MAX; i++)
		k->clients[i].sock = -1;
}

static struct keep_entry *entry_find(const struct keep *k, const char *name)
{
	for (int i = 0; i < KEEP_NAMES_MAX; i++)
		if (!strcmp(k->entries[i].name, name))
			return (struct keep_entry *)&k->entries[i];
	return NULL;
}

int keep_fd(const struct keep *k, const char *name)
{
	const struct keep_entry *e = entry_find(k, name);

	return e && name[0] ? e->fd : -1;
}

bool keep_has_daemon(const struct keep *k)
{
	for (int i = 0; i < KEEP_CLIENTS_MAX; i++)
		if (k->clients[i].sock >= 0 && k->clients[i].daemon)
			return true;
	return false;
}

bool keep_is_idle(const struct keep *k)
{
	for (int i = 0; i < KEEP_CLIENTS_MAX; i++)
		if (k->clients[i].sock >= 0)
			return false;
	for (int i = 0; i < KEEP_NAMES_MAX; i++)
		if (k->entries[i].name[0])
			return false;
	return true;
}

static bool name_is_valid(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return n > 0 && !name[n];
}

static int keep_put(struct keep *k, const char *name, int *fd)
{
	struct keep_entry *e;

	if (!name_is_valid(name) || *fd < 0)
		return -EINVAL;
	e = entry_find(k, name);
	if (!e) {
		e = entry_find(k, "");
		if (!e)
			return -ENOSPC;
		strcpy(e->name, name);
	} else {
		close(e->fd);
	}
	e->fd = TAKE_FD(*fd);
	return 0;
}

static int keep_drop(struct keep *k, const char *name)
{
	struct keep_entry *e = name_is_valid(name) ? entry_find(k, name) : NULL;

	if (!e)
		return -ENOENT;
	close(e->fd);
	e->name[0] = 0;
	return 0;
}

static int keep_hello(struct keep *k, struct keep_client *c, uint32_t grace_ms)
{
	if (keep_has_daemon(k) && !c->daemon)
		return -EBUSY;
	c->daemon = true;
	k->grace_ms = grace_ms < KEEP_GRACE_MAX_MS ? grace_ms : KEEP_GRACE_MAX_MS;
	return 0;
}

static void client_end(struct keep *k, struct keep_client *c)
{
	if (c->daemon) {
		if (k->served)
			k->absent_since_ms = io_now_ms();
		k->served = false;
		guardian_log("the daemon is gone; its readers wait for at most %u ms",
			     k->grace_ms);
	}
	close(c->sock);
	c->sock = -1;
	c->daemon = false;
}

void keep_client_add(struct keep *k, int listen_sock)
{
	cleanup_close int sock = accept4(listen_sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (sock < 0)
		return;
	if (guardian_wire_peer_check(sock) < 0) {
		guardian_log("refused a connection that is not root's");
		return;
	}
	for (int i = 0; i < KEEP_CLIENTS_MAX; i++)
		if (k->clients[i].sock < 0) {
			k->clients[i].sock = TAKE_FD(sock);
			return;
		}
	guardian_log("refused a connection: there are %d already", KEEP_CLIENTS_MAX);
}

void keep_client_serve(struct keep *k, struct keep_client *c)
{
	struct guardian_msg m;
	cleanup_close int fd = -1;
	int r = guardian_wire_recv(c->sock, &m, &fd), give = -1;

	if (r == -EAGAIN)
		return;
	if (r <= 0) {
		client_end(k, c);
		return;
	}
	switch (m.op) {
	case GUARDIAN_HELLO:
		m.status = keep_hello(k, c, m.value);
		break;
	case GUARDIAN_PUT:
		m.status = c->daemon ? keep_put(k, m.name, &fd) : -EPERM;
		break;
	case GUARDIAN_GET:
		give = c->daemon && m.name[0] ? keep_fd(k, m.name) : -1;
		m.status = !c->daemon ? -EPERM : give < 0 ? -ENOENT : 0;
		break;
	case GUARDIAN_DROP:
		m.status = c->daemon ? keep_drop(k, m.name) : -EPERM;
		break;
	case GUARDIAN_SERVING:
		m.status = c->daemon ? 0 : -EPERM;
		k->served = k->served || c->daemon;
		break;
	default:
		m.status = -ENOSYS;
	}
	if (guardian_wire_send(c->sock, &m, give, MSG_DONTWAIT) < 0)
		client_end(k, c);
}
