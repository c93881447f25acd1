/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * manifest.h - image indexes, image manifests and configs: documents -> structs.
 *
 * Pure, any thread; the bytes are expected to be digest-checked already, and are hostile
 * nevertheless. media_type is what the descriptor or the Content-Type said ("" if
 * nothing); a document that says otherwise of itself, or that could be read as two kinds,
 * is refused (the confusion of CVE-2021-41190).
 */
#ifndef LZ_OCI_MANIFEST_H
#define LZ_OCI_MANIFEST_H

#include "oci/image.h"
#include "oci/json.h"

#define MANIFEST_MAX_LAYERS 1024u
#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define ANNOTATION_SOCI_INDEX "com.amazon.soci.index-digest"

enum manifest_kind { MANIFEST_INDEX, MANIFEST_IMAGE };

/* what names the document in messages. */
int manifest_kind_of(const json_t *doc, const char *media_type, const char *what,
		     enum manifest_kind *ret, struct err *err);

/* Is it the media type of an image manifest or an image index? "": nothing was said, it may be. */
bool manifest_is_type(const char *media_type);
/*
 * Is an entry of an image index an image (or a nested index), not an attestation, a SOCI
 * index or another artifact? Tools that copy indexes drop artifactType, and others set it
 * on images: with a platform it makes a manifest no artifact, unless it is SOCI's.
 */
bool manifest_is_image_entry(const json_t *entry);
/* *ret: as the entry says, all "" if it does not; -EINVAL: malformed. */
int manifest_entry_platform(const json_t *entry, struct oci_platform *ret);
/*
 * Would whoever wants the image `want` be served `have`? One os, architecture and variant in
 * normal form, no os.features that want has not; for Windows also one build (os.version).
 */
bool manifest_is_same_platform(const json_t *want, const json_t *have);

enum manifest_fit {
	MANIFEST_EXACT,		/* of just that platform, and with no os.features */
	MANIFEST_NEAREST,	/* else what such a machine runs, or is likely to */
};

/*
 * The entry of an image index for platform, borrowed in *ret_entry (may be NULL). An only
 * entry that does not say its platform is taken. ENOENT, and what there is, if none fits.
 */
int manifest_choose(const json_t *index, const struct oci_platform *platform,
		    enum manifest_fit fit, const char *what, const json_t **ret_entry,
		    struct oci_desc *ret, struct err *err);

/*
 * Fills manifest.media_type, config, layers (without diff_id) of img; *ret_soci is set if
 * the SOCI v2 annotation is there.
 */
int manifest_parse_image(const json_t *doc, const char *what, struct oci_image *img,
			 bool *ret_has_soci, struct digest *ret_soci, struct err *err);

/* Fills platform and the layers' diff_id from an image config. */
int manifest_parse_config(const void *data, size_t len, const char *what,
			  struct oci_image *img, struct err *err);

enum oci_layer_kind manifest_layer_kind(const char *media_type);

#endif
