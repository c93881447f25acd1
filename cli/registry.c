/* SPDX-License-Identifier: GPL-2.0-or-later */
/* registry.c - see registry.h. */
#include "cli/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "config.h"
#include "index/copy.h"
#include "oci/json.h"
#include "oci/manifest.h"
#include "oci/push.h"

#define MANIFEST_MAX_BYTES (4u << 20)

/* USER[:PASSWORD] */
static int split_user(struct cli_registry *r, struct oci_opts *ret, struct err *err)
{
	size_t n = strcspn(r->user, ":");
	char prompt[sizeof(r->username) + 16];

	if (n == 0 || n >= sizeof(r->username))
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "--user: the name is empty or too long");
	memcpy(r->username, r->user, n);
	r->username[n] = '\0';
	ret->username = r->username;
	if (r->user[n]) {
		ret->password = r->user + n + 1;
		return 0;
	}
	if (!isatty(STDIN_FILENO))
		return err_set(err, ERR_UNSUPPORTED, EINVAL, "--user: no password, and no terminal "
			       "to ask for it");
	snprintf(prompt, sizeof(prompt), "Password of %s: ", r->username);
	ret->password = getpass(prompt);
	return ret->password ? 0 : err_sys(err, errno, "password");
}

int cli_registry_opts(struct cli_registry *r, struct oci_opts *ret, struct err *err)
{
	*ret = (struct oci_opts){
		.user_agent = "lazyerofs/" PACKAGE_VERSION,
		.plain_http = r->plain_http,
		.ca_file = r->ca_file,
		.docker_config = r->docker_config,
		.hosts_dirs = r->hosts_dirs,
		.insecure_tls = r->insecure,
	};
	return r->user ? split_user(r, ret, err) : 0;
}

int cli_registry_one_user(const struct cli_registry *r, const struct oci_ref *src,
			  const struct oci_ref *dst, struct err *err)
{
	if (!r->user || src->is_layout || dst->is_layout || !strcmp(src->host, dst->host))
		return 0;
	return err_set(err, ERR_UNSUPPORTED, EINVAL, "--user: whose, of %.100s and %.100s? Log in "
		       "with docker or skopeo instead", src->host, dst->host);
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

/* *ret_named: does it say its platform? */
static bool is_wanted(const json_t *o, bool *ret_named)
{
	const json_t *p = json_object_get(o, "platform");
	const char *os = jdoc_str(p, "os");

	*ret_named = os && *os;
	return manifest_is_image_entry(o) && !(os && !strcmp(os, "unknown"));
}

/* By digest: entries may have one platform and differ in the rest of it (os.version). */
static int add_entry(struct oci_client *c, const struct oci_ref *ref, const json_t *o,
		     struct cli_images *ret, struct err *err)
{
	struct oci_ref one;
	struct oci_desc desc;

	if (jdoc_desc(o, &desc) < 0)
		return err_set(err, ERR_CORRUPT, EINVAL, "an entry of the image index is malformed");
	for (size_t i = 0; i < ret->n; i++)
		if (digest_is_equal(&ret->v[i]->manifest.digest, &desc.digest))
			return 0;
	copy_ref_by_digest(ref, &desc.digest, &one);
	return add_image(c, &one, NULL, ret, err);
}

/* Every image that the index lists; one that says no platform only where it is alone. */
static int add_all(struct oci_client *c, const struct oci_ref *ref, struct cli_images *ret,
		   struct err *err)
{
	cleanup_json json_t *doc = NULL;
	const json_t *list, *o, *unnamed = NULL;
	size_t i, nunnamed = 0;
	int r = jdoc_parse(ret->index.data, ret->index.len, "image index", &doc, err);

	list = json_object_get(doc, "manifests");
	json_array_foreach(list, i, o) {
		bool named;

		if (r < 0 || !is_wanted(o, &named))
			continue;
		if (named) {
			r = add_entry(c, ref, o, ret, err);
		} else {
			unnamed = o;
			nunnamed++;
		}
	}
	if (r == 0 && ret->n == 0 && nunnamed == 1)
		r = add_entry(c, ref, unnamed, ret, err);
	if (r == 0 && ret->n == 0)
		r = err_set(err, ERR_UNSUPPORTED, ENOENT, "the image index lists no platform");
	return r;
}

/* An image that stands alone is taken whatever it is for, unless one asks for another. */
static int check_platform(const struct oci_image *img, const struct oci_platform *want,
			  struct err *err)
{
	const struct oci_platform *p = &img->platform;

	if (!strcmp(p->os, want->os) && !strcmp(p->arch, want->arch))
		return 0;
	return err_set(err, ERR_UNSUPPORTED, ENOENT, "the image is for %s/%s, not %s/%s", p->os,
		       p->arch, want->os, want->arch);
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
		if (r == 0 && !ret->index.len)
			r = check_platform(ret->v[ret->n - 1], &platform, err);
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
