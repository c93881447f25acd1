/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * registry.h - what commands that speak to registries share: their options, the client and
 * the choice of platforms.
 */
#ifndef LZ_CLI_REGISTRY_H
#define LZ_CLI_REGISTRY_H

#include "cli/cli.h"
#include "oci/image.h"

struct cli_registry {
	const char *plain_http, *ca_file, *docker_config, *hosts_dirs, *user;
	bool insecure;
	char username[256];		/* of user, once cli_registry_opts() split it */
	struct cli_list platforms;
	bool all_platforms;
};

#define CLI_REGISTRY_OPTS(r)                                                             \
	CLI_OPT_STR('\0', "plain-http", "HOST[:PORT]", "registries spoken to without TLS (comma list)", \
		    &(r)->plain_http),                                                   \
	CLI_OPT_STR('\0', "ca-file", "FILE", "further certificate authorities", &(r)->ca_file), \
	CLI_OPT_STR('\0', "docker-config", "FILE", "config.json with the credentials, or its folder", \
		    &(r)->docker_config),                                                \
	CLI_OPT_STR('\0', "hosts-dirs", "LIST", "folders with hosts.toml (colon list)",  \
		    &(r)->hosts_dirs),                                                   \
	CLI_OPT_STR('u', "user", "USER[:PASSWORD]",                                       \
		    "instead of stored credentials; a password that is missing is asked for", \
		    &(r)->user),                                                         \
	CLI_OPT_FLAG('k', "insecure", "do not verify the certificates of registries", &(r)->insecure)
#define CLI_PLATFORM_OPTS(r)                                                             \
	CLI_OPT_LIST('p', "platform", "OS/ARCH[/VARIANT]",                                \
		     "of the image; a comma list, may be repeated (default: this machine's)", \
		     &(r)->platforms),                                                   \
	CLI_OPT_FLAG('\0', "all-platforms", "all platforms of the image", &(r)->all_platforms)

/* Asks for the password where it is missing. *ret borrows from r and the arguments. */
int cli_registry_opts(struct cli_registry *r, struct oci_opts *ret, struct err *err);
/* One user is for one registry: refused where src and dst are two. */
int cli_registry_one_user(const struct cli_registry *r, const struct oci_ref *src,
			  const struct oci_ref *dst, struct err *err);

/* Of a layout that is to be written no tag means "latest". */
void cli_layout_tag(struct oci_ref *ref);

/* The images behind one reference. */
struct cli_images {
	bool bare;
	struct oci_image **v;
	struct oci_platform *wanted;	/* each as it was asked for; os "": not by platform */
	size_t n;
	struct buf index;		/* bytes of the image index; empty: the ref names an image */
	struct oci_desc top;		/* of what the reference names */
};

/*
 * Resolve the wanted platforms of ref; at least one, or an error. A platform that was asked
 * for is just that one; without, it is what suits this machine best, or the only image
 * there is. Of all platforms, each one once. What an index lists and its layout does not
 * hold is said and taken out of it. bare: without looking for their SOCI indexes.
 */
int cli_images_resolve(struct oci_client *c, const struct cli_registry *r,
		       const struct oci_ref *ref, bool bare, struct cli_images *ret,
		       struct err *err);
/* Take out of the index, too, what is not to be converted and not wholly in the layout. */
int cli_images_drop_partial(struct oci_client *c, const struct oci_ref *ref,
			    struct cli_images *images, struct err *err);
void cli_images_done(struct cli_images *images);
/* "lazyerofs: TEXT", as a callback. */
void cli_images_tell(const char *text);

#endif
