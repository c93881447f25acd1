/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c - lazyerofs-resolve: options, privileges, one call, one line on failure.
 *
 * Started by lazyerofsd for each mount of an image that is not known yet; not for people.
 */
#include "config.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/resolve/resolve.h"
#include "daemon/sandbox_child.h"

static const char usage[] =
	"Usage: lazyerofs-resolve --staging DIR [OPTION...] IMAGE\n"
	"Fetch what is needed to mount IMAGE into DIR: image.json, zTOCs.\n"
	"  --cache DIR                    what is there already is not fetched again\n"
	"  --platform OS/ARCH[/VARIANT]   of the image (default: of this machine)\n"
	"  --index DIGEST                 the SOCI index to use\n"
	"  --unindexed build|refuse       layers that the index leaves out (default: build)\n"
	"  --build-index                  index an image that has no SOCI index\n"
	"  --docker-config DIR            where config.json with the credentials is\n"
	"  --hosts-dirs LIST              colon list of hosts.toml / certs.d folders\n"
	"  --ca-file FILE                 further certificate authorities\n"
	"  --plain-http LIST              comma list of registries spoken to without TLS\n"
	"Exit status: 0 done, 2 wrong usage, 4 the image has no SOCI index, above 16: failed.\n";

struct arguments {
	const char *staging, *image;
	struct resolve_opts opts;
	struct oci_opts oci;
};

enum { OPT_STAGING = 256, OPT_CACHE, OPT_PLATFORM, OPT_INDEX, OPT_UNINDEXED, OPT_BUILD, OPT_DOCKER,
       OPT_HOSTS, OPT_CA, OPT_HTTP, OPT_HELP };

static const struct option options[] = {
	{ "staging", required_argument, NULL, OPT_STAGING },
	{ "cache", required_argument, NULL, OPT_CACHE },
	{ "platform", required_argument, NULL, OPT_PLATFORM },
	{ "index", required_argument, NULL, OPT_INDEX },
	{ "unindexed", required_argument, NULL, OPT_UNINDEXED },
	{ "build-index", no_argument, NULL, OPT_BUILD },
	{ "docker-config", required_argument, NULL, OPT_DOCKER },
	{ "hosts-dirs", required_argument, NULL, OPT_HOSTS },
	{ "ca-file", required_argument, NULL, OPT_CA },
	{ "plain-http", required_argument, NULL, OPT_HTTP },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static int take_unindexed(const char *word, struct resolve_opts *opts, struct err *err)
{
	if (strcmp(word, "build") && strcmp(word, "refuse"))
		return err_set(err, ERR_UNSUPPORTED, EINVAL,
			       "--unindexed wants \"build\" or \"refuse\", not \"%s\"", word);
	opts->refuse_unindexed = !strcmp(word, "refuse");
	return 0;
}

static int take_index(const char *text, struct resolve_opts *opts, struct err *err)
{
	if (digest_parse(text, strlen(text), &opts->index) < 0)
		return err_set(err, ERR_UNSUPPORTED, EINVAL,
			       "--index wants sha256: and 64 hexadecimal digits");
	opts->has_index = true;
	return 0;
}

static int take_option(int c, struct arguments *a, struct err *err)
{
	switch (c) {
	case OPT_STAGING:
		a->staging = optarg;
		return 0;
	case OPT_CACHE:
		a->opts.cache_dir = optarg;
		return 0;
	case OPT_PLATFORM:
		return oci_platform_parse(optarg, &a->opts.platform, err);
	case OPT_INDEX:
		return take_index(optarg, &a->opts, err);
	case OPT_UNINDEXED:
		return take_unindexed(optarg, &a->opts, err);
	case OPT_BUILD:
		a->opts.build_index = true;
		return 0;
	case OPT_DOCKER:
		a->oci.docker_config = optarg;
		return 0;
	case OPT_HOSTS:
		a->oci.hosts_dirs = optarg;
		return 0;
	case OPT_CA:
		a->oci.ca_file = optarg;
		return 0;
	case OPT_HTTP:
		a->oci.plain_http = optarg;
		return 0;
	case OPT_HELP:
		fputs(usage, stdout);
		exit(0);
	default:
		return -EINVAL;	/* getopt has said what */
	}
}

static int take_arguments(int argc, char **argv, struct arguments *a, struct err *err)
{
	int c;

	oci_platform_host(&a->opts.platform);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		int r = take_option(c, a, err);

		if (r < 0)
			return r;
	}
	if (!a->staging || optind != argc - 1)
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "--staging DIR and one IMAGE are needed");
	return oci_ref_parse(argv[optind], &a->opts.ref, err);
}

static int run(struct arguments *a, struct err *err)
{
	struct oci_client *client;
	int r;

	a->opts.staging_dirfd = open(a->staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->opts.staging_dirfd < 0)
		return err_sys(err, errno, "staging folder %s", a->staging);
	r = sandbox_child_enter(a->opts.staging_dirfd, err);
	if (r == 0)
		r = oci_client_new(&a->oci, NULL, &client, err);
	if (r == 0) {
		r = resolve_image(client, &a->opts, err);
		oci_client_free(client);
	}
	close(a->opts.staging_dirfd);
	return r;
}

int main(int argc, char **argv)
{
	/* Somebody waits for this, and can repeat it: the patience of a read is not needed. */
	struct arguments a = {
		.oci.user_agent = "lazyerofs/" PACKAGE_VERSION,
		.oci.retries = 2,
	};
	struct err err = ERR_INIT;

	if (take_arguments(argc, argv, &a, &err) < 0) {
		if (err.text[0])
			fprintf(stderr, "lazyerofs-resolve: %s\n", err.text);
		return 2;
	}
	if (run(&a, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return err.num == ENODATA ? RESOLVE_EXIT_NO_INDEX
						: RESOLVE_EXIT_KIND + (int)err.kind;
	}
	return 0;
}
