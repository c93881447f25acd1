/* SPDX-License-Identifier: GPL-2.0-or-later */
/* registry.c - see registry.h. */
#include "cli/registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "config.h"
#include "oci/push.h"

#define MANIFEST_MAX_BYTES (4u << 20)

void cli_registry_opts(const struct cli_registry *r, struct oci_opts *ret)
{
	*ret = (struct oci_opts){
		.user_agent = "lazyerofs/" PACKAGE_VERSION,
		.plain_http = r->plain_http,
		.ca_file = r->ca_file,
		.docker_config = r->docker_config,
		.hosts_dirs = r->hosts_dirs,
	};
}

int cli_layout_prepare(struct oci_ref *ref, struct err *err)
{
	if (!*ref->tag && !ref->has_digest)
		strcpy(ref->tag, "latest");
	return oci_layout_create(ref->dir, err);
}

void cli_images_done(struct cli_images *images)
{
	for (size_t i = 0; i < images->n; i++)
		oci_image_free(images->v[i]);
	free(images->v);
	buf_done(&images->index);
}

static int add_image(struct oci_client *c, const struct oci_ref *ref,
		     const struct oci_platform *platform, struct cli_images *ret,
		     struct err *err)
{
	struct oci_image **v = reallocarray(ret->v, ret->n + 1, sizeof(*v));
	int r;

	if (!v)
		return err_sys(err, ENOMEM, "images");
	ret->v = v;
	r = ret->bare ? oci_image_get(c, ref, platform, &v[ret->n], err) :
			oci_image_resolve(c, ref, platform, NULL, &v[ret->n], err);
	if (r == 0)
		ret->n++;
	return r;
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* Every platform that the index lists; attestations ("unknown") and indexes are none. */
static int add_all(struct oci_client *c, const struct oci_ref *ref, struct cli_images *ret,
		   struct err *err)
{
	json_t *doc = json_loadb((char *)ret->index.data, ret->index.len, 0, NULL);
	json_t *list = json_object_get(doc, "manifests");
	int r = 0;

	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i), *p = json_object_get(o, "platform");
		struct oci_platform platform = { 0 };

		if (!p || !strcmp(text(p, "os"), "unknown") || text(o, "artifactType")[0])
			continue;
		if (snprintf(platform.os, sizeof(platform.os), "%s", text(p, "os")) >=
			    (int)sizeof(platform.os) ||
		    snprintf(platform.arch, sizeof(platform.arch), "%s",
			     text(p, "architecture")) >= (int)sizeof(platform.arch) ||
		    snprintf(platform.variant, sizeof(platform.variant), "%s",
			     text(p, "variant")) >= (int)sizeof(platform.variant))
			continue;
		r = add_image(c, ref, &platform, ret, err);
	}
	json_decref(doc);
	if (r == 0 && ret->n == 0)
		r = err_set(err, ERR_UNSUPPORTED, ENOENT, "the image index lists no platform");
	return r;
}

static int add_named(struct oci_client *c, const struct cli_registry *reg,
		     const struct oci_ref *ref, struct cli_images *ret, struct err *err)
{
	struct oci_platform platform;
	int r = 0;

	for (size_t i = 0; r == 0 && i < reg->platforms.n; i++) {
		r = oci_platform_parse(reg->platforms.v[i], &platform, err);
		if (r == 0)
			r = add_image(c, ref, &platform, ret, err);
	}
	if (reg->platforms.n)
		return r;
	oci_platform_host(&platform);
	return add_image(c, ref, &platform, ret, err);
}

int cli_images_resolve(struct oci_client *c, const struct cli_registry *reg,
		       const struct oci_ref *ref, bool bare, struct cli_images *ret,
		       struct err *err)
{
	struct cli_images images = { .bare = bare, .index = BUF_INIT(MANIFEST_MAX_BYTES) };
	int r = oci_manifest_get(c, ref, &images.index, &images.top, err);

	if (r < 0)
		goto fail;
	if (!strstr(images.top.media_type, "index") && !strstr(images.top.media_type, "list"))
		buf_done(&images.index);
	if (reg->all_platforms && images.index.len)
		r = add_all(c, ref, &images, err);
	else
		r = add_named(c, reg, ref, &images, err);
	if (r < 0)
		goto fail;
	*ret = images;
	return 0;
fail:
	cli_images_done(&images);
	return r;
}
