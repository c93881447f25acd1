/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cli.h - what every `lazyerofs` command shares: dispatch, options, messages, output.
 *
 * A command lives in its own file, is a function `int cmd_xxx(int argc, char **argv)` that
 * returns the exit code, and has one line in a table (main.c, or its group's file). argv[0]
 * is the command's own word. Its skeleton:
 *
 *	int cmd_xxx(int argc, char **argv)
 *	{
 *		bool json = false;
 *		const struct cli_opt opts[] = {
 *			CLI_OPT_FLAG('\0', "json", "print JSON", &json),
 *			CLI_OPT_END
 *		};
 *		const struct cli_usage usage = {
 *			.command = "xxx", .args = "IMAGE [DIR]", .min_args = 1, .max_args = 2,
 *			.text = "What it does, in one or two lines.", .opts = opts,
 *		};
 *		struct cli_args args;
 *		struct err err = ERR_INIT;
 *		int rc = cli_parse(&usage, argc, argv, &args);
 *
 *		if (rc >= 0)
 *			return rc;	// --help was printed, or the usage was wrong
 *		...
 *		return r < 0 ? cli_fail(&err) : CLI_OK;
 *	}
 *
 * Promises to users: exit 0 done, 1 failed, 2 wrong usage; a failure is one line
 * "lazyerofs: ..." on stderr; what prints a table prints JSON with --json; bytes that come
 * from images never reach the terminal as control characters. One thread.
 */
#ifndef LZ_CLI_H
#define LZ_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* --- dispatch ---------------------------------------------------------------------- */

struct cli_command {
	const char *name;
	const char *summary;	/* one line, no full stop */
	int (*run)(int argc, char **argv);
};

/*
 * Run the command that argv[1] names; table ends with a NULL name. `prog` is what stands
 * before it ("lazyerofs", "lazyerofs ztoc"). Handles --help and --version; opts (NULL: none)
 * are what else may stand before the command, for the help alone.
 */
struct cli_opt;
int cli_dispatch(const char *prog, const struct cli_command *table, const struct cli_opt *opts,
		 int argc, char **argv);

/* --- options ----------------------------------------------------------------------- */

enum cli_opt_kind { CLI_FLAG, CLI_STR, CLI_STR_LIST, CLI_U64, CLI_SIZE };

struct cli_list {
	const char **v;		/* borrowed strings; free(v) with cli_list_done() */
	size_t n;
};

struct cli_opt {
	enum cli_opt_kind kind;
	char letter;		/* '\0': long form only */
	const char *name;
	const char *arg;	/* word for the value in the help; NULL for a flag. FILE, DIR */
				/* and "one|two" (all that there are) are completed by shells */
	const char *help;
	void *var;
};

#define CLI_OPT_FLAG(l, n, h, v) { CLI_FLAG, (l), (n), NULL, (h), (bool *)(v) }
#define CLI_OPT_STR(l, n, a, h, v) { CLI_STR, (l), (n), (a), (h), (const char **)(v) }
/* May be given several times. */
#define CLI_OPT_LIST(l, n, a, h, v) { CLI_STR_LIST, (l), (n), (a), (h), (struct cli_list *)(v) }
#define CLI_OPT_U64(l, n, a, h, v) { CLI_U64, (l), (n), (a), (h), (uint64_t *)(v) }
/* A number of bytes, with an optional suffix K, M, G or T (powers of 1024). */
#define CLI_OPT_SIZE(l, n, a, h, v) { CLI_SIZE, (l), (n), (a), (h), (uint64_t *)(v) }
#define CLI_OPT_END { .name = NULL }

struct cli_usage {
	const char *command;	/* words after "lazyerofs" */
	const char *args;	/* completed: FILE, DIR, LAYER, ZTOC; IMAGE, SRC, DST */
	const char *text;
	const struct cli_opt *opts;	/* ends with CLI_OPT_END; NULL: none */
	int min_args, max_args;	/* max_args < 0: any number */
};

struct cli_args {
	char **v;
	int n;
};

/* -1: go on with *ret; else the exit code to return. Options may follow arguments. */
int cli_parse(const struct cli_usage *usage, int argc, char **argv, struct cli_args *ret);
void cli_list_done(struct cli_list *list);
/* "4194304", "4M", "10G"; -EINVAL or -ERANGE */
int cli_parse_size(const char *text, uint64_t *ret);

/* --- messages ---------------------------------------------------------------------- */

/* Print "lazyerofs: TEXT" on stderr; return CLI_FAILED. */
int cli_fail(const struct err *err);
int cli_failf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same for wrong usage, with a hint at --help; returns CLI_USAGE. */
int cli_misuse(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- output ------------------------------------------------------------------------ */

/* Bytes of unknown origin, for people: control characters and invalid UTF-8 as \xNN. */
void cli_print_bytes(FILE *f, const char *s, size_t len);
/* "4.0 KiB", "1.5 GiB" */
const char *cli_format_size(uint64_t bytes, char ret[24]);

/* A table with columns as wide as their widest cell; cells are copied. */
struct cli_table;
struct cli_table *cli_table_new(const char *const *heads, size_t ncols);
/* ncols cells; NULL counts as "". A column whose head starts with '>' is right-aligned. */
void cli_table_add(struct cli_table *t, const char *const *cells);
/* CLI_OK, or CLI_FAILED where memory ran out (then nothing is printed). */
int cli_table_print(const struct cli_table *t, FILE *f);
void cli_table_free(struct cli_table *t);

/*
 * obj[key] = bytes. JSON strings cannot hold every byte string: where the bytes are no
 * valid UTF-8 or hold NUL, offending bytes become U+FFFD and obj["<key>_hex"] has the
 * exact bytes in hexadecimal. (The man page tells users so.)
 */
int cli_json_set_bytes(json_t *obj, const char *key, const char *s, size_t len);
/* Print, newline, and release the reference; returns CLI_OK or CLI_FAILED. */
int cli_json_print(json_t *value);

/*
 * A file that appears under its name when it is whole: written to PATH.tmpXXXXXX, renamed on
 * commit. Symbolic links are followed; a device or FIFO is written to as it is, "-" is
 * standard output.
 */
struct cli_outfile {
	int fd;
	char *path, *tmp;		/* tmp NULL: written in place */
};
int cli_outfile_open(struct cli_outfile *o, const char *path, mode_t mode, struct err *err);
int cli_outfile_commit(struct cli_outfile *o, struct err *err);
void cli_outfile_abort(struct cli_outfile *o);	/* no-op after commit */

/* Read a whole file ("-" is stdin) of at most max_bytes. */
int cli_read_file(const char *path, uint64_t max_bytes, struct buf *ret, struct err *err);

/* --- commands, one file each ------------------------------------------------------- */

int cmd_convert(int argc, char **argv);
int cmd_create(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_index(int argc, char **argv);
int cmd_mount(int argc, char **argv);
int cmd_push(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_umount(int argc, char **argv);
int cmd_ztoc(int argc, char **argv);

#endif
