/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_admin.c - what the control room reads: requests of the admin socket, records of
 * images, lines of mountinfo. Byte 0 chooses.
 *
 * fuzz-sources: daemon/control/admin_parse.c daemon/control/image_record.c daemon/control/mountinfo.c daemon/config.c lib/base/err.c lib/base/digest.c lib/base/buf.c lib/base/io.c
 * fuzz-libs: -ljansson -lnettle
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/control/admin.h"
#include "daemon/control/image_record.h"
#include "daemon/control/mountinfo.h"

static const struct admin_field fields[] = {
	{ "image", JSON_STRING, true }, { "n", JSON_INTEGER, false }, { "b", JSON_TRUE, false },
	{ .name = NULL },
};
static const struct admin_command commands[] = {
	{ "mount", fields, NULL }, { .name = NULL },
};

static void request(const char *data, size_t len)
{
	const struct admin_command *c;
	json_t *root;

	if (admin_parse(data, len, commands, &root, &c, NULL) < 0)
		return;
	if (c != commands || !json_string_value(json_object_get(root, "image")))
		abort();
	json_decref(root);
}

/* A record that was accepted survives writing and reading. */
static void record(const char *data, size_t len)
{
	char a[DIGEST_HEX_LEN + 1], b[DIGEST_HEX_LEN + 1];
	struct image_record *rec, *again;
	struct buf out = BUF_INIT(0);

	if (image_record_decode(data, len, &rec, NULL) < 0)
		return;
	if (image_record_encode(rec, &out, NULL) < 0 ||
	    image_record_decode(out.data, out.len, &again, NULL) < 0)
		abort();
	image_record_id(rec, a);
	image_record_id(again, b);
	if (strcmp(a, b) != 0)
		abort();
	image_record_free(rec);
	image_record_free(again);
	buf_done(&out);
}

static void mounts(const char *data, size_t len)
{
	char id[DIGEST_HEX_LEN + 1], *line = malloc(len + 1);
	struct mountinfo m;

	memcpy(line, data, len);
	line[len] = '\0';
	if (mountinfo_parse(line, &m) == 0) {
		mountinfo_image_id(&m, "/c", id);
		if (mountinfo_image_id(&m, NULL, id) && strlen(id) != DIGEST_HEX_LEN)
			abort();
	}
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct config c;
	const char *rest = (const char *)data + 1;

	if (len == 0)
		return 0;
	switch (data[0] & 3) {
	case 0:
		request(rest, len - 1);
		break;
	case 1:
		record(rest, len - 1);
		break;
	case 2:
		mounts(rest, len - 1);
		break;
	default:
		config_defaults(&c);
		config_parse(&c, rest, len - 1, "fuzz", NULL);
	}
	return 0;
}
