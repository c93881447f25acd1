/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ref.c - parsing and printing of references; see ref.h.
 *
 * Pure functions, any thread. Grammar: distribution/reference, with docker's defaults:
 * the first component is a host if it has a '.', a ':' or is "localhost".
 */
#include "oci/ref.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define REF_FORM "want [HOST[:PORT]/]REPO[:TAG][@sha256:HEX] or oci:DIR[:TAG]"

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static bool is_tag(const char *s, size_t len)
{
	if (len == 0 || len > 128 || !is_word(s[0]))
		return false;
	for (size_t i = 1; i < len; i++)
		if (!is_word(s[i]) && s[i] != '.' && s[i] != '-')
			return false;
	return true;
}

/* [a-z0-9]+ separated by one '.', one or two '_', or any number of '-'. */
static bool is_component(const char *s, size_t len)
{
	size_t i = 0;

	if (len == 0)
		return false;
	for (;;) {
		size_t start = i;

		while (i < len && (islower((unsigned char)s[i]) || isdigit((unsigned char)s[i])))
			i++;
		if (i == start)
			return false;
		if (i == len)
			return true;
		if (s[i] == '.') {
			i++;
		} else if (s[i] == '_') {
			i++;
			if (i < len && s[i] == '_')
				i++;
		} else if (s[i] == '-') {
			while (i < len && s[i] == '-')
				i++;
		} else {
			return false;
		}
	}
}

static bool is_repo(const char *s)
{
	for (;;) {
		size_t n = strcspn(s, "/");

		if (!is_component(s, n))
			return false;
		if (!s[n])
			return true;
		s += n + 1;
	}
}

static bool is_host_name(const char *s, size_t len)
{
	bool start = true;

	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (c == '.') {
			if (start || s[i - 1] == '-')
				return false;
			start = true;
			continue;
		}
		if (!isalnum((unsigned char)c) && (c != '-' || start))
			return false;
		start = false;
	}
	return len > 0 && !start && s[len - 1] != '-';
}

static bool is_host(const char *s, size_t len)
{
	size_t n = len;

	if (len && s[0] == '[') {
		const char *end = memchr(s, ']', len);

		if (!end)
			return false;
		n = (size_t)(end - s) + 1;
		for (size_t i = 1; i + 1 < n; i++)
			if (!isxdigit((unsigned char)s[i]) && s[i] != ':' && s[i] != '.')
				return false;
		if (n < 4)
			return false;
	} else {
		const char *colon = memchr(s, ':', len);

		if (colon)
			n = (size_t)(colon - s);
		if (!is_host_name(s, n))
			return false;
	}
	if (n == len)
		return true;
	if (s[n] != ':' || len - n < 2 || len - n > 6)
		return false;
	for (size_t i = n + 1; i < len; i++)
		if (!isdigit((unsigned char)s[i]))
			return false;
	return true;
}

static int refuse(struct err *err, const char *text, const char *why)
{
	return err_set(err, ERR_UNSUPPORTED, EINVAL, "image reference \"%.160s\": %s; %s",
		       text, why, REF_FORM);
}

/* Cuts "@sha256:..." off s. */
static int split_digest(char *s, struct oci_ref *ref)
{
	char *at = strchr(s, '@');

	if (!at)
		return 0;
	if (digest_parse(at + 1, strlen(at + 1), &ref->digest) < 0)
		return -EINVAL;
	ref->has_digest = true;
	*at = 0;
	return 0;
}

static int parse_layout(const char *text, char *s, struct oci_ref *ref, struct err *err)
{
	char *at = strrchr(s, '@'), *colon;

	/* A directory may hold an '@'; only a digest after it makes it ours. */
	if (at && strncmp(at, "@sha256:", 8) == 0 && split_digest(at, ref) < 0)
		return refuse(err, text, "the digest is not sha256 and 64 lower-case digits");
	colon = strrchr(s, ':');
	if (colon && !strchr(colon, '/') && !is_tag(colon + 1, strlen(colon + 1)))
		return refuse(err, text, "the tag after the last ':' is not valid");
	if (colon && !strchr(colon, '/')) {
		snprintf(ref->tag, sizeof(ref->tag), "%.128s", colon + 1);
		*colon = 0;
	}
	if (!*s)
		return refuse(err, text, "the directory is missing");
	if (strlen(s) >= sizeof(ref->dir))
		return refuse(err, text, "the directory name is too long");
	memcpy(ref->dir, s, strlen(s) + 1);
	ref->is_layout = true;
	return 0;
}

static int split_host(const char *text, char **s, struct oci_ref *ref, struct err *err)
{
	size_t n = strcspn(*s, "/");
	bool is_name = (*s)[n] == '/' &&
		       (memchr(*s, '.', n) || memchr(*s, ':', n) ||
			(n == 9 && memcmp(*s, "localhost", 9) == 0));

	if (!is_name) {
		strcpy(ref->host, "docker.io");
		return 0;
	}
	if (n >= sizeof(ref->host) || !is_host(*s, n))
		return refuse(err, text, "the registry name is not valid");
	memcpy(ref->host, *s, n);
	ref->host[n] = 0;
	for (char *p = ref->host; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (!strcmp(ref->host, "index.docker.io") || !strcmp(ref->host, "registry-1.docker.io"))
		strcpy(ref->host, "docker.io");
	*s += n + 1;
	return 0;
}

static int parse_registry(const char *text, char *s, struct oci_ref *ref, struct err *err)
{
	const char *prefix;
	char *colon;
	int r;

	if (split_digest(s, ref) < 0)
		return refuse(err, text, "the digest is not sha256 and 64 lower-case digits");
	r = split_host(text, &s, ref, err);
	if (r < 0)
		return r;
	colon = strchr(s, ':');
	if (colon) {
		if (!is_tag(colon + 1, strlen(colon + 1)))
			return refuse(err, text, "the tag is not valid");
		snprintf(ref->tag, sizeof(ref->tag), "%.128s", colon + 1);
		*colon = 0;
	} else if (!ref->has_digest) {
		strcpy(ref->tag, "latest");
	}
	prefix = !strcmp(ref->host, "docker.io") && !strchr(s, '/') ? "library/" : "";
	if (strlen(prefix) + strlen(s) >= sizeof(ref->repo))
		return refuse(err, text, "the repository name is longer than 255");
	if (!is_repo(s))
		return refuse(err, text, "the repository name is not valid (lower case, "
			      "digits, and . _ - between them)");
	strcpy(ref->repo, prefix);
	strcat(ref->repo, s);
	return 0;
}

int oci_ref_parse(const char *text, struct oci_ref *ret, struct err *err)
{
	struct oci_ref ref = { 0 };
	cleanup_free char *copy = NULL;
	int r;

	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(err, ERR_UNSUPPORTED, EINVAL,
				       "image reference: control character; %s", REF_FORM);
	copy = strdup(text);
	if (!copy)
		return err_sys(err, ENOMEM, "image reference");
	if (strncmp(copy, "oci:", 4) == 0)
		r = parse_layout(text, copy + 4, &ref, err);
	else
		r = parse_registry(text, copy, &ref, err);
	if (r < 0)
		return r;
	*ret = ref;
	return 0;
}

void oci_ref_format(const struct oci_ref *ref, char *ret, size_t ret_size)
{
	char digest[DIGEST_TEXT_SIZE] = "";

	if (ref->has_digest)
		digest_format(&ref->digest, digest);
	if (ref->is_layout)
		snprintf(ret, ret_size, "oci:%s%s%s%s%s", ref->dir, *ref->tag ? ":" : "",
			 ref->tag, *digest ? "@" : "", digest);
	else
		snprintf(ret, ret_size, "%s/%s%s%s%s%s", ref->host, ref->repo,
			 *ref->tag ? ":" : "", ref->tag, *digest ? "@" : "", digest);
}
