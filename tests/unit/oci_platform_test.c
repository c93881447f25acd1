/* SPDX-License-Identifier: GPL-2.0-or-later */
/* oci_platform_test.c - platforms: the forms of -p, and the one form of many spellings. */
#include "tests/unit/tap.h"

#include "oci/platform.h"

static void normal(const char *os, const char *arch, const char *variant, const char *want)
{
	struct oci_platform p;
	char got[96];

	snprintf(p.os, sizeof(p.os), "%s", os);
	snprintf(p.arch, sizeof(p.arch), "%s", arch);
	snprintf(p.variant, sizeof(p.variant), "%s", variant);
	oci_platform_normalize(&p);
	snprintf(got, sizeof(got), "%s/%s/%s", p.os, p.arch, p.variant);
	is_str(got, want, "\"%s\" \"%s\" \"%s\"", os, arch, variant);
	oci_platform_normalize(&p);
	snprintf(got, sizeof(got), "%s/%s/%s", p.os, p.arch, p.variant);
	is_str(got, want, "and again");
}

static void test_normalize(void)
{
	normal("linux", "amd64", "", "linux/amd64/");
	normal("Linux", "AMD64", "V1", "linux/amd64/");
	normal("linux", "amd64", "v2", "linux/amd64/v2");
	normal("linux", "x86_64", "v1", "linux/amd64/");
	normal("linux", "x86-64", "", "linux/amd64/");
	normal("linux", "i386", "x", "linux/386/");
	normal("linux", "386", "x", "linux/386/x");
	normal("linux", "aarch64", "v8", "linux/arm64/");
	normal("linux", "arm64", "8", "linux/arm64/");
	normal("linux", "arm64", "v8.0", "linux/arm64/");
	normal("linux", "arm64", "v8.2", "linux/arm64/v8.2");
	normal("linux", "arm64", "9.0", "linux/arm64/v9");
	normal("linux", "arm64", "9", "linux/arm64/v9");
	normal("linux", "arm64", "v9.0", "linux/arm64/v9");
	normal("linux", "arm", "", "linux/arm/v7");
	normal("linux", "arm", "7", "linux/arm/v7");
	normal("linux", "arm", "6", "linux/arm/v6");
	normal("linux", "arm", "5", "linux/arm/v5");
	normal("linux", "arm", "8", "linux/arm/v8");
	normal("linux", "arm", "4", "linux/arm/4");
	normal("linux", "arm", "v6", "linux/arm/v6");
	normal("linux", "armhf", "v6", "linux/arm/v7");
	normal("linux", "armel", "", "linux/arm/v6");
	normal("", "", "", "linux//");
	normal("macOS", "arm64", "", "darwin/arm64/");
	normal("windows", "S390X", "Z", "windows/s390x/z");
}

static void parse(const char *text, const char *want)
{
	struct oci_platform p;
	struct err err = ERR_INIT;
	char got[96] = "refused";

	if (oci_platform_parse(text, &p, &err) == 0)
		snprintf(got, sizeof(got), "%s %s %s", p.os, p.arch, p.variant);
	is_str(got, want, "%s", text);
}

static void test_parse(void)
{
	parse("linux/amd64", "linux amd64 ");
	parse("linux/arm/v7", "linux arm v7");
	parse("linux/arm", "linux arm ");
	parse("linux/armhf", "linux arm ");
	parse("linux/armel", "linux arm v6");
	parse("linux/arm64", "linux arm64 ");
	parse("linux/aarch64/V8", "linux arm64 v8");
	parse("linux/arm64/8", "linux arm64 v8");
	parse("Linux/X86_64/v3", "linux amd64 v3");
	parse("linux/x86-64/v1", "linux amd64 ");
	parse("macos/arm64", "darwin arm64 ");
	parse("amd64", "linux amd64 ");
	parse("X86_64", "linux amd64 ");
	parse("aarch64", "linux arm64 ");
	parse("armhf", "linux arm ");
	parse("armel", "linux arm v6");
	parse("i386", "linux 386 ");
	parse("s390x", "linux s390x ");
	parse("linux/unheard", "linux unheard ");
	parse("unheard", "refused");
	parse("", "refused");
	parse("/", "refused");
	parse("/amd64", "refused");
	parse("amd64/", "refused");
	parse("linux/amd64/", "refused");
	parse("linux/arm/v7/", "refused");
	parse("linux/", "refused");
	parse("linux/arm/v7/x", "refused");
	parse("linux//v7", "refused");
	parse("lin ux/arm", "refused");
	parse("linux/arm/0123456789abcdef", "refused");
}

/* An os alone is for the architecture of this machine. */
static void test_os(void)
{
	struct oci_platform host, p;
	struct err err = ERR_INIT;

	oci_platform_host(&host);
	ok(oci_platform_parse("linux", &p, &err) == 0 && oci_platform_is_equal(&p, &host),
	   "linux: %s/%s", p.os, p.arch);
	ok(oci_platform_parse("Windows", &p, &err) == 0 && !strcmp(p.os, "windows") &&
	   !strcmp(p.arch, host.arch), "Windows: %s/%s", p.os, p.arch);
}

static void equal(const char *a, const char *b, bool want)
{
	struct oci_platform x, y;
	struct err err = ERR_INIT;

	if (oci_platform_parse(a, &x, &err) < 0 || oci_platform_parse(b, &y, &err) < 0)
		bail("%s", err.text);
	is_int(oci_platform_is_equal(&x, &y), want, "%s, %s", a, b);
}

static void test_equal(void)
{
	equal("linux/arm", "linux/arm/v7", true);
	equal("linux/arm", "linux/arm/v6", false);
	equal("linux/arm64", "linux/arm64/v8", true);
	equal("linux/amd64", "linux/amd64/v2", false);
	equal("linux/amd64", "windows/amd64", false);
}

int main(void)
{
	test_normalize();
	test_parse();
	test_os();
	test_equal();
	return tap_done();
}
