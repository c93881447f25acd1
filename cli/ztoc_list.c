/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ztoc_list.c - `lazyerofs ztoc list`: the files of a zTOC, in tar order; or the zTOCs of
 * an image.
 *
 * JSON is written entry by entry: a zTOC may list millions.
 */
#include "cli/cli.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "cli/ztoc_source.h"

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

static int list_files(const struct ztoc *z, bool json)
{
	if (json)
		return list_json(z);
	for (uint64_t i = 0; i < ztoc_entry_count(z); i++)
		list_entry(z, i);
	return CLI_OK;
}

/* --- the zTOCs of an image ------------------------------------------------------------- */

static bool is_same(const struct ztoc_row *a, const struct ztoc_row *b)
{
	return digest_is_equal(&a->ztoc.digest, &b->ztoc.digest) &&
	       digest_is_equal(&a->layer.digest, &b->layer.digest);
}

static bool is_listed(const struct ztoc_source *src, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (is_same(&src->rows[k], &src->rows[i]))
			return true;
	return false;
}

/* With all indexes from this one on that have it. */
static json_t *json_row(const struct ztoc_source *src, size_t i)
{
	const struct ztoc_row *row = &src->rows[i];
	char ztoc[DIGEST_TEXT_SIZE], layer[DIGEST_TEXT_SIZE], index[DIGEST_TEXT_SIZE];
	json_t *indexes = json_array();
	int bad = 0;

	digest_format(&row->ztoc.digest, ztoc);
	digest_format(&row->layer.digest, layer);
	for (size_t k = i; k < src->nrows; k++) {
		if (!is_same(&src->rows[k], row))
			continue;
		digest_format(&src->rows[k].index, index);
		bad |= json_array_append_new(indexes, json_string(index));
	}
	if (bad) {
		json_decref(indexes);
		return NULL;
	}
	return json_pack("{s:s, s:I, s:s, s:I, s:o, s:o}", "digest", ztoc, "size",
			 (json_int_t)row->ztoc.size, "layer", layer, "layer_size",
			 (json_int_t)row->layer.size, "span_size",
			 row->span_size ? json_integer((json_int_t)row->span_size) : json_null(),
			 "indexes", indexes);
}

/* Digests are cut to what is easily read, and enough to name them. */
static void short_digest(const struct digest *d, char ret[DIGEST_TEXT_SIZE])
{
	digest_format(d, ret);
	ret[19] = '\0';
}

static void table_row(struct cli_table *t, const struct ztoc_row *row)
{
	char digest[3][DIGEST_TEXT_SIZE], size[3][24];

	short_digest(&row->ztoc.digest, digest[0]);
	short_digest(&row->layer.digest, digest[1]);
	short_digest(&row->index, digest[2]);
	cli_format_size(row->ztoc.size, size[0]);
	cli_format_size(row->layer.size, size[1]);
	cli_format_size(row->span_size, size[2]);
	cli_table_add(t, (const char *const[]){ digest[0], size[0], digest[1], size[1],
						row->span_size ? size[2] : "-", digest[2] });
}

static int list_ztocs(struct ztoc_source *src, bool json)
{
	static const char *const heads[] = { "ZTOC", ">SIZE", "LAYER", ">LAYER SIZE",
					     ">SPAN SIZE", "INDEX" };
	struct err err = ERR_INIT;
	struct cli_table *t;
	json_t *list;
	int rc, bad = 0;

	if (ztoc_source_look(src, &err) < 0)
		return cli_fail(&err);
	t = cli_table_new(heads, 6);
	list = json_array();
	for (size_t i = 0; i < src->nrows; i++) {
		if (is_listed(src, i))
			continue;
		if (json)
			bad |= json_array_append_new(list, json_row(src, i));
		else
			table_row(t, &src->rows[i]);
	}
	rc = json ? cli_json_print(bad ? NULL : json_incref(list)) : cli_table_print(t, stdout);
	json_decref(list);
	cli_table_free(t);
	return rc;
}

int cmd_ztoc_list(int argc, char **argv)
{
	cleanup_(ztoc_source_done) struct ztoc_source src = ZTOC_SOURCE_INIT;
	bool json = false;
	const struct cli_opt opts[] = {
		CLI_OPT_FLAG('\0', "json", "print JSON, with every field", &json),
		ZTOC_SOURCE_OPTS(&src),
		CLI_OPT_END
	};
	const struct cli_usage usage = {
		.command = "ztoc list", .args = "[ZTOC]", .max_args = 1,
		.text = "List the files of a zTOC, in the order of the tar. ZTOC is a file (\"-\": standard\n"
			"input) or, with --image, the digest of a zTOC or layer of the image, or the beginning\n"
			"of it. Without ZTOC: list the zTOCs of the image.",
		.opts = opts,
	};
	cleanup_(ztoc_file_done) struct ztoc_file f = ZTOC_FILE_INIT;
	struct err err = ERR_INIT;
	struct cli_args args;
	int rc = cli_parse(&usage, argc, argv, &args);

	if (rc >= 0)
		return rc;
	if (ztoc_source_misuse(&src, usage.command))
		return CLI_USAGE;
	if (!args.n && !src.image)
		return cli_misuse(usage.command, "too few arguments, expected ZTOC or --image");
	if (!args.n)
		return list_ztocs(&src, json);
	if (ztoc_source_file(&src, args.v[0], &f, &err) < 0)
		return cli_fail(&err);
	return list_files(f.ztoc, json);
}
