/* SPDX-License-Identifier: GPL-2.0-or-later */
/* creds.c - see creds.h. */
#include "oci/creds.h"

#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "oci/auth.h"
#include "oci/json.h"

#define CONFIG_MAX_BYTES (1u << 20)
#define HELPER_MAX_BYTES 65536u
#define HELPER_TIMEOUT_MS 15000u
#define DOCKER_IO_KEY "https://index.docker.io/v1/"

extern char **environ;

static void secret_free(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void creds_done(struct creds *c)
{
	secret_free(c->user);
	secret_free(c->password);
	secret_free(c->identity_token);
	memset(c, 0, sizeof(*c));
}

static void wipe_buf(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_done(b);
}

const char *creds_server_key(const char *host)
{
	return strcmp(host, "docker.io") ? host : DOCKER_IO_KEY;
}

/* Does a key of "auths" ("host", "https://host", "https://host/v1/") mean host? */
static bool key_matches(const char *key, const char *host)
{
	size_t n;

	if (!strcmp(key, creds_server_key(host)))
		return true;
	if (!strncmp(key, "https://", 8))
		key += 8;
	else if (!strncmp(key, "http://", 7))
		key += 7;
	n = strcspn(key, "/");
	if (key[n] && strcmp(key + n, "/") && strcmp(key + n, "/v1/") &&
	    strcmp(key + n, "/v1") && strcmp(key + n, "/v2/") && strcmp(key + n, "/v2"))
		return false;
	return n == strlen(host) && !strncmp(key, host, n);
}

static int copy_secret(const char *s, char **ret)
{
	char *copy = strdup(s);

	if (!copy)
		return -ENOMEM;
	secret_free(*ret);
	*ret = copy;
	return 0;
}

/* {"auth": base64("user:password")} or {"username","password"}, "identitytoken". */
static int from_entry(const json_t *entry, struct creds *ret)
{
	const char *auth = jdoc_str(entry, "auth");
	const char *user = jdoc_str(entry, "username"), *password = jdoc_str(entry, "password");
	const char *token = jdoc_str(entry, "identitytoken");
	struct buf plain = BUF_INIT(65536);
	char *colon;
	int r = 0;

	if (token && *token)
		return copy_secret(token, &ret->identity_token);
	if (auth && *auth) {
		r = auth_base64_decode(auth, &plain);
		colon = r == 0 && plain.data ? strchr((char *)plain.data, ':') : NULL;
		if (colon && strlen((char *)plain.data) != plain.len)
			colon = NULL;
		if (!colon) {
			wipe_buf(&plain);
			return r < 0 ? r : -EINVAL;
		}
		*colon = 0;
		user = (char *)plain.data;
		password = colon + 1;
	}
	if (user && *user && password) {
		r = copy_secret(user, &ret->user);
		if (r == 0)
			r = copy_secret(password, &ret->password);
	}
	wipe_buf(&plain);
	return r;
}

static bool is_helper_name(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n >= 64 || s[0] == '.' || s[0] == '-')
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
			return false;
	return true;
}

static int find_helper(const json_t *doc, const char *host, char ret[64], struct err *err)
{
	const char *name = NULL, *key;
	json_t *helpers = json_object_get(doc, "credHelpers"), *v;

	json_object_foreach(helpers, key, v)
		if (key_matches(key, host) && json_is_string(v))
			name = json_string_value(v);
	if (!name)
		name = jdoc_str(doc, "credsStore");
	ret[0] = 0;
	if (!name || !*name)
		return 0;
	if (!is_helper_name(name))
		return err_set(err, ERR_AUTH, EINVAL, "docker config.json: credential helper "
			       "name for %s is not made of letters, digits, . _ -", host);
	strcpy(ret, name);
	return 0;
}

int creds_from_config(const void *data, size_t len, const char *host, struct creds *ret,
		      char ret_helper[64], struct err *err)
{
	cleanup_json json_t *doc = NULL;
	struct creds found = { 0 };
	const char *key;
	json_t *v;
	int r;

	r = jdoc_parse(data, len, "docker config.json", &doc, err);
	if (r < 0)
		return r;
	r = find_helper(doc, host, ret_helper, err);
	if (r < 0)
		return r;
	json_object_foreach(json_object_get(doc, "auths"), key, v) {
		if (!key_matches(key, host) || !json_is_object(v))
			continue;
		/* The canonical key wins over its other spellings. */
		if ((found.user || found.identity_token) && strcmp(key, creds_server_key(host)))
			continue;
		creds_done(&found);
		r = from_entry(v, &found);
		if (r < 0) {
			creds_done(&found);
			return err_set(err, ERR_AUTH, -r, "docker config.json: the entry of "
				       "%s is malformed: run docker login again", host);
		}
	}
	*ret = found;
	return 0;
}

/* --- helpers ------------------------------------------------------------------------- */

/* The request, whole, in a pipe whose writing end is closed: no SIGPIPE, no blocking. */
static int open_request(const char *key)
{
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	r = io_write_full(fds[1], key, strlen(key));
	close(fds[1]);
	if (r < 0) {
		close(fds[0]);
		return r;
	}
	return fds[0];
}

static int spawn(const char *program, int in, int out, pid_t *ret)
{
	char *const argv[] = { (char *)program, (char *)"get", NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none, dfl;
	int r;

	sigemptyset(&none);
	sigfillset(&dfl);
	sigdelset(&dfl, SIGKILL);
	sigdelset(&dfl, SIGSTOP);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &dfl);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
					POSIX_SPAWN_SETPGROUP);
	posix_spawn_file_actions_init(&fa);
	r = posix_spawn_file_actions_adddup2(&fa, in, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&fa, out, 1);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = posix_spawnp(ret, program, &fa, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	return -r;
}

/* Everything fd gives until its end; -ETIMEDOUT, -EFBIG. */
static int read_until(int fd, uint64_t due_ms, struct buf *b)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = io_now_ms();
		uint8_t chunk[4096];
		ssize_t n;
		int r;

		if (now >= due_ms)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)(due_ms - now)) <= 0)
			continue;
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
		r = n > 0 ? buf_add(b, chunk, (size_t)n) : 0;
		explicit_bzero(chunk, sizeof(chunk));
		if (r < 0)
			return r;
	}
}

/* Wait for pid until due_ms, then kill its group; its exit status or -ETIMEDOUT. */
static int reap(pid_t pid, uint64_t due_ms)
{
	int status;
	pid_t r;

	while ((r = waitpid(pid, &status, WNOHANG)) == 0 && io_now_ms() < due_ms)
		poll(NULL, 0, 5);
	if (r == 0) {
		kill(-pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		return -ETIMEDOUT;
	}
	if (r < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int run_helper(const char *program, const char *key, uint32_t timeout_ms,
		      struct buf *out, struct err *err)
{
	uint64_t due_ms = io_now_ms() + timeout_ms;
	cleanup_close int in = open_request(key);
	int fds[2], r, status;
	pid_t pid;

	if (in < 0)
		return err_sys(err, -in, "%s: request", program);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "%s: pipe", program);
	r = spawn(program, in, fds[1], &pid);
	close(fds[1]);
	if (r < 0) {
		close(fds[0]);
		return err_set(err, ERR_AUTH, -r, "cannot run %s (named in docker "
			       "config.json): %s", program, strerror(-r));
	}
	r = read_until(fds[0], due_ms, out);
	close(fds[0]);
	status = reap(pid, r < 0 ? 0 : due_ms);
	if (r == 0 && status < 0)
		r = status;
	if (r < 0)
		return err_set(err, ERR_AUTH, -r, "%s: %s", program,
			       r == -ETIMEDOUT ? "no answer in time" :
			       r == -EFBIG ? "answer too long" : strerror(-r));
	return status;
}

static int parse_helper(const struct buf *out, const char *program, struct creds *ret,
			struct err *err)
{
	cleanup_json json_t *doc = NULL;
	const char *user, *secret;
	int r;

	r = jdoc_parse(out->data ? out->data : (const void *)"", out->len, program, &doc, err);
	if (r < 0)
		return r;
	user = jdoc_str(doc, "Username");
	secret = jdoc_str(doc, "Secret");
	if (!user || !secret)
		return err_set(err, ERR_AUTH, EINVAL, "%s: answer without Username or Secret",
			       program);
	if (!strcmp(user, "<token>")) {
		r = copy_secret(secret, &ret->identity_token);
	} else if (*user) {
		r = copy_secret(user, &ret->user);
		if (r == 0)
			r = copy_secret(secret, &ret->password);
	}
	if (r < 0) {
		creds_done(ret);
		return err_sys(err, -r, "%s", program);
	}
	return 0;
}

int creds_from_helper(const char *name, const char *host, uint32_t timeout_ms,
		      struct creds *ret, struct err *err)
{
	struct buf out = BUF_INIT(HELPER_MAX_BYTES);
	struct creds found = { 0 };
	char program[96];
	int r;

	if (!is_helper_name(name))
		return err_set(err, ERR_AUTH, EINVAL, "credential helper name not valid");
	snprintf(program, sizeof(program), "docker-credential-%s", name);
	r = run_helper(program, creds_server_key(host), timeout_ms, &out, err);
	if (r == 0) {
		r = parse_helper(&out, program, &found, err);
	} else if (r > 0 && out.data && strstr((char *)out.data, "credentials not found")) {
		r = 0;
	} else if (r > 0) {
		r = err_set(err, ERR_AUTH, EACCES, "%s get failed with exit code %d for %s",
			    program, r, host);
	}
	wipe_buf(&out);
	if (r == 0)
		*ret = found;
	return r;
}

/* config.json of a folder, or the file itself: 1; 0 if it is not there. */
static int read_config(const char *path, struct buf *ret, struct err *err)
{
	cleanup_close int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat sb;
	bool is_dir;
	int r;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 :
			err_sys(err, errno, "docker config %s", path);
	if (fstat(fd, &sb) < 0)
		return err_sys(err, errno, "docker config %s", path);
	is_dir = S_ISDIR(sb.st_mode);
	if (!is_dir && !S_ISREG(sb.st_mode))
		return 0;
	r = is_dir ? io_read_file(fd, "config.json", ret) : io_read_file(AT_FDCWD, path, ret);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? err_sys(err, -r, "%s%s", path, is_dir ? "/config.json" : "") : 1;
}

int creds_lookup(const char *config, const char *host, struct creds *ret, struct err *err)
{
	struct buf file = BUF_INIT(CONFIG_MAX_BYTES);
	struct creds plain = { 0 }, helped = { 0 };
	char helper[64] = "";
	int r;

	memset(ret, 0, sizeof(*ret));
	r = read_config(config, &file, err);
	if (r <= 0) {
		wipe_buf(&file);
		return r;
	}
	r = creds_from_config(file.data ? file.data : (const void *)"", file.len, host, &plain,
			      helper, err);
	wipe_buf(&file);
	if (r < 0)
		return err_prefix(err, "%s", config);
	if (*helper) {
		r = creds_from_helper(helper, host, HELPER_TIMEOUT_MS, &helped, err);
		if (r < 0) {
			creds_done(&plain);
			return r;
		}
	}
	if (helped.user || helped.identity_token) {
		creds_done(&plain);
		*ret = helped;
	} else {
		*ret = plain;
	}
	return 0;
}
