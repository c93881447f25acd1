/* SPDX-License-Identifier: GPL-2.0-or-later */
/* platform.c - see platform.h. Any thread. */
#include "oci/platform.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

void oci_platform_host(struct oci_platform *ret)
{
	static const struct {
		const char *machine, *arch, *variant;
	} known[] = {
		{ "x86_64", "amd64", "" },   { "aarch64", "arm64", "" },
		{ "armv7l", "arm", "v7" },   { "armv6l", "arm", "v6" },
		{ "i686", "386", "" },	     { "i386", "386", "" },
		{ "ppc64le", "ppc64le", "" }, { "s390x", "s390x", "" },
		{ "riscv64", "riscv64", "" }, { "loongarch64", "loong64", "" },
	};
	struct utsname u;

	memset(ret, 0, sizeof(*ret));
	strcpy(ret->os, "linux");
	if (uname(&u) < 0)
		return;
	snprintf(ret->arch, sizeof(ret->arch), "%.31s", u.machine);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(u.machine, known[i].machine)) {
			strcpy(ret->arch, known[i].arch);
			strcpy(ret->variant, known[i].variant);
		}
}

static void lower(char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s += 'a' - 'A';
}

static bool is_one_of(const char *s, const char *const *list)
{
	while (*list && strcmp(s, *list) != 0)
		list++;
	return *list;
}

static void normalize_arch(struct oci_platform *p)
{
	static const char *const x86[] = { "x86_64", "x86-64", NULL };
	static const char *const v8[] = { "8", "v8", "v8.0", NULL };
	static const char *const v9[] = { "9", "9.0", "v9.0", NULL };

	if (!strcmp(p->arch, "i386")) {
		strcpy(p->arch, "386");
		p->variant[0] = '\0';
	} else if (is_one_of(p->arch, x86)) {
		strcpy(p->arch, "amd64");
	} else if (!strcmp(p->arch, "aarch64")) {
		strcpy(p->arch, "arm64");
	} else if (!strcmp(p->arch, "armhf") || !strcmp(p->arch, "armel")) {
		strcpy(p->variant, p->arch[3] == 'h' ? "v7" : "v6");
		strcpy(p->arch, "arm");
	}
	if (!strcmp(p->arch, "amd64") && !strcmp(p->variant, "v1"))
		p->variant[0] = '\0';
	else if (!strcmp(p->arch, "arm64") && is_one_of(p->variant, v8))
		p->variant[0] = '\0';
	else if (!strcmp(p->arch, "arm64") && is_one_of(p->variant, v9))
		strcpy(p->variant, "v9");
}

void oci_platform_normalize(struct oci_platform *p)
{
	lower(p->os);
	lower(p->arch);
	lower(p->variant);
	if (!p->os[0])
		strcpy(p->os, "linux");
	else if (!strcmp(p->os, "macos"))
		strcpy(p->os, "darwin");
	normalize_arch(p);
	if (strcmp(p->arch, "arm") != 0)
		return;
	if (!p->variant[0])
		strcpy(p->variant, "v7");
	else if (strchr("5678", p->variant[0]) && !p->variant[1])
		snprintf(p->variant, sizeof(p->variant), "v%c", p->variant[0]);
}

bool oci_platform_is_equal(const struct oci_platform *a, const struct oci_platform *b)
{
	struct oci_platform x = *a, y = *b;

	oci_platform_normalize(&x);
	oci_platform_normalize(&y);
	return !strcmp(x.os, y.os) && !strcmp(x.arch, y.arch) && !strcmp(x.variant, y.variant);
}

void oci_platform_format(const struct oci_platform *p, char ret[OCI_PLATFORM_TEXT_SIZE])
{
	snprintf(ret, OCI_PLATFORM_TEXT_SIZE, "%s/%s%s%s", p->os, p->arch, *p->variant ? "/" : "",
		 p->variant);
}

/* --- text ------------------------------------------------------------------------------ */

/* Letters, digits, '_' '.' '-'. */
static int take_part(const char **s, char *ret, size_t ret_size)
{
	size_t n = strcspn(*s, "/");

	if (n == 0 || n >= ret_size)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-",
			    (*s)[i]))
			return -EINVAL;
	memcpy(ret, *s, n);
	ret[n] = 0;
	*s += n + ((*s)[n] == '/');
	return 0;
}

/* One word: an os for the architecture of this machine, or an architecture for linux. */
static bool expand(struct oci_platform *p)
{
	static const char *const oses[] = {
		"aix",	 "android", "darwin", "dragonfly", "freebsd", "hurd",	 "illumos", "ios",
		"js",	 "linux",   "macos",  "nacl",	   "netbsd",  "openbsd", "plan9",   "solaris",
		"windows", "zos",   NULL,
	};
	static const char *const archs[] = {
		"386",	  "amd64",    "amd64p32", "arm",      "armbe",	    "arm64", "arm64be", "ppc64",
		"ppc64le", "loong64", "mips",	  "mipsle",   "mips64",	    "mips64le",
		"mips64p32", "mips64p32le", "ppc", "riscv",   "riscv64",    "s390",  "s390x",
		"sparc",  "sparc64",  "wasm",	  NULL,
	};
	struct oci_platform host;

	oci_platform_host(&host);
	lower(p->os);
	if (is_one_of(p->os, oses)) {
		strcpy(p->arch, host.arch);
		strcpy(p->variant, host.variant);
		return true;
	}
	strcpy(p->arch, p->os);
	strcpy(p->os, "linux");
	oci_platform_normalize(p);
	return is_one_of(p->arch, archs);
}

int oci_platform_parse(const char *text, struct oci_platform *ret, struct err *err)
{
	struct oci_platform p = { 0 };
	bool has_variant = false;
	const char *s = text;

	if (take_part(&s, p.os, sizeof(p.os)) < 0)
		goto wrong;
	if (!strchr(text, '/')) {
		if (!expand(&p))
			goto wrong;
	} else if (take_part(&s, p.arch, sizeof(p.arch)) < 0) {
		goto wrong;
	}
	if (s > text && s[-1] == '/') {
		has_variant = true;
		if (take_part(&s, p.variant, sizeof(p.variant)) < 0 || *s || s[-1] == '/')
			goto wrong;
	}
	oci_platform_normalize(&p);
	/* As it was asked for: a variant only where one was said. */
	if (!has_variant && !strcmp(p.arch, "arm") && !strcmp(p.variant, "v7"))
		p.variant[0] = '\0';
	else if (has_variant && !strcmp(p.arch, "arm64") && !p.variant[0])
		strcpy(p.variant, "v8");
	*ret = p;
	return 0;
wrong:
	return err_set(err, ERR_UNSUPPORTED, EINVAL, "platform \"%.80s\" is not os/arch, "
		       "os/arch/variant, or a known os or architecture", text);
}
