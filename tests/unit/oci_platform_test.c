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
	parse("linux/", "refused");
	parse("linux/arm/v7/x", "refused");
	parse("linux//v7", "refused");
	parse("lin ux/arm", "refused");
	parse("linux/arm/0123456789abcdef", "refused");
}

int main(void)
{
	test_normalize();
	test_parse();
	return tap_done();
}
