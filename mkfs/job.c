/* SPDX-License-Identifier: GPL-2.0-or-later */
/* job.c - see job.h. Runs after sandbox_enter(): opens nothing. One thread. */
#include "mkfs/job.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/io.h"
#include "image/map.h"
#include "image/tree.h"
#include "ztoc/ztoc.h"

struct loaded {
	struct buf bytes;
	struct digest digest;
	struct ztoc *ztoc;
	struct layer_map *map;
};

struct state {
	const struct job *job;
	struct loaded *layers;
	const struct layer_map **maps;
	struct tree *tree;
	struct bootstrap_info info;
};

static void state_done(struct state *s)
{
	tree_free(s->tree);
	for (uint32_t i = 0; s->layers && i < s->job->nlayers; i++) {
		layer_map_free(s->layers[i].map);
		ztoc_free(s->layers[i].ztoc);
		buf_done(&s->layers[i].bytes);
	}
	free(s->layers);
	free(s->maps);
}

/* The whole file, or -EFBIG; a regular file's size makes the buffer right at once. */
static int read_all(int fd, struct buf *b)
{
	struct stat st;
	int r = 0;

	b->max_bytes = JOB_ZTOC_MAX_BYTES;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		if (st.st_size > (off_t)JOB_ZTOC_MAX_BYTES)
			return -EFBIG;
		r = buf_reserve(b, (size_t)st.st_size);
	}
	while (r == 0) {
		uint8_t chunk[65536];
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		r = buf_add(b, chunk, (size_t)n);
	}
	return r;
}

static int load_layer(const struct job_layer *in, struct loaded *l, struct err *err)
{
	int r = read_all(in->ztoc_fd, &l->bytes);

	if (r == -EFBIG)
		return err_set(err, ERR_CORRUPT, EFBIG, "zTOC of more than 1 GiB");
	if (r < 0)
		return err_sys(err, -r, "read");
	digest_of(l->bytes.data, l->bytes.len, &l->digest);
	r = ztoc_open(l->bytes.data, l->bytes.len, &l->ztoc, err);
	if (r == 0)
		r = ztoc_check_lazy(l->ztoc, err);
	if (r == 0)
		r = layer_map_build(l->ztoc, &l->digest, &l->map, err);
	return r;
}

static int load_all(struct state *s, struct err *err)
{
	int r = tree_new(&s->tree, err);

	for (uint32_t i = 0; r == 0 && i < s->job->nlayers; i++) {
		struct loaded *l = &s->layers[i];

		r = load_layer(&s->job->layers[i], l, err);
		if (r == 0)
			r = tree_add_layer(s->tree, i, l->ztoc, l->map, err);
		if (r < 0)
			err_prefix(err, "%s", s->job->layers[i].name);
		s->maps[i] = l->map;
	}
	return r;
}

static int write_synced(int fd, const struct buf *b)
{
	int r = io_write_full(fd, b->data, b->len);

	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

static int write_maps(const struct state *s, struct err *err)
{
	for (uint32_t i = 0; i < s->job->nlayers; i++) {
		const struct job_layer *in = &s->job->layers[i];
		cleanup_buf struct buf b = BUF_INIT(0);
		int r;

		if (in->map_fd < 0)
			continue;
		r = layer_map_encode(s->maps[i], &b, err);
		if (r < 0)
			return r;
		r = write_synced(in->map_fd, &b);
		if (r < 0)
			return err_sys(err, -r, "%s", in->map_name);
	}
	return 0;
}

static int write_bootstrap(struct state *s, struct err *err)
{
	const struct job *job = s->job;
	int r = bootstrap_write(s->tree, s->maps, job->nlayers, job->kind, job->out_fd,
				&s->info, err);

	if (r == 0 && fsync(job->out_fd) < 0)
		r = err_sys(err, errno, "fsync");
	if (r < 0)
		err_prefix(err, "%s", job->out_name);
	return r;
}

/* Numbers and hexadecimal digits only: nothing to escape. */
static int add_layer_json(struct buf *b, const struct layer_map *m, bool first)
{
	char digest[DIGEST_TEXT_SIZE], id[DIGEST_HEX_LEN + 1];

	digest_format(&m->ztoc_digest, digest);
	layer_blob_id(&m->ztoc_digest, id);
	return buf_addf(b, "%s\n  {\"ztoc\": \"%s\", \"blob\": \"%s\", \"blob_bytes\": %llu, "
			"\"layer_bytes\": %llu, \"tar_bytes\": %llu, \"spans\": %u, "
			"\"segments\": %u, \"files\": %llu}", first ? "" : ",", digest, id,
			(unsigned long long)m->blob_size, (unsigned long long)m->comp_size,
			(unsigned long long)m->out_size, m->nspans, m->nsegments,
			(unsigned long long)m->nextents);
}

static int write_summary(const struct state *s, struct err *err)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	const struct job *job = s->job;
	int r;

	if (job->json_fd < 0)
		return 0;
	r = buf_addf(&b, "{\"kernel_path\": \"%s\", \"inodes\": %llu, \"bytes\": %llu, "
		     "\"devices\": %u, \"layers\": [",
		     job->kind == BOOTSTRAP_CACHEFILES ? "cachefiles" : "fanotify",
		     (unsigned long long)s->info.inodes, (unsigned long long)s->info.bytes,
		     s->info.devices);
	for (uint32_t i = 0; r == 0 && i < job->nlayers; i++)
		r = add_layer_json(&b, s->maps[i], i == 0);
	if (r == 0)
		r = buf_add_str(&b, "\n]}\n");
	if (r == 0)
		r = io_write_full(job->json_fd, b.data, b.len);
	return r < 0 ? err_sys(err, -r, "summary") : 0;
}

int job_run(const struct job *job, struct err *err)
{
	struct state s = { .job = job };
	int r = 0;

	s.layers = calloc(job->nlayers, sizeof(*s.layers));
	s.maps = calloc(job->nlayers, sizeof(*s.maps));
	if (!s.layers || !s.maps)
		r = err_sys(err, ENOMEM, "layers");
	if (r == 0)
		r = load_all(&s, err);
	if (r == 0)
		r = write_maps(&s, err);
	if (r == 0)
		r = write_bootstrap(&s, err);
	if (r == 0)
		r = write_summary(&s, err);
	state_done(&s);
	return r;
}
