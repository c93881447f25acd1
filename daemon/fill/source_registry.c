/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source_registry.c - a layer blob of a registry, through lib/oci: authentication, mirrors,
 * retries and time-outs are done there. Callbacks may come while oci_blob_read() has not
 * returned its request yet (`starting`); what is wished meanwhile is done after it.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "daemon/fill/sources.h"

struct registry_source {
	struct source source;
	struct oci_repo *repo;
	struct oci_desc desc;
	char label[];
};

struct registry_read {
	struct source_read *r;
	struct oci_req *req;
	bool starting, over, paused;
};

static int on_data(void *arg, const uint8_t *data, size_t len)
{
	struct registry_read *rr = arg;

	return rr->r->on_data(rr->r, data, len);
}

static void on_done(void *arg, const struct err *err)
{
	struct registry_read *rr = arg;
	struct source_read *r = rr->r;

	rr->over = true;
	if (!rr->starting)
		free(rr);
	r->private = NULL;
	r->on_done(r, err);
}

static int registry_read(struct source *source, uint64_t off, uint64_t len,
			 uint32_t deadline_ms, struct source_read *r, struct err *err)
{
	struct registry_source *s = container_of(source, struct registry_source, source);
	struct registry_read *rr = calloc(1, sizeof(*rr));
	struct oci_read read = {
		.on_data = on_data, .on_done = on_done, .arg = rr,
		.deadline_ms = deadline_ms, .background = r->background,
	};
	int ret;

	if (!rr)
		return err_sys(err, ENOMEM, "read of %s", s->label);
	rr->r = r;
	rr->starting = true;
	r->private = rr;
	ret = oci_blob_read(s->repo, &s->desc, off, len, &read, &rr->req, err);
	rr->starting = false;
	if (ret < 0 || rr->over) {
		if (ret < 0)
			r->private = NULL;
		free(rr);
		return ret < 0 ? ret : 0;
	}
	if (rr->paused)
		oci_req_pause(rr->req, true);
	return 0;
}

static void registry_cancel(struct source *source, struct source_read *r)
{
	struct registry_read *rr = r->private;

	(void)source;
	oci_req_cancel(rr->req);
}

static void registry_pause(struct source *source, struct source_read *r, int pause)
{
	struct registry_read *rr = r->private;

	(void)source;
	rr->paused = pause;
	if (!rr->starting)
		oci_req_pause(rr->req, pause);
}

static void registry_free(struct source *source)
{
	struct registry_source *s = container_of(source, struct registry_source, source);

	oci_repo_put(s->repo);
	free(s);
}

static const struct source_ops registry_ops = {
	.name = "registry",
	.read = registry_read,
	.cancel = registry_cancel,
	.pause = registry_pause,
	.free = registry_free,
};

int source_registry_new(struct oci_repo *repo, const struct oci_desc *desc, const char *label,
			struct source **ret, struct err *err)
{
	size_t size = strlen(label) + 1;
	struct registry_source *s = calloc(1, sizeof(*s) + size);

	if (!s) {
		oci_repo_put(repo);
		return err_sys(err, ENOMEM, "source %s", label);
	}
	memcpy(s->label, label, size);
	s->source = (struct source){ .ops = &registry_ops, .label = s->label };
	s->repo = repo;
	s->desc = *desc;
	*ret = &s->source;
	return 0;
}
