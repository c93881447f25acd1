/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config.h - the daemon's settings: one table (config.c) drives parsing, defaults, ranges,
 * reloading, the help text, the commented file and the list in lazyerofs.conf(5).
 *
 * The file is cachefilesd's kind: "key value", one per line, `#` begins a comment. A key
 * that is unknown, given twice or out of range is an error that names file and line.
 * No globals: whoever reads a struct config owns it. Any thread.
 */
#ifndef LZ_DAEMON_CONFIG_H
#define LZ_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

#define CONFIG_TEXT_SIZE 1024
#define CONFIG_FILE_MAX_BYTES (1u << 20)

enum config_kernel_path {
	CONFIG_PATH_AUTO,
	CONFIG_PATH_FANOTIFY,
	CONFIG_PATH_CACHEFILES,
};

struct config {
	/* places */
	char dir[CONFIG_TEXT_SIZE];
	char run_dir[CONFIG_TEXT_SIZE];
	/* kernel */
	uint32_t kernel_path;		/* enum config_kernel_path */
	char tag[CONFIG_TEXT_SIZE];
	char domain[CONFIG_TEXT_SIZE];
	uint32_t brun, bcull, bstop, frun, fcull, fstop;	/* percent */
	bool any_kernel;
	uint32_t shards;
	uint32_t grace_ms;
	/* work */
	uint32_t deadline_ms;
	uint32_t memory_mb, spool_mb;
	uint32_t jobs, threads;
	uint32_t sync_ms;
	uint32_t resolve_timeout_s, mkfs_timeout_s;
	/* background fill */
	bool background;
	uint32_t background_jobs;
	uint32_t background_rate_kb;	/* KiB per second, 0: no limit */
	/* registries */
	char docker_config[CONFIG_TEXT_SIZE];
	char hosts_dirs[CONFIG_TEXT_SIZE];
	char ca_file[CONFIG_TEXT_SIZE];
	char plain_http[CONFIG_TEXT_SIZE];
	uint32_t unindexed;		/* enum config_unindexed */
	/* journal */
	uint32_t log_level;		/* enum log_level */
};

enum config_unindexed {
	CONFIG_UNINDEXED_BUILD,
	CONFIG_UNINDEXED_REFUSE,
};

enum config_type {
	CONFIG_DIR,		/* absolute path */
	CONFIG_TEXT,		/* one line, may be empty */
	CONFIG_NAME,		/* 1..64 of [A-Za-z0-9._-] */
	CONFIG_NUMBER,
	CONFIG_PERCENT,		/* 0..99, with or without % */
	CONFIG_BOOL,		/* on, off */
	CONFIG_CHOICE,
};

struct config_choice {
	const char *word;
	uint32_t value;
};

struct config_key {
	const char *name;
	enum config_type type;
	size_t offset;
	const char *dflt;
	uint32_t min, max;		/* NUMBER, PERCENT */
	const struct config_choice *choices;
	bool reload;			/* taken over on SIGHUP */
	const char *help;		/* one or more lines */
};

/* All keys; ends with a NULL name. */
extern const struct config_key config_keys[];

void config_defaults(struct config *c);
/* Over what *c holds; `name` stands in messages. On error *c may be half changed. */
int config_parse(struct config *c, const char *text, size_t len, const char *name,
		 struct err *err);
/* Defaults, then the file; ENOENT is kept as such. Checks the whole, too. */
int config_load(struct config *c, const char *path, struct err *err);
/* One setting, as from the command line; `name` stands in messages. */
int config_set(struct config *c, const char *key, const char *value, const char *name,
	       struct err *err);
/* What no single key can tell: limits in order, paths apart. */
int config_check(const struct config *c, struct err *err);
/*
 * Take over from `fresh` what can change while running. For each other key that differs,
 * `ignored` is called (may be NULL).
 */
void config_reload(struct config *c, const struct config *fresh,
		   void (*ignored)(void *arg, const struct config_key *key), void *arg);
/* The value of a key as text. */
const char *config_value(const struct config *c, const struct config_key *key,
			 char ret[CONFIG_TEXT_SIZE]);
/* The commented file with the values of *c: defaults stand as comments. */
void config_print(const struct config *c, FILE *f);

#endif
