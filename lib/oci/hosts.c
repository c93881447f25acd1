/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hosts.c - see hosts.h. */
#include "oci/hosts.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "oci/toml.h"

#define HOSTS_FILE_MAX_BYTES 65536u
#define CA_MAX_BYTES (4u << 20)

static void conf_done(struct host_conf *c)
{
	free(c->base);
	free(c->tls.cert_file);
	free(c->tls.key_file);
	buf_done(&c->tls.ca_pem);
	memset(c, 0, sizeof(*c));
}

void hosts_done(struct hosts *h)
{
	for (size_t i = 0; i < h->n; i++)
		conf_done(&h->list[i]);
	h->n = 0;
}

bool hosts_allow_plain(const char *plain_http, const char *host)
{
	char name[300];
	const char *colon = strrchr(host, ':');
	size_t n = strlen(host);

	if (colon && !strchr(colon, ']'))
		n = (size_t)(colon - host);
	if (n >= sizeof(name))
		return false;
	memcpy(name, host, n);
	name[n] = 0;
	if (http_host_is_loopback(name))
		return true;
	while (plain_http && *plain_http) {
		size_t len = strcspn(plain_http, ", ");

		if ((len == strlen(host) && !strncasecmp(plain_http, host, len)) ||
		    (len == n && !strncasecmp(plain_http, name, len)))
			return true;
		plain_http += len;
		plain_http += strspn(plain_http, ", ");
	}
	return false;
}

static int add_ca(struct host_conf *c, const char *path, struct err *err)
{
	int r;

	c->tls.ca_pem.max_bytes = CA_MAX_BYTES;
	r = io_read_file(AT_FDCWD, path, &c->tls.ca_pem);
	if (r == 0)
		r = buf_add_str(&c->tls.ca_pem, "\n");
	return r < 0 ? err_sys(err, -r, "certificate authority %s", path) : 0;
}

static int join(const char *dir, const char *name, char **ret, struct err *err)
{
	int n = name[0] == '/' ? asprintf(ret, "%s", name) : asprintf(ret, "%s/%s", dir, name);

	if (n < 0) {
		*ret = NULL;
		return err_sys(err, ENOMEM, "%s", dir);
	}
	return 0;
}

/* --- hosts.toml ---------------------------------------------------------------------- */

static int bad_key(struct err *err, const char *dir, const char *key, const char *want)
{
	return err_set(err, ERR_UNSUPPORTED, EINVAL, "%s/hosts.toml: %s must be %s", dir, key,
		       want);
}

static int set_caps(struct host_conf *c, const struct toml_value *v, const char *dir,
		    struct err *err)
{
	if (v->kind != TOML_ARRAY)
		return bad_key(err, dir, "capabilities", "an array");
	c->caps = 0;
	for (size_t i = 0; i < v->nitems; i++) {
		const char *s = v->items[i].str;

		if (v->items[i].kind != TOML_STRING)
			return bad_key(err, dir, "capabilities", "an array of strings");
		if (!strcmp(s, "pull"))
			c->caps |= HOST_CAP_PULL;
		else if (!strcmp(s, "resolve"))
			c->caps |= HOST_CAP_RESOLVE;
		else if (!strcmp(s, "push"))
			c->caps |= HOST_CAP_PUSH;
		else
			return bad_key(err, dir, "capabilities",
				       "of \"pull\", \"resolve\", \"push\"");
	}
	return 0;
}

static int set_ca(struct host_conf *c, const struct toml_value *v, const char *dir,
		  struct err *err)
{
	size_t n = v->kind == TOML_ARRAY ? v->nitems : 1;
	const struct toml_value *items = v->kind == TOML_ARRAY ? v->items : v;

	for (size_t i = 0; i < n; i++) {
		cleanup_free char *path = NULL;
		int r;

		if (items[i].kind != TOML_STRING)
			return bad_key(err, dir, "ca", "a file name or an array of them");
		r = join(dir, items[i].str, &path, err);
		if (r == 0)
			r = add_ca(c, path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* "cert+key file", or [["cert", "key"]] of which we use the first. */
static int set_client(struct host_conf *c, const struct toml_value *v, const char *dir,
		      struct err *err)
{
	const struct toml_value *pair = v, *key = NULL;

	if (pair->kind == TOML_ARRAY && pair->nitems)
		pair = &pair->items[0];
	if (pair->kind == TOML_ARRAY && pair->nitems >= 1) {
		key = pair->nitems > 1 && *(pair->items[1].str ? pair->items[1].str : "") ?
			      &pair->items[1] : NULL;
		pair = &pair->items[0];
	}
	if (pair->kind != TOML_STRING || (key && key->kind != TOML_STRING) ||
	    c->tls.cert_file)
		return bad_key(err, dir, "client", "a file name or [[\"cert\", \"key\"]]");
	if (join(dir, pair->str, &c->tls.cert_file, err) < 0)
		return -ENOMEM;
	return key ? join(dir, key->str, &c->tls.key_file, err) : 0;
}

/* "https://h[:p][/path]" or "h[:p]" -> base URL ending in /v2, unless overridden. */
static int make_base(const char *url, bool override_path, char **ret)
{
	const char *scheme = strstr(url, "://") ? "" : "https://";
	size_t len = strlen(url);
	bool has_v2;

	while (len && url[len - 1] == '/')
		len--;
	has_v2 = len >= 3 && !memcmp(url + len - 3, "/v2", 3);
	if (asprintf(ret, "%s%.*s%s", scheme, (int)len, url,
		     override_path || has_v2 ? "" : "/v2") < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	if (!http_url_is_valid(*ret) || strpbrk(*ret, "?#")) {
		free(*ret);
		*ret = NULL;
		return -EINVAL;
	}
	return 0;
}

/* One key of the server's part or of a host's table. */
static int set_key(struct host_conf *c, const char *key, const struct toml_value *v,
		   bool *override_path, const char *dir, struct err *err)
{
	if (!strcmp(key, "capabilities"))
		return set_caps(c, v, dir, err);
	if (!strcmp(key, "ca"))
		return set_ca(c, v, dir, err);
	if (!strcmp(key, "client"))
		return set_client(c, v, dir, err);
	if (!strcmp(key, "skip_verify")) {
		if (v->kind != TOML_BOOLEAN)
			return bad_key(err, dir, key, "true or false");
		c->tls.skip_verify = v->boolean;
	}
	if (!strcmp(key, "override_path")) {
		if (v->kind != TOML_BOOLEAN)
			return bad_key(err, dir, key, "true or false");
		*override_path = v->boolean;
	}
	return 0;
}

/* Collect the keys of [host."url"] (url NULL: the top level) into c. */
static int read_conf(const struct toml *t, const char *url, const char *dir,
		     struct host_conf *c, struct err *err)
{
	unsigned depth = url ? 2 : 0;
	const char *server = url;
	bool override_path = false;
	int r;

	c->caps = HOST_CAP_ALL;
	for (size_t i = 0; i < t->nentries; i++) {
		const struct toml_entry *e = &t->entries[i];

		if (e->npath != depth + 1 || e->value.kind == TOML_TABLE)
			continue;
		if (url && (strcmp(e->path[0], "host") || strcmp(e->path[1], url)))
			continue;
		if (!url && !strcmp(e->path[0], "server")) {
			if (e->value.kind != TOML_STRING)
				return bad_key(err, dir, "server", "a string");
			server = e->value.str;
			continue;
		}
		r = set_key(c, e->path[depth], &e->value, &override_path, dir, err);
		if (r < 0)
			return r;
	}
	if (!server || !*server)
		return 0;
	r = make_base(server, override_path, &c->base);
	if (r < 0)
		return err_set(err, ERR_UNSUPPORTED, -r, "%s/hosts.toml: \"%.200s\" is no "
			       "address of a registry", dir, server);
	return 0;
}

/* Is this the first entry that mentions host.URL? */
static const char *new_host(const struct toml *t, size_t i)
{
	const struct toml_entry *e = &t->entries[i];

	if (e->npath < 2 || strcmp(e->path[0], "host"))
		return NULL;
	for (size_t j = 0; j < i; j++)
		if (t->entries[j].npath >= 2 && !strcmp(t->entries[j].path[0], "host") &&
		    !strcmp(t->entries[j].path[1], e->path[1]))
			return NULL;
	return e->path[1];
}

static int read_all(const struct toml *t, const char *dir, struct hosts *h, struct err *err)
{
	int r;

	for (size_t i = 0; i < t->nentries; i++) {
		const char *url = new_host(t, i);

		if (!url)
			continue;
		if (h->n == HOSTS_MAX)
			return err_set(err, ERR_UNSUPPORTED, E2BIG, "%s/hosts.toml: more than "
				       "%u hosts", dir, HOSTS_MAX);
		r = read_conf(t, url, dir, &h->list[h->n++], err);
		if (r < 0)
			return r;
		if (!h->list[h->n - 1].base)
			return bad_key(err, dir, "host", "[host.\"https://NAME\"]");
	}
	r = read_conf(t, NULL, dir, &h->list[h->n++], err);
	h->list[h->n - 1].is_origin = true;
	return r;
}

int hosts_parse(const char *text, size_t len, const char *dir, struct hosts *ret,
		struct err *err)
{
	struct hosts h = { 0 };
	char name[4200];
	struct toml t;
	int r;

	snprintf(name, sizeof(name), "%s/hosts.toml", dir);
	r = toml_parse(text, len, name, &t, err);
	if (r < 0)
		return r;
	r = read_all(&t, dir, &h, err);
	toml_done(&t);
	if (r < 0) {
		hosts_done(&h);
		return r;
	}
	*ret = h;
	return 0;
}

/* --- finding ------------------------------------------------------------------------- */

static bool ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n > m && !strcmp(s + n - m, end);
}

/* docker's way: *.crt are authorities, X.cert with X.key is the client's pair. */
static int read_certs(const char *dir, struct host_conf *c, struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	int r = 0;

	if (!d)
		return err_sys(err, errno, "%s", dir);
	while (r == 0 && (de = readdir(d))) {
		cleanup_free char *path = NULL;

		r = join(dir, de->d_name, &path, err);
		if (r == 0 && ends_in(de->d_name, ".crt")) {
			r = add_ca(c, path, err);
		} else if (r == 0 && ends_in(de->d_name, ".cert") && !c->tls.cert_file) {
			if (asprintf(&c->tls.key_file, "%.*s.key", (int)strlen(path) - 5,
				     path) < 0) {
				c->tls.key_file = NULL;
				r = err_sys(err, ENOMEM, "%s", dir);
			}
			c->tls.cert_file = TAKE_PTR(path);
		}
	}
	closedir(d);
	return r;
}

static int read_dir(const char *dir, struct hosts *h, struct err *err)
{
	cleanup_buf struct buf text = BUF_INIT(HOSTS_FILE_MAX_BYTES);
	cleanup_free char *path = NULL;
	int r;

	r = join(dir, "hosts.toml", &path, err);
	if (r < 0)
		return r;
	r = io_read_file(AT_FDCWD, path, &text);
	if (r == 0)
		return hosts_parse(text.data ? (char *)text.data : "", text.len, dir, h, err);
	if (r != -ENOENT)
		return err_sys(err, -r, "%s", path);
	h->n = 1;
	h->list[0].is_origin = true;
	h->list[0].caps = HOST_CAP_ALL;
	return read_certs(dir, &h->list[0], err);
}

/* ROOT/NAME if it is a directory. */
static bool try_dir(const char *root, size_t root_len, const char *name, char **ret)
{
	cleanup_free char *path = NULL;
	cleanup_close int fd = -1;

	if (asprintf(&path, "%.*s/%s", (int)root_len, root, name) < 0) {
		path = NULL;
		return false;
	}
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	*ret = TAKE_PTR(path);
	return true;
}

static char *find_dir(const char *dirs, const char *host)
{
	const char *colon = strrchr(host, ':');
	char under[300], *found = NULL;

	if (colon && strchr(colon, ']'))
		colon = NULL;
	if (colon)
		snprintf(under, sizeof(under), "%.*s_%s_", (int)(colon - host), host, colon + 1);
	while (dirs && *dirs) {
		size_t n = strcspn(dirs, ":");

		if (n && ((colon && try_dir(dirs, n, under, &found)) ||
			  try_dir(dirs, n, host, &found) ||
			  try_dir(dirs, n, "_default", &found)))
			return found;
		dirs += n + (dirs[n] == ':');
	}
	return NULL;
}

static int finish(const struct hosts_opts *opts, const char *host, struct hosts *h,
		  struct err *err)
{
	struct host_conf *origin = &h->list[h->n - 1];

	if (!origin->base) {
		const char *api = strcmp(host, "docker.io") ? host : "registry-1.docker.io";

		origin->any_scheme = hosts_allow_plain(opts->plain_http, host);
		if (asprintf(&origin->base, "%s://%s/v2", origin->any_scheme ? "http" : "https",
			     api) < 0) {
			origin->base = NULL;
			return err_sys(err, ENOMEM, "registry %s", host);
		}
		if (!http_url_is_valid(origin->base))
			return err_set(err, ERR_UNSUPPORTED, EINVAL, "registry name \"%s\" is "
				       "not valid", host);
	}
	for (size_t i = 0; opts->ca_file && i < h->n; i++) {
		int r = add_ca(&h->list[i], opts->ca_file, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int hosts_load(const struct hosts_opts *opts, const char *host, struct hosts *ret,
	       struct err *err)
{
	cleanup_free char *dir = find_dir(opts->dirs, host);
	struct hosts h = { .n = 1 };
	int r = 0;

	h.list[0].is_origin = true;
	h.list[0].caps = HOST_CAP_ALL;
	if (dir) {
		hosts_done(&h);
		r = read_dir(dir, &h, err);
	}
	if (r == 0)
		r = finish(opts, host, &h, err);
	if (r < 0) {
		hosts_done(&h);
		return r;
	}
	*ret = h;
	return 0;
}
