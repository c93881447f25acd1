/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * registry.h - start tests/tools/scripted-registry from a C test and control it.
 *
 *	struct registry reg = registry_start("--content", tap_src("tests/fixtures/soci"), NULL);
 *	registry_ctl(&reg, "fault", "{\"match\": \"GET .*blobs\", \"do\": \"reset\"}");
 *	is_int(registry_count(&reg, "GET .*blobs"), 2, "asked twice");
 *	registry_stop(&reg);
 * Skips the whole test (exit 77) if there is no python3. Include tap.h first.
 */
#ifndef LZ_TESTS_REGISTRY_H
#define LZ_TESTS_REGISTRY_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct registry {
	pid_t pid;
	int stdin_fd;
	int port, storage_port;
};

/* In the child. */
static void registry_exec(int in, int out, char **argv)
{
	dup2(in, 0);
	dup2(out, 1);
	execvp(argv[0], argv);
	_exit(127);
}

/* Arguments of the program, NULL-terminated. */
__attribute__((unused, sentinel)) static struct registry registry_start(const char *arg, ...)
{
	char *argv[32] = { "python3", (char *)tap_src("tests/tools/scripted-registry") };
	int in[2], out[2], n = 2;
	struct registry reg = { 0 };
	char line[64] = "";
	va_list ap;
	FILE *f;

	va_start(ap, arg);
	for (; arg && n < 31; arg = va_arg(ap, const char *))
		argv[n++] = strdup(arg);
	va_end(ap);
	if (access("/usr/bin/python3", X_OK)) {
		printf("1..0 # SKIP no python3 for the scripted registry\n");
		exit(77);
	}
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		bail("pipe");
	reg.pid = fork();
	if (reg.pid == 0) {
		close(in[1]);
		close(out[0]);
		registry_exec(in[0], out[1], argv);
	}
	close(in[0]);
	close(out[1]);
	while (n > 2)
		free(argv[--n]);
	reg.stdin_fd = in[1];
	f = fdopen(out[0], "r");
	if (!fgets(line, sizeof(line), f) ||
	    sscanf(line, "READY %d %d", &reg.port, &reg.storage_port) != 2)
		bail("scripted-registry does not start");
	fclose(f);
	return reg;
}

__attribute__((unused)) static void registry_stop(struct registry *reg)
{
	close(reg->stdin_fd);
	waitpid(reg->pid, NULL, 0);
}

/* POST /_ctl/WHAT; the body of the answer, good until the next call. */
__attribute__((unused)) static const char *registry_ctl(struct registry *reg,
							const char *what, const char *body)
{
	static char answer[1 << 20];
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)reg->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len = 0;
	ssize_t n;
	char *p;

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		bail("control: connect: %s", strerror(errno));
	dprintf(fd, "POST /_ctl/%s HTTP/1.1\r\nHost: c\r\nConnection: close\r\n"
		"Content-Length: %zu\r\n\r\n%s", what, strlen(body), body);
	while (len < sizeof(answer) - 1 &&
	       (n = read(fd, answer + len, sizeof(answer) - 1 - len)) > 0)
		len += (size_t)n;
	answer[len] = 0;
	close(fd);
	if (strncmp(answer, "HTTP/1.1 200", 12))
		bail("control %s %s: %.80s", what, body, answer);
	p = strstr(answer, "\r\n\r\n");
	return p ? p + 4 : "";
}

/* Requests so far whose "METHOD PATH" matches the regular expression. */
__attribute__((unused)) static int registry_count(struct registry *reg, const char *match)
{
	char body[512];

	snprintf(body, sizeof(body), "{\"match\": \"%s\"}", match);
	return atoi(registry_ctl(reg, "count", body));
}

#endif
