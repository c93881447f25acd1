/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mountinfo.c - see mountinfo.h. */
#include "daemon/control/mountinfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Next blank-separated word, or NULL. */
static char *word(char **at)
{
	char *s = *at, *end;

	if (!s || !*s || *s == ' ')
		return NULL;
	end = strchr(s, ' ');
	*at = end ? end + 1 : s + strlen(s);
	if (end)
		*end = '\0';
	return s;
}

static void unescape(char *s)
{
	char *out = s;

	for (; *s; out++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7' && (s[1] | s[2] | s[3]) != '0') {
			*out = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*out = *s++;
		}
	}
	*out = '\0';
}

static int number(const char *s, unsigned *ret)
{
	unsigned long v;
	char *end;

	if (!s || *s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	v = strtoul(s, &end, 10);
	if (errno || *end || v > 0xffffffffu)
		return -EINVAL;
	*ret = (unsigned)v;
	return 0;
}

static int device(char *s, struct mountinfo *m)
{
	char *colon = s ? strchr(s, ':') : NULL;

	if (!colon)
		return -EINVAL;
	*colon = '\0';
	return number(s, &m->major) < 0 ? -EINVAL : number(colon + 1, &m->minor);
}

int mountinfo_parse(char *line, struct mountinfo *ret)
{
	struct mountinfo m = { 0 };
	char *at = line, *w;

	if (number(word(&at), &m.id) < 0 || number(word(&at), &m.parent) < 0 ||
	    device(word(&at), &m) < 0)
		return -EINVAL;
	m.root = word(&at);
	m.point = word(&at);
	m.options = word(&at);
	do
		w = word(&at);		/* optional fields */
	while (w && strcmp(w, "-") != 0);
	m.type = w ? word(&at) : NULL;
	/* The source may be empty: two blanks. */
	if (m.type && *at == ' ') {
		*at = '\0';
		m.source = at++;
	} else {
		m.source = m.type ? word(&at) : NULL;
	}
	m.super = m.source ? word(&at) : NULL;
	if (!m.super || word(&at))
		return -EINVAL;
	unescape(m.root);
	unescape(m.point);
	unescape(m.type);
	unescape(m.source);
	unescape(m.super);
	*ret = m;
	return 0;
}

static bool is_id(const char *s)
{
	return strspn(s, "0123456789abcdef") >= DIGEST_HEX_LEN;
}

bool mountinfo_image_id(const struct mountinfo *m, const char *dir,
			char ret[DIGEST_HEX_LEN + 1])
{
	static const char images[] = "/images/", bootstrap[] = "/bootstrap.fanotify";
	const size_t tail = sizeof(images) - 1 + DIGEST_HEX_LEN + sizeof(bootstrap) - 1;
	size_t len = strlen(m->source);
	const char *id = NULL, *fsid;

	if (strcmp(m->type, "erofs") != 0)
		return false;
	if (len >= tail && (!dir || (strlen(dir) == len - tail &&
				     strncmp(m->source, dir, len - tail) == 0))) {
		id = m->source + len - tail + sizeof(images) - 1;
		if (strncmp(m->source + len - tail, images, sizeof(images) - 1) != 0 ||
		    !is_id(id) || strcmp(id + DIGEST_HEX_LEN, bootstrap) != 0)
			id = NULL;
	}
	for (fsid = m->super; !id && fsid; fsid = strchr(fsid, ',')) {
		fsid += *fsid == ',';
		if (strncmp(fsid, "fsid=", 5) == 0 && is_id(fsid + 5) &&
		    (!fsid[5 + DIGEST_HEX_LEN] || fsid[5 + DIGEST_HEX_LEN] == ','))
			id = fsid + 5;
	}
	if (!id)
		return false;
	memcpy(ret, id, DIGEST_HEX_LEN);
	ret[DIGEST_HEX_LEN] = '\0';
	return true;
}

int mountinfo_find(char *text, const char *path, struct mountinfo *ret)
{
	char *save = NULL;
	int found = -ENOENT;

	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct mountinfo m;

		/* Later lines lie above earlier ones. */
		if (mountinfo_parse(line, &m) == 0 && strcmp(m.point, path) == 0) {
			*ret = m;
			found = 0;
		}
	}
	return found;
}
