/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * oci_tool.c - the registry client on a command line, for tests that are scripts:
 *
 *	oci_tool [--ca FILE] [--config DIR] [--hosts DIRS] resolve REF
 *	oci_tool ... copy SRC DST [CHUNK_BYTES]		image and SOCI index
 *	oci_tool ... range REF LAYER OFF LEN		bytes of a layer, to stdout
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "tests/oci/copy.h"

static struct oci_client *client;

static int die(const struct err *err)
{
	fprintf(stderr, "oci_tool: %s\n", err->text);
	return 1;
}

static struct oci_image *resolve(const char *text, struct oci_ref *ref, struct err *err)
{
	static const struct oci_platform amd64 = { "linux", "amd64", "" };
	struct oci_image *img;

	if (oci_ref_parse(text, ref, err) < 0 ||
	    oci_image_resolve(client, ref, &amd64, NULL, &img, err) < 0)
		return NULL;
	return img;
}

static int cmd_resolve(const char *text)
{
	static const char *const how[] = { "none", "explicit", "annotation", "referrers",
					   "fallback-tag" };
	char digest[DIGEST_TEXT_SIZE];
	struct err err = ERR_INIT;
	struct oci_image *img;
	struct oci_ref ref;
	unsigned n = 0;

	img = resolve(text, &ref, &err);
	if (!img)
		return die(&err);
	for (uint32_t i = 0; i < img->nlayers; i++)
		n += img->layers[i].has_ztoc;
	digest_format(&img->manifest.digest, digest);
	printf("%s %s/%s %u layers, %u zTOCs, index: %s\n", digest, img->platform.os,
	       img->platform.arch, img->nlayers, n, how[img->index_found]);
	oci_image_free(img);
	return 0;
}

static int cmd_copy(const char *from, const char *to, const char *chunk)
{
	struct err err = ERR_INIT;
	struct oci_ref src, dst;
	struct oci_image *img;
	int r;

	img = resolve(from, &src, &err);
	if (!img)
		return die(&err);
	r = oci_ref_parse(to, &dst, &err);
	if (r == 0 && dst.is_layout)
		r = oci_layout_create(dst.dir, &err);
	if (r == 0)
		r = copy_image(client, img, &dst, chunk ? strtoull(chunk, NULL, 10) : 0, &err);
	oci_image_free(img);
	return r < 0 ? die(&err) : 0;
}

struct range {
	bool done;
	struct err err;
};

static int range_data(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	return io_write_full(1, data, len);
}

static void range_done(void *arg, const struct err *err)
{
	struct range *rg = arg;

	rg->done = true;
	if (err)
		rg->err = *err;
}

static int cmd_range(char **argv)
{
	struct range rg = { 0 };
	struct oci_read read = { .on_data = range_data, .on_done = range_done, .arg = &rg };
	struct err err = ERR_INIT;
	struct oci_image *img;
	struct oci_repo *repo;
	struct oci_req *req;
	struct oci_ref ref;
	unsigned layer = (unsigned)atoi(argv[1]);
	int r;

	img = resolve(argv[0], &ref, &err);
	if (!img || oci_repo_get(client, &ref, &repo, &err) < 0)
		return die(&err);
	r = oci_blob_read(repo, &img->layers[layer].desc, strtoull(argv[2], NULL, 10),
			  strtoull(argv[3], NULL, 10), &read, &req, &err);
	if (r == 0)
		r = oci_client_wait(client, &rg.done, &err);
	if (r == 0 && rg.err.num) {
		err = rg.err;
		r = -1;
	}
	oci_repo_put(repo);
	oci_image_free(img);
	return r < 0 ? die(&err) : 0;
}

int main(int argc, char **argv)
{
	struct oci_opts opts = { .docker_config = "/nonexistent", .hosts_dirs = "/nonexistent",
				 .retries = 2 };
	struct err err = ERR_INIT;
	int r = 2;

	for (argv++, argc--; argc > 2 && argv[0][0] == '-'; argv += 2, argc -= 2) {
		if (!strcmp(argv[0], "--ca"))
			opts.ca_file = argv[1];
		else if (!strcmp(argv[0], "--config"))
			opts.docker_config = argv[1];
		else if (!strcmp(argv[0], "--hosts"))
			opts.hosts_dirs = argv[1];
	}
	if (oci_client_new(&opts, NULL, &client, &err) < 0)
		return die(&err);
	if (argc == 2 && !strcmp(argv[0], "resolve"))
		r = cmd_resolve(argv[1]);
	else if (argc >= 3 && !strcmp(argv[0], "copy"))
		r = cmd_copy(argv[1], argv[2], argc > 3 ? argv[3] : NULL);
	else if (argc == 5 && !strcmp(argv[0], "range"))
		r = cmd_range(argv + 1);
	else
		fprintf(stderr, "usage: see tests/oci/oci_tool.c\n");
	oci_client_free(client);
	return r;
}
