/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ztoc_mtime_test.c - lib/ztoc/mtime: RFC 3339 as Go writes it, and nothing else. */
#include "tests/unit/tap.h"

#include <time.h>

#include "ztoc/mtime.h"

static int parse(const char *text, int64_t *sec, uint32_t *nsec)
{
	return ztoc_mtime_parse((struct ztoc_str){ text, (uint32_t)strlen(text) }, sec, nsec);
}

static void good(const char *text, int64_t want_sec, uint32_t want_nsec)
{
	int64_t sec = -999;
	uint32_t nsec = 999;

	is_int(parse(text, &sec, &nsec), 0, "'%s' parses", text);
	is_int(sec, want_sec, "'%s' seconds", text);
	is_int(nsec, want_nsec, "'%s' nanoseconds", text);
}

static void bad(const char *text)
{
	int64_t sec = -999;
	uint32_t nsec = 999;

	ok(parse(text, &sec, &nsec) < 0 && sec == -999 && nsec == 999, "'%s' is refused", text);
}

/* Every day of a few centuries, against the C library. */
static void against_timegm(void)
{
	bool same = true;
	char text[32];

	for (time_t t = -5000000000; t < 20000000000 && same; t += 86400 + 3607) {
		struct tm tm;
		int64_t sec;
		uint32_t nsec;

		gmtime_r(&t, &tm);
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
		same = parse(text, &sec, &nsec) == 0 && sec == t && nsec == 0;
	}
	ok(same, "a walk from 1811 to 2603 agrees with gmtime (%s)", text);
}

int main(void)
{
	good("", 0, 0);
	good("1970-01-01T00:00:00Z", 0, 0);
	good("2026-11-23T16:28:30.459647321Z", 1795451310, 459647321);
	good("1969-12-31T23:59:58.5Z", -2, 500000000);
	good("2024-02-29T12:00:00+05:30", 1709188200, 0);
	good("2024-02-29T12:00:00-08:00", 1709236800, 0);
	good("0000-01-01T00:00:00Z", -62167219200, 0);
	good("9999-12-31T23:59:59.999999999Z", 253402300799, 999999999);
	good("1970-01-01T00:00:00.000000001Z", 0, 1);
	bad("2023-02-29T12:00:00Z");
	bad("1900-02-29T12:00:00Z");
	bad("2024-13-01T00:00:00Z");
	bad("2024-00-01T00:00:00Z");
	bad("2024-04-31T00:00:00Z");
	bad("2024-01-01T24:00:00Z");
	bad("2024-01-01T00:60:00Z");
	bad("2024-01-01T00:00:60Z");
	bad("2024-01-01 00:00:00Z");
	bad("2024-01-01T00:00:00");
	bad("2024-01-01T00:00:00.Z");
	bad("2024-01-01T00:00:00.1234567890Z");
	bad("2024-01-01T00:00:00+0530");
	bad("2024-01-01T00:00:00+24:00");
	bad("2024-01-01T00:00:00Zx");
	bad("11476-01-01T00:00:00Z");
	bad("-024-01-01T00:00:00Z");
	bad("2024-01-01T00:00:00*05:30");
	against_timegm();
	return tap_done();
}
