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
#include "index/present.h"
#include "oci/json.h"
#include "oci/manifest.h"
#include "oci/push.h"

#define MAX_ENTRIES 4096u
#define REF_TEXT_SIZE 200	/* of a reference in messages */

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

void cli_layout_tag(struct oci_ref *ref)
{
	if (ref->is_layout && !*ref->tag && !ref->has_digest)
		strcpy(ref->tag, "latest");
}

void cli_images_done(struct cli_images *images)
{
	for (size_t i = 0; i < images->n; i++)
		oci_image_free(images->v[i]);
	free(images->v);
	free(images->wanted);
	buf_done(&images->index);
}

static bool is_index(const char *media_type)
{
	return strstr(media_type, "index") || strstr(media_type, "list");
}

static int malformed(struct err *err)
{
	return err_set(err, ERR_CORRUPT, EINVAL, "an entry of the image index is malformed");
}

static int add_image(struct oci_client *c, const struct oci_ref *ref,
		     const struct oci_platform *platform, struct cli_images *ret,
		     struct err *err)
{
	struct oci_image **v = reallocarray(ret->v, ret->n + 1, sizeof(*v));
	struct oci_platform *wanted;
	int r;

	if (!v)
		return err_sys(err, ENOMEM, "images");
	ret->v = v;
	wanted = reallocarray(ret->wanted, ret->n + 1, sizeof(*wanted));
	if (!wanted)
		return err_sys(err, ENOMEM, "images");
	ret->wanted = wanted;
	wanted[ret->n] = platform ? *platform : (struct oci_platform){ 0 };
	r = ret->bare ? oci_image_get(c, ref, platform, &v[ret->n], err) :
			oci_image_resolve(c, ref, platform, NULL, &v[ret->n], err);
	if (r == 0)
		ret->n++;
	return r;
}

static int add_entry(struct oci_client *c, const struct oci_ref *ref,
		     const struct oci_desc *desc, const struct oci_platform *platform,
		     struct cli_images *ret, struct err *err)
{
	struct oci_ref one;

	copy_ref_by_digest(ref, &desc->digest, &one);
	return add_image(c, &one, platform, ret, err);
}

void cli_images_tell(const char *text)
{
	cli_warn("%s", text);
}

/* --- all platforms --------------------------------------------------------------------- */

/* *ret_named: does it say its platform? */
static bool is_image(const json_t *o, bool *ret_named)
{
	struct oci_platform p = { 0 };

	*ret_named = manifest_entry_platform(o, &p) < 0 || *p.os || *p.arch;
	return manifest_is_image_entry(o);
}

static bool has_image(const struct cli_images *images, const struct digest *manifest)
{
	for (size_t i = 0; i < images->n; i++)
		if (digest_is_equal(&images->v[i]->manifest.digest, manifest))
			return true;
	return false;
}

/* Nobody who wants the platform of list[i] gets list[i]. */
static bool is_hidden(const json_t *list, size_t i)
{
	const json_t *o = json_array_get(list, i);
	char digest[DIGEST_TEXT_SIZE], platform[OCI_PLATFORM_TEXT_SIZE];
	struct oci_platform p = { 0 };
	struct digest d;
	bool named;
	size_t k = 0;

	while (k < i && !(is_image(json_array_get(list, k), &named) && named &&
			  manifest_is_same_platform(o, json_array_get(list, k))))
		k++;
	if (k == i)
		return false;
	if (!json_equal(json_object_get(o, "digest"),
			json_object_get(json_array_get(list, k), "digest")) &&
	    manifest_entry_platform(o, &p) == 0 && jdoc_digest(o, "digest", &d) == 0) {
		oci_platform_format(&p, platform);
		digest_format(&d, digest);
		cli_warn("%s %s: another image of this platform stands before it: skipped",
			 platform, digest);
	}
	return true;
}

/* Every image that the index lists; one that says no platform only where it is alone. */
static int add_all(struct oci_client *c, const struct oci_ref *ref, const json_t *doc,
		   struct cli_images *ret, struct err *err)
{
	const json_t *list = json_object_get(doc, "manifests"), *o, *unnamed = NULL;
	size_t i, nunnamed = 0;
	struct oci_desc desc;
	int r = 0;

	if (json_array_size(list) > MAX_ENTRIES)
		return err_set(err, ERR_CORRUPT, E2BIG, "the image index lists more than %u images",
			       MAX_ENTRIES);
	json_array_foreach(list, i, o) {
		bool named;

		if (r < 0 || !is_image(o, &named))
			continue;
		if (jdoc_desc(o, &desc) < 0)
			return malformed(err);
		if (!named) {
			unnamed = o;
			nunnamed++;
		} else if (!is_hidden(list, i) && !has_image(ret, &desc.digest)) {
			r = add_entry(c, ref, &desc, NULL, ret, err);
		}
	}
	if (r == 0 && ret->n == 0 && nunnamed == 1 && jdoc_desc(unnamed, &desc) == 0)
		r = add_entry(c, ref, &desc, NULL, ret, err);
	if (r == 0 && ret->n == 0)
		r = err_set(err, ERR_UNSUPPORTED, ENOENT, "the image index lists no platform");
	return r;
}

/* --- named platforms ------------------------------------------------------------------- */

/* An image that stands alone is taken whatever it is for, unless one asks for another. */
static int check_platform(const struct oci_image *img, const struct oci_platform *want,
			  struct err *err)
{
	char have_text[OCI_PLATFORM_TEXT_SIZE], want_text[OCI_PLATFORM_TEXT_SIZE];

	if (oci_platform_is_equal(&img->platform, want))
		return 0;
	oci_platform_format(&img->platform, have_text);
	oci_platform_format(want, want_text);
	return err_set(err, ERR_UNSUPPORTED, ENOENT, "the image is for %s, not %s", have_text,
		       want_text);
}

/* doc: the index of images, or NULL. */
static int add_platform(struct oci_client *c, const struct oci_ref *ref, const json_t *doc,
			const char *text, struct cli_images *ret, struct err *err)
{
	struct oci_platform want;
	const json_t *entry;
	struct oci_desc desc;
	char what[REF_TEXT_SIZE];
	bool named;
	int r = oci_platform_parse(text, &want, err);

	oci_ref_format(ref, what, sizeof(what));
	for (size_t i = 0; r == 0 && i < ret->n; i++)
		if (oci_platform_is_equal(&ret->wanted[i], &want))
			return 0;
	if (r == 0 && doc)
		r = manifest_choose(doc, &want, MANIFEST_EXACT, what, &entry, &desc, err);
	if (r == 0)
		r = doc ? add_entry(c, ref, &desc, &want, ret, err) :
			  add_image(c, ref, &want, ret, err);
	if (r < 0 || (doc && is_image(entry, &named) && named && !is_index(desc.media_type)))
		return r;
	return check_platform(ret->v[ret->n - 1], &want, err);
}

/* Each a comma list. */
static int add_named(struct oci_client *c, const struct cli_registry *reg,
		     const struct oci_ref *ref, const json_t *doc, struct cli_images *ret,
		     struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < reg->platforms.n; i++) {
		cleanup_free char *list = strdup(reg->platforms.v[i]);
		char *rest = list;

		if (!list)
			return err_sys(err, ENOMEM, "images");
		while (r == 0 && rest)
			r = add_platform(c, ref, doc, strsep(&rest, ","), ret, err);
	}
	return r;
}

/* --- no platform ----------------------------------------------------------------------- */

static const json_t *only_image(const json_t *doc)
{
	const json_t *o, *found = NULL;
	size_t i;

	json_array_foreach(json_object_get(doc, "manifests"), i, o) {
		if (!manifest_is_image_entry(o))
			continue;
		if (found)
			return NULL;
		found = o;
	}
	return found;
}

/* For this machine, else the only image there is. */
static int add_default(struct oci_client *c, const struct oci_ref *ref, const json_t *doc,
		       struct cli_images *ret, struct err *err)
{
	char text[OCI_PLATFORM_TEXT_SIZE], what[REF_TEXT_SIZE];
	struct oci_platform host;
	const json_t *only;
	struct oci_desc desc;
	bool named;
	int r;

	oci_platform_host(&host);
	oci_ref_format(ref, what, sizeof(what));
	if (!doc)
		return add_image(c, ref, &host, ret, err);
	r = manifest_choose(doc, &host, MANIFEST_NEAREST, what, NULL, &desc, err);
	if (r == 0)
		return add_entry(c, ref, &desc, &host, ret, err);
	only = r == -ENOENT ? only_image(doc) : NULL;
	if (!only)
		return r;
	if (jdoc_desc(only, &desc) < 0)
		return malformed(err);
	r = add_entry(c, ref, &desc, &host, ret, err);
	if (r == 0) {
		if (!is_image(only, &named) || !named ||
		    manifest_entry_platform(only, &ret->wanted[0]) < 0)
			ret->wanted[0] = ret->v[0]->platform;
		oci_platform_format(&ret->wanted[0], text);
		cli_warn("the only image there is, for %s", text);
	}
	return r;
}

/* --- what a reference leads to --------------------------------------------------------- */

static int resolve(struct oci_client *c, const struct cli_registry *reg,
		   const struct oci_ref *ref, struct cli_images *images, struct err *err)
{
	const struct present_opts popts = { .tell = cli_images_tell };
	cleanup_json json_t *doc = NULL;
	int r = oci_manifest_get(c, ref, &images->index, &images->top, err);

	if (r == 0 && !is_index(images->top.media_type))
		buf_done(&images->index);
	if (r == 0 && images->index.len) {
		r = present_filter(c, ref, &popts, &images->index, err);
		if (r >= 0)
			r = jdoc_parse(images->index.data, images->index.len, "image index", &doc,
				       err);
	}
	if (r < 0)
		return r;
	if (reg->all_platforms && doc)
		return add_all(c, ref, doc, images, err);
	return reg->platforms.n ? add_named(c, reg, ref, doc, images, err) :
				  add_default(c, ref, doc, images, err);
}

int cli_images_resolve(struct oci_client *c, const struct cli_registry *reg,
		       const struct oci_ref *ref, bool bare, struct cli_images *ret,
		       struct err *err)
{
	struct cli_images images = { .bare = bare, .index = BUF_INIT(OCI_MANIFEST_MAX_BYTES) };
	int r = resolve(c, reg, ref, &images, err);

	if (r < 0)
		cli_images_done(&images);
	else
		*ret = images;
	return r;
}

int cli_images_drop_partial(struct oci_client *c, const struct oci_ref *ref,
			    struct cli_images *images, struct err *err)
{
	cleanup_free struct digest *keep = calloc(images->n + 1, sizeof(*keep));
	const struct present_opts opts = { .whole = true, .keep = keep, .nkeep = images->n,
					   .tell = cli_images_tell };
	int r;

	if (!keep)
		return err_sys(err, ENOMEM, "images");
	if (!images->index.len)
		return 0;
	for (size_t i = 0; i < images->n; i++)
		keep[i] = images->v[i]->manifest.digest;
	r = present_filter(c, ref, &opts, &images->index, err);
	return r < 0 ? r : 0;
}
