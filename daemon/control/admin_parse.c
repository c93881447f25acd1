/* SPDX-License-Identifier: GPL-2.0-or-later */
/* admin_parse.c - requests of the admin socket, checked; see admin.h. Pure. */
#include <string.h>

#include "base/cleanup.h"
#include "daemon/control/admin.h"

static int check_field(const struct admin_field *f, const json_t *v, struct err *err)
{
	bool fits = f->type == JSON_TRUE ? json_is_boolean(v) : json_typeof(v) == f->type;

	if (!fits)
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "request: \"%s\" is of the wrong type",
			       f->name);
	/* Texts become C strings. */
	if (f->type == JSON_STRING && strlen(json_string_value(v)) != json_string_length(v))
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "request: \"%s\" holds NUL", f->name);
	return 0;
}

static int check_fields(const struct admin_command *c, json_t *root, struct err *err)
{
	const char *key;
	json_t *v;

	json_object_foreach(root, key, v) {
		const struct admin_field *f = c->fields;
		int r;

		if (strcmp(key, "cmd") == 0)
			continue;
		while (f->name && strcmp(f->name, key) != 0)
			f++;
		if (!f->name)
			return err_set(err, ERR_UNSUPPORTED, EINVAL,
				       "request: \"%s\" takes no \"%.64s\"", c->name, key);
		r = check_field(f, v, err);
		if (r < 0)
			return r;
	}
	for (const struct admin_field *f = c->fields; f->name; f++)
		if (f->required && !json_object_get(root, f->name))
			return err_set(err, ERR_UNSUPPORTED, EINVAL,
				       "request: \"%s\" needs \"%s\"", c->name, f->name);
	return 0;
}

int admin_parse(const char *line, size_t len, const struct admin_command *commands,
		json_t **ret_root, const struct admin_command **ret_command, struct err *err)
{
	json_auto_t *root = NULL;
	const struct admin_command *c = commands;
	json_error_t why;
	const char *name;
	int r;

	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
	if (!root)
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "request: no JSON: %s", why.text);
	name = json_string_value(json_object_get(root, "cmd"));
	if (!name)
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "request: no \"cmd\"");
	while (c->name && strcmp(c->name, name) != 0)
		c++;
	if (!c->name)
		return err_set(err, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "request: unknown command \"%.64s\"", name);
	r = check_fields(c, root, err);
	if (r < 0)
		return r;
	*ret_root = TAKE_PTR(root);
	*ret_command = c;
	return 0;
}
