/* SPDX-License-Identifier: GPL-2.0-or-later */
/* admin_test.c - the admin socket: requests checked, answers, slow and vanishing clients. */
#include "tests/unit/tap.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/control/admin.h"

static struct loop *loop;
static struct admin_call *held;
static int cancelled;

static void run_echo(struct admin_call *call, json_t *request, void *arg)
{
	(void)arg;
	admin_progress(call, "on the way");
	admin_done(call, json_pack("{s:O}", "text", json_object_get(request, "text")));
}

static void cancel(void *arg)
{
	(void)arg;
	cancelled++;
}

static void run_hold(struct admin_call *call, json_t *request, void *arg)
{
	(void)request;
	(void)arg;
	held = call;
	admin_call_set_cancel(call, cancel, NULL);
}

static void run_much(struct admin_call *call, json_t *request, void *arg)
{
	static char text[1 << 20];

	(void)request;
	(void)arg;
	memset(text, 'x', sizeof(text) - 1);
	admin_call_set_cancel(call, cancel, NULL);
	for (int i = 0; i < 40; i++)
		admin_progress(call, text);
	admin_done(call, json_null());
}

static const struct admin_field echo_fields[] = {
	{ "text", JSON_STRING, true }, { "n", JSON_INTEGER, false }, { "b", JSON_TRUE, false },
	{ .name = NULL },
};
static const struct admin_field none[] = { { .name = NULL } };
static const struct admin_command commands[] = {
	{ "echo", echo_fields, run_echo }, { "hold", none, run_hold },
	{ "much", none, run_much }, { .name = NULL },
};

static const char *refused(const char *text, size_t len)
{
	static struct err err;
	const struct admin_command *c;
	json_t *root = NULL;

	memset(&err, 0, sizeof(err));
	if (admin_parse(text, len, commands, &root, &c, &err) == 0) {
		json_decref(root);
		return "accepted";
	}
	return err.text;
}
#define REFUSED(text) refused(text, sizeof(text) - 1)

static void test_parse(void)
{
	is_str(REFUSED("{\"cmd\":\"echo\",\"text\":\"a\",\"n\":1,\"b\":false}"), "accepted", "a request");
	ok(strstr(REFUSED(""), "no JSON"), "nothing");
	ok(strstr(REFUSED("{\"cmd\":\"echo\""), "no JSON"), "half");
	ok(strstr(REFUSED("[]"), "no \"cmd\""), "no object");
	ok(strstr(REFUSED("{\"cmd\":5}"), "no \"cmd\""), "command of another type");
	ok(strstr(REFUSED("{\"cmd\":\"boom\"}"), "unknown command"), "unknown command");
	ok(strstr(REFUSED("{\"cmd\":\"echo\"}"), "needs \"text\""), "missing field");
	ok(strstr(REFUSED("{\"cmd\":\"echo\",\"text\":1}"), "wrong type"), "wrong type");
	ok(strstr(REFUSED("{\"cmd\":\"echo\",\"text\":\"a\",\"b\":1}"), "wrong type"), "no boolean");
	ok(strstr(REFUSED("{\"cmd\":\"echo\",\"text\":\"a\",\"z\":1}"), "takes no"), "unknown field");
	ok(strstr(REFUSED("{\"cmd\":\"echo\",\"text\":\"a\",\"text\":\"b\"}"), "no JSON"), "twice");
	ok(strstr(REFUSED("{\"cmd\":\"echo\",\"text\":\"a\\u0000\"}"), "JSON"), "NUL");
	ok(strstr(REFUSED("{\"cmd\":\"echo\",\"text\":\"\xff\"}"), "no JSON"), "no UTF-8");
}

static int client(const char *dir)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" ADMIN_SOCKET, dir);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		bail("connect: %s", strerror(errno));
	return fd;
}

/* What arrives until n lines are there, or the other side closes. */
static char *lines(int fd, int n)
{
	static char text[1 << 16];
	size_t len = 0;

	for (int i = 0; i < 500 && n > 0; i++) {
		ssize_t got = recv(fd, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT);

		if (got == 0)
			break;
		if (got < 0) {
			loop_turn(loop, 10, NULL);
			continue;
		}
		for (ssize_t k = 0; k < got; k++)
			n -= text[len + (size_t)k] == '\n';
		len += (size_t)got;
	}
	text[len] = '\0';
	return text;
}

static void say(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		bail("send: %s", strerror(errno));
}

static void turns(int n)
{
	while (n--)
		loop_turn(loop, 5, NULL);
}

static void test_server(const char *dir)
{
	struct admin *a;
	int fd, slow;

	if (admin_new(loop, dir, commands, NULL, &a, NULL) < 0)
		bail("admin_new");
	fd = client(dir);
	say(fd, "{\"cmd\":\"echo\",\"text\":\"1\"}\n{\"cmd\":\"echo\",\"text\":\"2\"}\nnonsense\n");
	is_str(lines(fd, 5),
	       "{\"event\":\"progress\",\"text\":\"on the way\"}\n"
	       "{\"event\":\"done\",\"result\":{\"text\":\"1\"}}\n"
	       "{\"event\":\"progress\",\"text\":\"on the way\"}\n"
	       "{\"event\":\"done\",\"result\":{\"text\":\"2\"}}\n"
	       "{\"event\":\"error\",\"kind\":\"unsupported\",\"num\":22,\"text\":\"request: no JSON: "
	       "'[' or '{' expected near 'nonsense'\"}\n", "requests in order, one with an error");
	say(fd, "{\"cmd\":\"hold\"}\n{\"cmd\":\"echo\",\"text\":\"3\"}\n");
	turns(5);
	slow = client(dir);
	say(slow, "{\"cmd\":\"much\"}\n");
	turns(20);
	is_int(cancelled, 1, "a client that does not read is dropped");
	close(slow);
	ok(held != NULL, "a call under way holds up nobody else");
	admin_done(held, json_null());
	ok(strstr(lines(fd, 3), "\"3\""), "the next request follows its end");
	say(fd, "{\"cmd\":\"hold\"}\n");
	turns(5);
	close(fd);
	turns(5);
	is_int(cancelled, 2, "a client that goes away cancels");
	ok(!admin_is_idle(a), "the call is still to end");
	admin_done(held, json_null());
	ok(admin_is_idle(a), "and ends without its client");
	fd = client(dir);
	static char noise[ADMIN_LINE_MAX_BYTES + 10];

	memset(noise, 'a', sizeof(noise) - 1);
	say(fd, noise);
	turns(40);
	is_int(recv(fd, noise, 1, MSG_DONTWAIT) <= 0 ? 0 : 1, 0, "a line without end is dropped");
	close(fd);
	admin_free(a);
}

int main(void)
{
	char dir[] = "/tmp/lz-admin.XXXXXX";

	test_parse();
	if (geteuid() == 0) {
		if (!mkdtemp(dir) || loop_new(&loop, NULL) < 0)
			bail("set-up");
		test_server(dir);
		loop_free(loop);
		rmdir(dir);
	} else {
		ok(true, "the server serves root only # SKIP not root");
	}
	return tap_done();
}
