/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config.c - see config.h. */
#include "daemon/config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "daemon/log.h"

#define MAX_MS 86400000u

static const struct config_choice kernel_paths[] = {
	{ "auto", CONFIG_PATH_AUTO },
	{ "fanotify", CONFIG_PATH_FANOTIFY },
	{ "cachefiles", CONFIG_PATH_CACHEFILES },
	{ NULL, 0 },
};

static const struct config_choice unindexed_words[] = {
	{ "build", CONFIG_UNINDEXED_BUILD },
	{ "refuse", CONFIG_UNINDEXED_REFUSE },
	{ NULL, 0 },
};

static const struct config_choice log_levels[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "warning", LOG_LEVEL_WARNING },
	{ "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
	{ NULL, 0 },
};

#define AT(member) offsetof(struct config, member)
#define KEEP false
#define RELOAD true

/* name, type, where, default, min, max, choices, reload, help */
const struct config_key config_keys[] = {
	{ "dir", CONFIG_DIR, AT(dir), "/var/cache/lazyerofs", 0, 0, NULL, KEEP,
	  "Where layers and images are kept. On ext4, xfs or btrfs; not on tmpfs or overlayfs." },
	{ "run_dir", CONFIG_DIR, AT(run_dir), "/run/lazyerofs", 0, 0, NULL, KEEP,
	  "Sockets, the lock and the private bind mounts of the cache." },

	{ "kernel_path", CONFIG_CHOICE, AT(kernel_path), "auto", 0, 0, kernel_paths, KEEP,
	  "How the kernel asks for missing bytes: fanotify, cachefiles, or auto: the first of\n"
	  "the two that proves itself on this machine." },
	{ "tag", CONFIG_NAME, AT(tag), "lazyerofs", 0, 0, NULL, KEEP,
	  "cachefiles: name of the cache in the kernel." },
	{ "domain", CONFIG_NAME, AT(domain), "lazyerofs", 0, 0, NULL, KEEP,
	  "cachefiles: domain in which images share layers." },
	{ "brun", CONFIG_PERCENT, AT(brun), "7%", 1, 99, NULL, KEEP,
	  "cachefiles: free blocks above which nothing is culled." },
	{ "bcull", CONFIG_PERCENT, AT(bcull), "5%", 1, 99, NULL, KEEP,
	  "cachefiles: free blocks below which culling begins." },
	{ "bstop", CONFIG_PERCENT, AT(bstop), "1%", 0, 99, NULL, KEEP,
	  "cachefiles: free blocks below which nothing is written." },
	{ "frun", CONFIG_PERCENT, AT(frun), "7%", 1, 99, NULL, KEEP,
	  "The same for free inodes." },
	{ "fcull", CONFIG_PERCENT, AT(fcull), "5%", 1, 99, NULL, KEEP,
	  "The same for free inodes." },
	{ "fstop", CONFIG_PERCENT, AT(fstop), "1%", 0, 99, NULL, KEEP,
	  "The same for free inodes." },
	{ "any_kernel", CONFIG_BOOL, AT(any_kernel), "off", 0, 0, NULL, KEEP,
	  "cachefiles: serve on a kernel with known bugs, too. Do not, in production." },
	{ "shards", CONFIG_NUMBER, AT(shards), "1", 1, 8, NULL, KEEP,
	  "fanotify: number of groups. More than one pays with more than four readers that\n"
	  "wait at once." },
	{ "grace_ms", CONFIG_NUMBER, AT(grace_ms), "60000", 0, MAX_MS, NULL, KEEP,
	  "How long readers wait for a daemon that is gone before they get an I/O error." },

	{ "deadline_ms", CONFIG_NUMBER, AT(deadline_ms), "60000", 100, MAX_MS, NULL, KEEP,
	  "How long one read may wait for the registry before it gets an I/O error." },
	{ "memory_mb", CONFIG_NUMBER, AT(memory_mb), "128", 8, 65536, NULL, KEEP,
	  "Memory for bytes under way, compressed and inflated." },
	{ "spool_mb", CONFIG_NUMBER, AT(spool_mb), "16", 1, 65536, NULL, KEEP,
	  "Spans larger than this wait in a temporary file instead of in memory." },
	{ "jobs", CONFIG_NUMBER, AT(jobs), "8", 1, 256, NULL, KEEP,
	  "Range requests at once for readers that wait." },
	{ "threads", CONFIG_NUMBER, AT(threads), "0", 0, 16, NULL, KEEP,
	  "Threads that hash, inflate and write; 0: one per core." },
	{ "sync_ms", CONFIG_NUMBER, AT(sync_ms), "5000", 0, MAX_MS, NULL, KEEP,
	  "How often what was fetched is made safe against a power cut; 0: when a layer is whole." },
	{ "resolve_timeout_s", CONFIG_NUMBER, AT(resolve_timeout_s), "600", 1, 86400, NULL, RELOAD,
	  "How long looking up an image and fetching its zTOCs may take." },
	{ "mkfs_timeout_s", CONFIG_NUMBER, AT(mkfs_timeout_s), "300", 1, 86400, NULL, RELOAD,
	  "How long making the file system of an image may take." },

	{ "background", CONFIG_BOOL, AT(background), "on", 0, 0, NULL, RELOAD,
	  "Fetch the rest of mounted images while no reader waits." },
	{ "background_jobs", CONFIG_NUMBER, AT(background_jobs), "1", 1, 64, NULL, KEEP,
	  "Range requests at once for that." },
	{ "background_rate_kb", CONFIG_NUMBER, AT(background_rate_kb), "0", 0, UINT32_MAX, NULL,
	  KEEP, "KiB per second for that; 0: no limit." },

	{ "docker_config", CONFIG_TEXT, AT(docker_config), "", 0, 0, NULL, KEEP,
	  "Folder of docker's config.json with the credentials, or such a file; empty:\n"
	  "$DOCKER_CONFIG, else ~/.docker of the daemon." },
	{ "hosts_dirs", CONFIG_TEXT, AT(hosts_dirs), "", 0, 0, NULL, KEEP,
	  "Colon list of folders with hosts.toml (mirrors, certificates); empty:\n"
	  "/etc/containerd/certs.d and /etc/docker/certs.d." },
	{ "ca_file", CONFIG_TEXT, AT(ca_file), "", 0, 0, NULL, KEEP,
	  "File of further certificate authorities." },
	{ "plain_http", CONFIG_TEXT, AT(plain_http), "", 0, 0, NULL, KEEP,
	  "Comma list of host[:port] that are spoken to without TLS." },
	{ "unindexed", CONFIG_CHOICE, AT(unindexed), "build", 0, 0, unindexed_words, RELOAD,
	  "Layers that the SOCI index leaves out (small ones): build: fetch them whole at mount\n"
	  "and index them here; refuse: fail the mount." },

	{ "log_level", CONFIG_CHOICE, AT(log_level), "info", 0, 0, log_levels, RELOAD,
	  "error, warning, info or debug." },
	{ .name = NULL },
};

static const struct config_key *key_find(const char *name)
{
	for (const struct config_key *k = config_keys; k->name; k++)
		if (strcmp(k->name, name) == 0)
			return k;
	return NULL;
}

static void *at(struct config *c, const struct config_key *k)
{
	return (char *)c + k->offset;
}

static int bad(struct err *err, const char *name, unsigned line, const char *key,
	       const char *what)
{
	if (line)
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "%s, line %u: %s: %s", name, line,
			       key, what);
	return err_set(err, ERR_UNSUPPORTED, EINVAL, "%s: %s: %s", name, key, what);
}

/* --- one value --------------------------------------------------------------------- */

static const char *put_text(struct config *c, const struct config_key *k, const char *v)
{
	size_t n = strlen(v);

	if (n >= CONFIG_TEXT_SIZE)
		return "longer than 1023 characters";
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)v[i] < 0x20 || v[i] == 0x7f)
			return "holds a control character";
	if (k->type == CONFIG_DIR && (v[0] != '/' || strstr(v, "/../") || !v[1]))
		return "wants an absolute path";
	if (k->type == CONFIG_NAME) {
		if (n == 0 || n > 64)
			return "wants 1 to 64 characters";
		if (strspn(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			      "0123456789._-") != n)
			return "wants letters, digits, '.', '_' and '-' only";
	}
	memcpy(at(c, k), v, n + 1);
	/* One spelling per folder: no slash at the end. */
	while (k->type == CONFIG_DIR && n > 1 && ((char *)at(c, k))[n - 1] == '/')
		((char *)at(c, k))[--n] = '\0';
	return NULL;
}

static const char *put_number(struct config *c, const struct config_key *k, const char *v,
			      char reason[128])
{
	size_t digits = strspn(v, "0123456789");
	unsigned long long n;

	errno = 0;
	n = strtoull(v, NULL, 10);
	if (digits == 0 || errno ||
	    (v[digits] && !(k->type == CONFIG_PERCENT && strcmp(v + digits, "%") == 0)) ||
	    n < k->min || n > k->max) {
		snprintf(reason, 128, "wants a number from %u to %u%s", k->min, k->max,
			 k->type == CONFIG_PERCENT ? ", in percent" : "");
		return reason;
	}
	*(uint32_t *)at(c, k) = (uint32_t)n;
	return NULL;
}

static const char *put_choice(struct config *c, const struct config_key *k, const char *v,
			      char reason[128])
{
	size_t n;

	for (const struct config_choice *w = k->choices; w->word; w++)
		if (strcmp(w->word, v) == 0) {
			*(uint32_t *)at(c, k) = w->value;
			return NULL;
		}
	n = (size_t)snprintf(reason, 128, "wants one of:");
	for (const struct config_choice *w = k->choices; w->word && n < 100; w++)
		n += (size_t)snprintf(reason + n, 128 - n, " %s", w->word);
	return reason;
}

static const char *put_bool(struct config *c, const struct config_key *k, const char *v)
{
	bool on = !strcmp(v, "on") || !strcmp(v, "yes") || !strcmp(v, "true");

	if (!on && strcmp(v, "off") && strcmp(v, "no") && strcmp(v, "false"))
		return "wants on or off";
	*(bool *)at(c, k) = on;
	return NULL;
}

/* NULL, or why the value was refused. */
static const char *put(struct config *c, const struct config_key *k, const char *v,
		       char reason[128])
{
	switch (k->type) {
	case CONFIG_DIR:
	case CONFIG_TEXT:
	case CONFIG_NAME:
		return put_text(c, k, v);
	case CONFIG_NUMBER:
	case CONFIG_PERCENT:
		return put_number(c, k, v, reason);
	case CONFIG_CHOICE:
		return put_choice(c, k, v, reason);
	case CONFIG_BOOL:
		return put_bool(c, k, v);
	}
	return "has no type";
}

void config_defaults(struct config *c)
{
	char reason[128];

	memset(c, 0, sizeof(*c));
	for (const struct config_key *k = config_keys; k->name; k++)
		put(c, k, k->dflt, reason);
}

int config_set(struct config *c, const char *key, const char *value, const char *name,
	       struct err *err)
{
	const struct config_key *k = key_find(key);
	char reason[128];
	const char *why = k ? put(c, k, value, reason) : "unknown key";

	return why ? bad(err, name, 0, key, why) : 0;
}

/* --- the file ---------------------------------------------------------------------- */

/* One line, NUL-terminated, changed in place: key and value, or key NULL. */
static void split(char *line, char **ret_key, char **ret_value)
{
	char *end = line + strlen(line);

	line += strspn(line, " \t");
	while (end > line && strchr(" \t\r", end[-1]))
		*--end = '\0';
	*ret_key = NULL;
	if (!*line || *line == '#')
		return;
	*ret_key = line;
	line += strcspn(line, " \t");
	if (*line)
		*line++ = '\0';
	*ret_value = line + strspn(line, " \t");
}

static int parse_line(struct config *c, char *line, const char *name, unsigned number,
		      bool *seen, struct err *err)
{
	const struct config_key *k;
	char *key, *value, reason[128];
	const char *why;

	split(line, &key, &value);
	if (!key)
		return 0;
	k = key_find(key);
	if (!k)
		return bad(err, name, number, key,
			   "unknown key (lazyerofsd --print-config lists them)");
	if (seen[k - config_keys])
		return bad(err, name, number, key, "given twice");
	seen[k - config_keys] = true;
	why = put(c, k, value, reason);
	return why ? bad(err, name, number, key, why) : 0;
}

int config_parse(struct config *c, const char *text, size_t len, const char *name,
		 struct err *err)
{
	bool seen[sizeof(config_keys) / sizeof(config_keys[0])] = { false };
	char line[CONFIG_TEXT_SIZE + 128];
	unsigned number = 0;

	while (len > 0) {
		const char *nl = memchr(text, '\n', len);
		size_t n = nl ? (size_t)(nl - text) : len;
		int r;

		number++;
		if (n >= sizeof(line) || memchr(text, '\0', n))
			return err_set(err, ERR_UNSUPPORTED, EINVAL,
				       "%s, line %u: too long, or no text", name, number);
		memcpy(line, text, n);
		line[n] = '\0';
		r = parse_line(c, line, name, number, seen, err);
		if (r < 0)
			return r;
		text += nl ? n + 1 : n;
		len -= nl ? n + 1 : n;
	}
	return 0;
}

int config_check(const struct config *c, struct err *err)
{
	size_t n = strlen(c->dir);

	if (!(c->brun > c->bcull && c->bcull > c->bstop))
		return err_set(err, ERR_UNSUPPORTED, EINVAL,
			       "configuration: brun > bcull > bstop must hold (%u, %u, %u)",
			       c->brun, c->bcull, c->bstop);
	if (!(c->frun > c->fcull && c->fcull > c->fstop))
		return err_set(err, ERR_UNSUPPORTED, EINVAL,
			       "configuration: frun > fcull > fstop must hold (%u, %u, %u)",
			       c->frun, c->fcull, c->fstop);
	if (strncmp(c->dir, c->run_dir, n) == 0 && (!c->run_dir[n] || c->run_dir[n] == '/'))
		return err_set(err, ERR_UNSUPPORTED, EINVAL,
			       "configuration: run_dir %s must not lie in dir %s", c->run_dir,
			       c->dir);
	return 0;
}

int config_load(struct config *c, const char *path, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(CONFIG_FILE_MAX_BYTES);
	int r = io_read_file(AT_FDCWD, path, &b);

	config_defaults(c);
	if (r < 0)
		return err_sys(err, -r, "%s", path);
	r = config_parse(c, (const char *)b.data, b.len, path, err);
	return r < 0 ? r : config_check(c, err);
}

/* --- printing, reloading ----------------------------------------------------------- */

const char *config_value(const struct config *c, const struct config_key *k,
			 char ret[CONFIG_TEXT_SIZE])
{
	const void *p = (const char *)c + k->offset;

	switch (k->type) {
	case CONFIG_DIR:
	case CONFIG_TEXT:
	case CONFIG_NAME:
		return p;
	case CONFIG_BOOL:
		return *(const bool *)p ? "on" : "off";
	case CONFIG_CHOICE:
		for (const struct config_choice *w = k->choices; w->word; w++)
			if (w->value == *(const uint32_t *)p)
				return w->word;
		return "";
	case CONFIG_NUMBER:
	case CONFIG_PERCENT:
		break;
	}
	snprintf(ret, CONFIG_TEXT_SIZE, "%u%s", *(const uint32_t *)p,
		 k->type == CONFIG_PERCENT ? "%" : "");
	return ret;
}

void config_reload(struct config *c, const struct config *fresh,
		   void (*ignored)(void *arg, const struct config_key *key), void *arg)
{
	char a[CONFIG_TEXT_SIZE], b[CONFIG_TEXT_SIZE], reason[128];

	for (const struct config_key *k = config_keys; k->name; k++) {
		const char *now = config_value(c, k, a), *want = config_value(fresh, k, b);

		if (strcmp(now, want) == 0)
			continue;
		if (k->reload)
			put(c, k, want, reason);
		else if (ignored)
			ignored(arg, k);
	}
}

static void print_comment(FILE *f, const char *text)
{
	fputs("# ", f);
	for (; *text; text++) {
		fputc(*text, f);
		if (*text == '\n')
			fputs("# ", f);
	}
	fputc('\n', f);
}

void config_print(const struct config *c, FILE *f)
{
	char text[CONFIG_TEXT_SIZE];

	fputs("# lazyerofs.conf - settings of lazyerofsd; see lazyerofs.conf(5).\n"
	      "# What stands behind a '#' is the default.\n", f);
	for (const struct config_key *k = config_keys; k->name; k++) {
		const char *v = config_value(c, k, text);

		fputc('\n', f);
		print_comment(f, k->help);
		if (k->type == CONFIG_NUMBER)
			fprintf(f, "# From %u to %u.", k->min, k->max);
		fputs(k->type == CONFIG_NUMBER ? " " : "# ", f);
		fprintf(f, "%s\n", k->reload ? "Taken over on reload." : "Needs a restart.");
		fprintf(f, "%s%s%s%s\n", strcmp(v, k->dflt) == 0 ? "#" : "", k->name,
			*v ? " " : "", v);
	}
}
