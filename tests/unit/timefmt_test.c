/* SPDX-License-Identifier: GPL-2.0-or-later */
/* timefmt_test.c - RFC 3339 as Go writes it: edges of the calendar, fractions, zones. */
#include "tests/unit/tap.h"

#include "ztoc/timefmt.h"

static void check(int64_t sec, uint32_t nsec, int32_t east, const char *want)
{
	char text[TIMEFMT_SIZE];
	size_t n = timefmt_rfc3339(sec, nsec, east, text);

	is_str(text, want, "%lld.%09u, %d s east", (long long)sec, nsec, east);
	ok(n == strlen(text), "its length");
}

int main(void)
{
	check(0, 0, 0, "1970-01-01T00:00:00Z");
	check(1700000000, 0, 0, "2023-11-14T22:13:20Z");
	check(1700000000, 500000000, 0, "2023-11-14T22:13:20.5Z");
	check(1700000000, 1, 0, "2023-11-14T22:13:20.000000001Z");
	check(1700000000, 120000000, 0, "2023-11-14T22:13:20.12Z");
	check(-2, 500000000, 0, "1969-12-31T23:59:58.5Z");
	check(951782400, 0, 0, "2000-02-29T00:00:00Z");
	check(951868800, 0, 0, "2000-03-01T00:00:00Z");
	check(4107542399, 0, 0, "2100-02-28T23:59:59Z");
	check(4107542400, 0, 0, "2100-03-01T00:00:00Z");
	check(1704067199, 0, 0, "2023-12-31T23:59:59Z");
	check(-62167219200, 0, 0, "0000-01-01T00:00:00Z");
	check(-62167219201, 999999999, 0, "");
	check(-62135596800, 0, 0, "0001-01-01T00:00:00Z");
	check(253402300799, 999999999, 0, "9999-12-31T23:59:59.999999999Z");
	check(253402300800, 0, 0, "");
	check(INT64_MAX, 0, 0, "");
	check(INT64_MIN, 0, 3600, "");
	check(0, 0, 19800, "1970-01-01T05:30:00+05:30");
	check(0, 0, -25200, "1969-12-31T17:00:00-07:00");
	check(0, 0, -1800, "1969-12-31T23:30:00-00:30");
	/* Local mean times have seconds; the text has not, the clock has. */
	check(0, 0, 21208, "1970-01-01T05:53:28+05:53");
	check(0, 0, -21208, "1969-12-31T18:06:32-05:53");
	/* The year counts in the zone. */
	check(253402300799, 0, 3600, "");
	check(253402300800, 0, -3600, "9999-12-31T23:00:00-01:00");
	check(-62167219201, 0, 3600, "0000-01-01T00:59:59+01:00");
	return tap_done();
}
