/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc_list.c - `lazyerofs ztoc list`: the files of a zTOC, in tar order.
 *
 * JSON is written entry by entry: a zTOC may list millions.
 */
#include "cli/cli.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "cli/ztoc_common.h"

static int set_str(json_t *o, const char *key, struct ztoc_str s)
{
	return cli_json_set_bytes(o, key, s.s, s.len);
}

static json_t *json_pax(const struct ztoc *z, uint64_t i, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t k = 0; k < n; k++) {
		json_t *o = json_object();
		struct ztoc_xattr x;
		int bad;

		ztoc_xattr_get(z, i, k, &x);
		bad = set_str(o, "key", x.key);
		bad |= set_str(o, "value", x.value);
		bad |= json_array_append_new(list, o);
		if (bad) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static int set_u64(json_t *o, const char *key, uint64_t v)
{
	return json_object_set_new(o, key, json_integer((json_int_t)v));
}

static json_t *json_entry(const struct ztoc *z, uint64_t i)
{
	json_t *o = json_object();
	uint32_t first, last;
	struct ztoc_entry e;
	char mode[8];
	int bad;

	ztoc_entry_get(z, i, &e);
	ztoc_entry_spans(z, &e, &first, &last);
	snprintf(mode, sizeof(mode), "%04o", e.mode);
	bad = set_str(o, "name", e.name);
	bad |= json_object_set_new(o, "type", json_string(ztoc_type_word(e.type)));
	bad |= set_u64(o, "offset", e.offset);
	bad |= set_u64(o, "size", e.size);
	bad |= set_u64(o, "header_size", ztoc_entry_raw_size(z, i));
	bad |= set_u64(o, "start_span", first);
	bad |= set_u64(o, "end_span", last);
	bad |= set_str(o, "linkname", e.linkname);
	bad |= json_object_set_new(o, "mode", json_string(mode));
	bad |= set_u64(o, "uid", e.uid);
	bad |= set_u64(o, "gid", e.gid);
	bad |= set_str(o, "uname", e.uname);
	bad |= set_str(o, "gname", e.gname);
	bad |= set_str(o, "mod_time", ztoc_entry_mod_time(z, i));
	bad |= json_object_set_new(o, "mtime_sec", json_integer(e.mtime_sec));
	bad |= set_u64(o, "mtime_nsec", e.mtime_nsec);
	bad |= set_u64(o, "devmajor", e.devmajor);
	bad |= set_u64(o, "devminor", e.devminor);
	bad |= json_object_set_new(o, "sparse", json_boolean(ztoc_entry_is_sparse(z, i)));
	bad |= json_object_set_new(o, "pax", json_pax(z, i, e.nxattrs));
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static int list_json(const struct ztoc *z)
{
	uint64_t n = ztoc_entry_count(z);

	fputs("[", stdout);
	for (uint64_t i = 0; i < n; i++) {
		json_t *o = json_entry(z, i);
		int r = o ? json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) : -1;

		json_decref(o);
		if (r < 0)
			return cli_failf("cannot write JSON: out of memory or output refused");
		fputs(i + 1 < n ? ",\n" : "", stdout);
	}
	fputs("]\n", stdout);
	return CLI_OK;
}

static void print_mode(const struct ztoc_entry *e)
{
	static const char types[] = "-hldcbp";
	char s[11];

	s[0] = types[e->type];
	for (int i = 0; i < 9; i++)
		s[1 + i] = e->mode & (0400u >> i) ? "rwx"[i % 3] : '-';
	if (e->mode & 04000)
		s[3] = s[3] == 'x' ? 's' : 'S';
	if (e->mode & 02000)
		s[6] = s[6] == 'x' ? 's' : 'S';
	if (e->mode & 01000)
		s[9] = s[9] == 'x' ? 't' : 'T';
	s[10] = '\0';
	fputs(s, stdout);
}

static void list_entry(const struct ztoc *z, uint64_t i)
{
	struct ztoc_str mtime = ztoc_entry_mod_time(z, i);
	struct ztoc_entry e;
	char size[32], owner[32];

	ztoc_entry_get(z, i, &e);
	print_mode(&e);
	snprintf(owner, sizeof(owner), "%u/%u", e.uid, e.gid);
	if (e.type == ZTOC_CHAR || e.type == ZTOC_BLOCK)
		snprintf(size, sizeof(size), "%u,%u", e.devmajor, e.devminor);
	else
		snprintf(size, sizeof(size), "%" PRIu64, e.size);
	printf(" %-11s %10s ", owner, size);
	cli_print_bytes(stdout, mtime.len ? mtime.s : "-", mtime.len ? mtime.len : 1);
	putchar(' ');
	cli_print_bytes(stdout, e.name.s, e.name.len);
	if (e.type == ZTOC_SYMLINK || e.type == ZTOC_HARDLINK) {
		fputs(e.type == ZTOC_SYMLINK ? " -> " : " link to ", stdout);
		cli_print_bytes(stdout, e.linkname.s, e.linkname.len);
	}
	putchar('\n');
}

int cmd_ztoc_list(int argc, char **argv)
{
	bool json = false;
	const struct cli_opt opts[] = {
		CLI_OPT_FLAG('\0', "json", "print JSON, with every field", &json),
		CLI_OPT_END
	};
	const struct cli_usage usage = {
		.command = "ztoc list", .args = "ZTOC", .min_args = 1, .max_args = 1,
		.text = "List the files of a zTOC, in the order of the tar.", .opts = opts,
	};
	cleanup_(ztoc_file_done) struct ztoc_file f = ZTOC_FILE_INIT;
	struct err err = ERR_INIT;
	struct cli_args args;
	int rc = cli_parse(&usage, argc, argv, &args);

	if (rc >= 0)
		return rc;
	if (ztoc_file_open(&f, args.v[0], &err) < 0)
		return cli_fail(&err);
	if (json)
		return list_json(f.ztoc);
	for (uint64_t i = 0; i < ztoc_entry_count(f.ztoc); i++)
		list_entry(f.ztoc, i);
	return CLI_OK;
}
