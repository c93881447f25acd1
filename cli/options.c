/* SPDX-License-Identifier: GPL-2.0-or-later */
/* options.c - dispatch and option parsing of the commands; see cli.h. */
#include "cli/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

#define MAX_OPTS 48
#define OPT_LONG_BASE 256
#define OPT_HELP 'h'

/* "  -x, --name=ARG  help": the completions of the shells read these lines, too. */
static void print_option(const struct cli_opt *o, FILE *f)
{
	char left[64];

	snprintf(left, sizeof(left), "%c%c%s --%s%s%s", o->letter ? '-' : ' ',
		 o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name, o->arg ? "=" : "",
		 o->arg ? o->arg : "");
	fprintf(f, "  %-30s %s\n", left, o->help);
}

static void print_options(const struct cli_opt *opts, bool has_version, FILE *f)
{
	static const struct cli_opt help = CLI_OPT_FLAG(OPT_HELP, "help", "show this help", NULL);
	static const struct cli_opt version = CLI_OPT_FLAG('V', "version", "show the version", NULL);

	fputs("\nOptions:\n", f);
	for (; opts && opts->name; opts++)
		print_option(opts, f);
	print_option(&help, f);
	if (has_version)
		print_option(&version, f);
}

static void print_commands(const char *prog, const struct cli_command *table,
			   const struct cli_opt *opts, FILE *f)
{
	fprintf(f, "Usage: %s [OPTIONS] COMMAND [ARGUMENTS]\n\nCommands:\n", prog);
	for (; table->name; table++)
		fprintf(f, "  %-12s %s\n", table->name, table->summary);
	print_options(opts, true, f);
	fprintf(f, "\n`%s COMMAND --help` tells more about a command.\n", prog);
}

static const struct cli_command *find_command(const struct cli_command *table,
					      const char *word)
{
	while (table->name && strcmp(table->name, word) != 0)
		table++;
	return table->name ? table : NULL;
}

/* "help COMMAND", "help ztoc build": as if --help stood behind it. */
static int run_help(const struct cli_command *command, int argc, char **argv)
{
	char *words[] = { argv[2], argc > 3 ? "help" : "--help", argc > 3 ? argv[3] : NULL, NULL };

	return command->run(argc > 3 ? 3 : 2, words);
}

int cli_dispatch(const char *prog, const struct cli_command *table, const struct cli_opt *opts,
		 int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	bool of_command = word && !strcmp(word, "help") && argc > 2;
	const struct cli_command *command;

	if (!word) {
		print_commands(prog, table, opts, stderr);
		return CLI_USAGE;
	}
	if (!of_command &&
	    (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help"))) {
		print_commands(prog, table, opts, stdout);
		return CLI_OK;
	}
	if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
		printf("lazyerofs %s\n", PACKAGE_VERSION);
		return CLI_OK;
	}
	if (of_command)
		word = argv[2];
	command = find_command(table, word);
	if (command)
		return of_command ? run_help(command, argc, argv) : command->run(argc - 1, argv + 1);
	cli_warn("no such command: '%s' (see `%s --help`)", word, prog);
	return CLI_USAGE;
}

static void print_usage(const struct cli_usage *u)
{
	printf("Usage: lazyerofs %s%s%s%s\n\n%s\n", u->command,
	       u->opts && u->opts->name ? " [OPTIONS]" : "", *u->args ? " " : "", u->args,
	       u->text);
	print_options(u->opts, false, stdout);
}

int cli_parse_size(const char *text, uint64_t *ret)
{
	static const char suffixes[] = "KMGT";
	uint64_t v;
	const char *suffix;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	if (*end) {
		suffix = strchr(suffixes, *end & ~0x20);
		if (!suffix || !*suffix)
			return -EINVAL;
		for (const char *p = suffixes; p <= suffix; p++)
			if (__builtin_mul_overflow(v, (uint64_t)1024, &v))
				return -ERANGE;
		end++;
		if (*end == 'i' || *end == 'I')
			end++;
		if (*end == 'b' || *end == 'B')
			end++;
		if (*end)
			return -EINVAL;
	}
	*ret = v;
	return 0;
}

static int parse_u64(const char *text, uint64_t *ret)
{
	char *end;
	uint64_t v;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || *end)
		return -EINVAL;
	*ret = v;
	return 0;
}

static int list_add(struct cli_list *list, const char *value)
{
	const char **v = reallocarray(list->v, list->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	list->v = v;
	list->v[list->n++] = value;
	return 0;
}

void cli_list_done(struct cli_list *list)
{
	free(list->v);
	list->v = NULL;
	list->n = 0;
}

static int set_option(const struct cli_opt *o, const char *value)
{
	switch (o->kind) {
	case CLI_FLAG:
		*(bool *)o->var = true;
		return 0;
	case CLI_STR:
		*(const char **)o->var = value;
		return 0;
	case CLI_STR_LIST:
		return list_add(o->var, value);
	case CLI_U64:
		return parse_u64(value, o->var);
	case CLI_SIZE:
		return cli_parse_size(value, o->var);
	}
	return -EINVAL;
}

/* getopt_long's two tables; letters get "+:" semantics from the leading ':'. */
static void build_tables(const struct cli_opt *opts, struct option *longs, char *letters)
{
	size_t n = 0;

	*letters++ = ':';
	for (const struct cli_opt *o = opts; o && o->name && n < MAX_OPTS; o++, n++) {
		longs[n] = (struct option){ o->name, o->arg ? required_argument : no_argument,
					    NULL, OPT_LONG_BASE + (int)n };
		if (!o->letter)
			continue;
		*letters++ = o->letter;
		if (o->arg)
			*letters++ = ':';
	}
	longs[n++] = (struct option){ "help", no_argument, NULL, OPT_HELP };
	longs[n] = (struct option){ NULL, 0, NULL, 0 };
	*letters++ = OPT_HELP;
	*letters = '\0';
}

static int misuse_option(const struct cli_usage *usage, const char *what, const char *word)
{
	if (optopt > 0 && optopt < OPT_LONG_BASE)
		return cli_misuse(usage->command, "%s: -%c", what, optopt);
	return cli_misuse(usage->command, "%s: %s", what, word);
}

/* took: the last option that got a word of its own; a path is no host. */
static int too_few(const struct cli_usage *usage, const struct cli_opt *took, const char *word)
{
	if (!took || strncmp(took->arg, "HOST", 4) || !strchr(word, '/'))
		return cli_misuse(usage->command, "too few arguments, expected %s", usage->args);
	return cli_misuse(usage->command, "too few arguments, expected %s; '%s' went to --%s=%s, %s",
			  usage->args, word, took->name, took->arg, took->help);
}

static const struct cli_opt *find_option(const struct cli_opt *opts, int c)
{
	if (c >= OPT_LONG_BASE)
		return &opts[c - OPT_LONG_BASE];
	for (const struct cli_opt *o = opts; o && o->name; o++)
		if (o->letter && o->letter == c)
			return o;
	return NULL;
}

int cli_parse(const struct cli_usage *usage, int argc, char **argv, struct cli_args *ret)
{
	const struct cli_opt *took = NULL;
	struct option longs[MAX_OPTS + 2];
	char letters[2 * MAX_OPTS + 4];
	const char *word = NULL;
	int c;

	build_tables(usage->opts, longs, letters);
	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const struct cli_opt *o;

		if (c == OPT_HELP) {
			print_usage(usage);
			return CLI_OK;
		}
		if (c == ':')
			return misuse_option(usage, "option needs a value", argv[optind - 1]);
		o = c == '?' ? NULL : find_option(usage->opts, c);
		if (!o)
			return misuse_option(usage, "unknown option", argv[optind - 1]);
		if (set_option(o, optarg) < 0)
			return cli_misuse(usage->command, "bad value for --%s: '%s'", o->name,
					  optarg);
		if (optarg && optarg == argv[optind - 1]) {
			took = o;
			word = optarg;
		}
	}
	ret->v = argv + optind;
	ret->n = argc - optind;
	if (ret->n < usage->min_args)
		return too_few(usage, took, word);
	if (usage->max_args >= 0 && ret->n > usage->max_args)
		return cli_misuse(usage->command, "unexpected argument '%s'",
				  ret->v[usage->max_args]);
	return -1;
}
