/* SPDX-License-Identifier: GPL-2.0-or-later */
/* toml.c - see toml.h. A recursive descent whose depth is capped by TOML_MAX_DEPTH. */
#include "oci/toml.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

struct parser {
	const char *p, *end;
	unsigned line;
	const char *name;
	struct err *err;
	struct toml doc;
	char *table[TOML_MAX_PATH];
	unsigned ntable;
};

static int fail(struct parser *ps, const char *what)
{
	return err_set(ps->err, ERR_UNSUPPORTED, EINVAL, "%s:%u: %s", ps->name, ps->line, what);
}

static int oom(struct parser *ps)
{
	return err_sys(ps->err, ENOMEM, "%s", ps->name);
}

static char peek(const struct parser *ps)
{
	return ps->p < ps->end ? *ps->p : 0;
}

static void skip_blank(struct parser *ps)
{
	while (peek(ps) == ' ' || peek(ps) == '\t')
		ps->p++;
}

static void skip_comment(struct parser *ps)
{
	if (peek(ps) == '#')
		while (ps->p < ps->end && *ps->p != '\n')
			ps->p++;
}

/* Blanks, comments and line ends. */
static void skip_lines(struct parser *ps)
{
	for (;;) {
		skip_blank(ps);
		skip_comment(ps);
		if (peek(ps) == '\r' && ps->p + 1 < ps->end && ps->p[1] == '\n')
			ps->p++;
		if (peek(ps) != '\n')
			return;
		ps->p++;
		ps->line++;
	}
}

static int end_of_line(struct parser *ps)
{
	skip_blank(ps);
	skip_comment(ps);
	if (peek(ps) == '\r')
		ps->p++;
	if (ps->p == ps->end)
		return 0;
	if (*ps->p != '\n')
		return fail(ps, "something follows the value on its line");
	ps->p++;
	ps->line++;
	return 0;
}

static void value_done(struct toml_value *v)
{
	free(v->str);
	for (size_t i = 0; i < v->nitems; i++)
		value_done(&v->items[i]);
	free(v->items);
	memset(v, 0, sizeof(*v));
}

static void path_done(char **path, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		free(path[i]);
		path[i] = NULL;
	}
}

void toml_done(struct toml *t)
{
	for (size_t i = 0; i < t->nentries; i++) {
		path_done(t->entries[i].path, t->entries[i].npath);
		value_done(&t->entries[i].value);
	}
	free(t->entries);
	memset(t, 0, sizeof(*t));
}

/* \uXXXX and \UXXXXXXXX -> UTF-8; surrogates and NUL are no characters. */
static int add_unicode(struct parser *ps, struct buf *b, unsigned digits)
{
	uint32_t v = 0;
	uint8_t out[4];
	size_t n;

	for (unsigned i = 0; i < digits; i++, ps->p++) {
		char c = peek(ps);

		if (!isxdigit((unsigned char)c))
			return fail(ps, "bad \\u escape");
		v = v << 4 | (uint32_t)(isdigit((unsigned char)c) ? c - '0' : (c | 32) - 'a' + 10);
	}
	if (v == 0 || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return fail(ps, "bad \\u escape");
	if (v < 0x80) {
		out[0] = (uint8_t)v;
		n = 1;
	} else if (v < 0x800) {
		out[0] = (uint8_t)(0xc0 | v >> 6);
		n = 2;
	} else if (v < 0x10000) {
		out[0] = (uint8_t)(0xe0 | v >> 12);
		n = 3;
	} else {
		out[0] = (uint8_t)(0xf0 | v >> 18);
		n = 4;
	}
	for (size_t i = 1; i < n; i++)
		out[i] = (uint8_t)(0x80 | (v >> (6 * (n - 1 - i)) & 0x3f));
	return buf_add(b, out, n) < 0 ? oom(ps) : 0;
}

static int add_escape(struct parser *ps, struct buf *b)
{
	static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
	char c = peek(ps);
	const char *at = c ? strchr(from, c) : NULL;

	if (ps->p == ps->end)
		return fail(ps, "string without end");
	ps->p++;
	if (c == 'u' || c == 'U')
		return add_unicode(ps, b, c == 'u' ? 4 : 8);
	if (!at)
		return fail(ps, "unknown escape in a string");
	return buf_add(b, to + (at - from), 1) < 0 ? oom(ps) : 0;
}

/* At a quote; one-line basic or literal string. */
static int take_string(struct parser *ps, char **ret)
{
	struct buf b = BUF_INIT(65536);
	char quote = *ps->p;
	int r = 0;

	if (ps->end - ps->p >= 3 && ps->p[1] == quote && ps->p[2] == quote)
		return fail(ps, "multi-line strings are not supported");
	ps->p++;
	while (r == 0 && ps->p < ps->end && *ps->p != quote) {
		unsigned char c = (unsigned char)*ps->p++;

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			r = fail(ps, "control character in a string");
		else if (c == '\\' && quote == '"')
			r = add_escape(ps, &b);
		else if (buf_add(&b, &c, 1) < 0)
			r = oom(ps);
	}
	if (r == 0 && ps->p == ps->end)
		r = fail(ps, "string without end");
	if (r == 0 && buf_add(&b, "", 0) < 0)
		r = oom(ps);
	if (r < 0) {
		buf_done(&b);
		return r;
	}
	ps->p++;
	*ret = (char *)buf_take(&b, NULL);
	return 0;
}

static bool is_bare(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* a."b".c appended to path. */
static int take_path(struct parser *ps, char **path, unsigned *n)
{
	for (;;) {
		const char *start;
		int r = 0;

		skip_blank(ps);
		if (*n == TOML_MAX_PATH)
			return fail(ps, "key with too many parts");
		start = ps->p;
		if (peek(ps) == '"' || peek(ps) == '\'') {
			r = take_string(ps, &path[*n]);
		} else {
			while (is_bare(peek(ps)))
				ps->p++;
			if (ps->p == start)
				return fail(ps, "a key is missing or has a wrong character");
			path[*n] = strndup(start, (size_t)(ps->p - start));
			if (!path[*n])
				r = oom(ps);
		}
		if (r < 0)
			return r;
		(*n)++;
		skip_blank(ps);
		if (peek(ps) != '.')
			return 0;
		ps->p++;
	}
}

static int take_value(struct parser *ps, struct toml_value *v, unsigned depth);

static int take_array(struct parser *ps, struct toml_value *v, unsigned depth)
{
	if (depth >= TOML_MAX_DEPTH)
		return fail(ps, "arrays nested too deep");
	v->kind = TOML_ARRAY;
	ps->p++;
	for (;;) {
		struct toml_value *items;
		int r;

		skip_lines(ps);
		if (peek(ps) == ']')
			break;
		if (v->nitems == TOML_MAX_ENTRIES)
			return fail(ps, "array too long");
		items = reallocarray(v->items, v->nitems + 1, sizeof(*items));
		if (!items)
			return oom(ps);
		v->items = items;
		memset(&items[v->nitems], 0, sizeof(*items));
		r = take_value(ps, &items[v->nitems++], depth + 1);
		if (r < 0)
			return r;
		skip_lines(ps);
		if (peek(ps) == ',')
			ps->p++;
		else if (peek(ps) != ']')
			return fail(ps, "array without ']'");
	}
	ps->p++;
	return 0;
}

static int take_scalar(struct parser *ps, struct toml_value *v)
{
	const char *start = ps->p;
	bool negative;
	size_t n;

	while (ps->p < ps->end && (is_bare(*ps->p) || strchr("+.:", *ps->p)))
		ps->p++;
	n = (size_t)(ps->p - start);
	v->kind = TOML_BOOLEAN;
	if (n == 4 && !memcmp(start, "true", 4)) {
		v->boolean = true;
		return 0;
	}
	if (n == 5 && !memcmp(start, "false", 5))
		return 0;
	v->kind = TOML_INTEGER;
	negative = n && start[0] == '-';
	if (n && (start[0] == '-' || start[0] == '+')) {
		start++;
		n--;
	}
	if (n == 0 || n > 18 || (n > 1 && start[0] == '0'))
		return fail(ps, "a string, integer, boolean or array is wanted here");
	for (size_t i = 0; i < n; i++) {
		if (!isdigit((unsigned char)start[i]))
			return fail(ps, "only strings, integers, booleans and arrays are "
				    "supported");
		v->integer = v->integer * 10 + (start[i] - '0');
	}
	if (negative)
		v->integer = -v->integer;
	return 0;
}

static int take_value(struct parser *ps, struct toml_value *v, unsigned depth)
{
	switch (peek(ps)) {
	case '"':
	case '\'':
		v->kind = TOML_STRING;
		return take_string(ps, &v->str);
	case '[':
		return take_array(ps, v, depth);
	case '{':
		return fail(ps, "inline tables are not supported");
	default:
		return take_scalar(ps, v);
	}
}

static bool has_path(const struct parser *ps, const struct toml_entry *e)
{
	for (size_t i = 0; i < ps->doc.nentries; i++) {
		const struct toml_entry *o = &ps->doc.entries[i];
		unsigned j = 0;

		if (o->npath != e->npath)
			continue;
		while (j < e->npath && !strcmp(o->path[j], e->path[j]))
			j++;
		if (j == e->npath)
			return true;
	}
	return false;
}

/* Takes e over, or frees it. */
static int add_entry(struct parser *ps, struct toml_entry *e)
{
	struct toml_entry *entries = NULL;
	int r;

	if (has_path(ps, e))
		r = fail(ps, "this key or table stood here before");
	else if (ps->doc.nentries == TOML_MAX_ENTRIES)
		r = fail(ps, "too many entries");
	else if (!(entries = reallocarray(ps->doc.entries, ps->doc.nentries + 1,
					  sizeof(*entries))))
		r = oom(ps);
	else
		r = 0;
	if (r < 0) {
		path_done(e->path, e->npath);
		value_done(&e->value);
		return r;
	}
	ps->doc.entries = entries;
	entries[ps->doc.nentries++] = *e;
	return 0;
}

static int copy_path(struct parser *ps, struct toml_entry *e)
{
	for (; e->npath < ps->ntable; e->npath++) {
		e->path[e->npath] = strdup(ps->table[e->npath]);
		if (!e->path[e->npath])
			return oom(ps);
	}
	return 0;
}

static int take_header(struct parser *ps)
{
	struct toml_entry e = { .value.kind = TOML_TABLE };
	int r;

	ps->p++;
	if (peek(ps) == '[')
		return fail(ps, "arrays of tables are not supported");
	path_done(ps->table, ps->ntable);
	ps->ntable = 0;
	r = take_path(ps, ps->table, &ps->ntable);
	if (r < 0)
		return r;
	if (peek(ps) != ']')
		return fail(ps, "table header without ']'");
	ps->p++;
	r = copy_path(ps, &e);
	if (r < 0) {
		path_done(e.path, e.npath);
		return r;
	}
	r = add_entry(ps, &e);
	return r < 0 ? r : end_of_line(ps);
}

static int take_pair(struct parser *ps)
{
	struct toml_entry e = { 0 };
	int r = copy_path(ps, &e);

	if (r == 0)
		r = take_path(ps, e.path, &e.npath);
	if (r == 0 && peek(ps) != '=')
		r = fail(ps, "key without '='");
	if (r == 0) {
		ps->p++;
		skip_blank(ps);
		r = take_value(ps, &e.value, 0);
	}
	if (r < 0) {
		path_done(e.path, e.npath);
		value_done(&e.value);
		return r;
	}
	r = add_entry(ps, &e);
	return r < 0 ? r : end_of_line(ps);
}

int toml_parse(const char *text, size_t len, const char *name, struct toml *ret,
	       struct err *err)
{
	struct parser ps = { .p = text, .end = text + len, .line = 1, .name = name,
			     .err = err };
	int r = 0;

	if (memchr(text, 0, len))
		r = fail(&ps, "NUL byte");
	while (r == 0) {
		skip_lines(&ps);
		if (ps.p == ps.end)
			break;
		r = *ps.p == '[' ? take_header(&ps) : take_pair(&ps);
	}
	path_done(ps.table, ps.ntable);
	if (r < 0) {
		toml_done(&ps.doc);
		return r;
	}
	*ret = ps.doc;
	return 0;
}
