/* SPDX-License-Identifier: GPL-2.0-or-later */
/* auth.c - see auth.h. */
#include "oci/auth.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

static bool is_token_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* token68 has '/' besides, which no token has. */
static size_t token_len(const char *s)
{
	size_t n = 0;

	while (is_token_char(s[n]) || s[n] == '/')
		n++;
	return n;
}

static const char *skip_space(const char *s)
{
	return s + strspn(s, " \t");
}

/* The value after '=': token or quoted string; NULL on a violation. */
static const char *take_value(const char *s, char *ret, size_t ret_size)
{
	size_t n = 0;

	if (*s != '"') {
		n = strcspn(s, " \t,\"");
		if (n == 0 || n >= ret_size)
			return NULL;
		memcpy(ret, s, n);
		ret[n] = 0;
		return s + n;
	}
	for (s++; *s != '"'; s++) {
		if (*s == '\\')
			s++;
		if ((unsigned char)*s < 0x20 || *s == 0x7f || n + 1 >= ret_size)
			return NULL;
		ret[n++] = *s;
	}
	ret[n] = 0;
	return s + 1;
}

static int set_param(struct auth_challenge *ch, const char *name, size_t name_len,
		     const char *value)
{
	static const struct {
		const char *name;
		size_t off, size;
	} params[] = {
		{ "realm", offsetof(struct auth_challenge, realm), sizeof(ch->realm) },
		{ "service", offsetof(struct auth_challenge, service), sizeof(ch->service) },
		{ "scope", offsetof(struct auth_challenge, scope), sizeof(ch->scope) },
		{ "error", offsetof(struct auth_challenge, error), sizeof(ch->error) },
	};

	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
		char *dst = (char *)ch + params[i].off;

		if (name_len != strlen(params[i].name) ||
		    strncasecmp(name, params[i].name, name_len))
			continue;
		if (*dst || strlen(value) >= params[i].size)
			return -EINVAL;
		strcpy(dst, value);
	}
	return 0;
}

/*
 * The parameters (or the token68) after a scheme name, up to the next scheme or the end.
 * ch NULL: skip them.
 */
static int take_params(const char **sp, struct auth_challenge *ch)
{
	char value[4096];
	const char *s = *sp;
	bool first = true;

	for (;;) {
		const char *start, *p = skip_space(s);
		bool comma = false;
		size_t n;

		while (*p == ',') {
			comma = true;
			p = skip_space(p + 1);
		}
		if (!*p) {
			*sp = p;
			return 0;
		}
		start = p;
		n = token_len(p);
		if (n == 0)
			return -EINVAL;
		p = skip_space(p + n);
		if (*p == '=' && p[1] && !strchr("=, \t", p[1])) {
			s = take_value(p + 1, value, sizeof(value));
			if (!s || (ch && set_param(ch, start, n, value) < 0))
				return -EINVAL;
		} else if (first && !comma) {
			s = start + n + strspn(start + n, "=");		/* token68 */
		} else if (comma && *p != '=') {
			*sp = start;					/* the next scheme */
			return 0;
		} else {
			return -EINVAL;
		}
		first = false;
	}
}

int auth_parse(const char *field, struct auth_challenge *ret)
{
	struct auth_challenge ch = { 0 };
	const char *s = field + strspn(field, ", \t");

	while (*s) {
		size_t n = token_len(s);
		const char *scheme = s;
		bool is_bearer;

		if (n == 0)
			return -EINVAL;
		s += n;
		if (*s && !strchr(" \t,", *s))
			return -EINVAL;
		is_bearer = n == 6 && !strncasecmp(scheme, "Bearer", 6) && !ch.has_bearer;
		if (take_params(&s, is_bearer ? &ch : NULL) < 0)
			return -EINVAL;
		ch.has_bearer |= is_bearer;
		ch.has_basic |= n == 5 && !strncasecmp(scheme, "Basic", 5);
	}
	*ret = ch;
	return 0;
}

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int auth_base64_encode(const void *data, size_t len, struct buf *b)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		unsigned v = (unsigned)p[i] << 16;
		char out[4];
		int r;

		if (n > 1)
			v |= (unsigned)p[i + 1] << 8;
		if (n > 2)
			v |= p[i + 2];
		out[0] = alphabet[v >> 18 & 63];
		out[1] = alphabet[v >> 12 & 63];
		out[2] = n > 1 ? alphabet[v >> 6 & 63] : '=';
		out[3] = n > 2 ? alphabet[v & 63] : '=';
		r = buf_add(b, out, 4);
		if (r < 0)
			return r;
	}
	return 0;
}

int auth_base64_decode(const char *text, struct buf *b)
{
	size_t len = strlen(text);
	unsigned v = 0, bits = 0;

	while (len && text[len - 1] == '=')
		len--;
	if (len % 4 == 1)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		const char *p = strchr(alphabet, text[i]);
		unsigned char c;
		int r;

		if (!p)
			return -EINVAL;
		v = v << 6 | (unsigned)(p - alphabet);
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		c = (unsigned char)(v >> bits);
		v &= (1u << bits) - 1;
		r = buf_add(b, &c, 1);
		if (r < 0)
			return r;
	}
	return 0;
}

int auth_basic_header(const char *user, const char *password, struct buf *b)
{
	struct buf plain = BUF_INIT(65536);
	int r;

	if (strchr(user, ':'))
		return -EINVAL;
	r = buf_addf(&plain, "%s:%s", user, password);
	if (r == 0)
		r = buf_add_str(b, "Authorization: Basic ");
	if (r == 0)
		r = auth_base64_encode(plain.data, plain.len, b);
	if (plain.data)
		explicit_bzero(plain.data, plain.cap);
	buf_done(&plain);
	return r;
}
