/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mtime.c - see mtime.h. Any thread; no locale, no time zone of this machine. */
#include "ztoc/mtime.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

struct cursor {
	const char *p, *end;
	bool bad;
};

static bool take(struct cursor *c, char want)
{
	if (c->p == c->end || *c->p != want)
		return false;
	c->p++;
	return true;
}

static void expect(struct cursor *c, char want)
{
	if (!take(c, want))
		c->bad = true;
}

/* Exactly n decimal digits, value at most max. */
static uint32_t digits(struct cursor *c, int n, uint32_t min, uint32_t max)
{
	uint32_t v = 0;

	for (; n > 0; n--) {
		if (c->p == c->end || *c->p < '0' || *c->p > '9') {
			c->bad = true;
			return min;
		}
		v = v * 10 + (uint32_t)(*c->p++ - '0');
	}
	if (v < min || v > max) {
		c->bad = true;
		return min;
	}
	return v;
}

/* After the '.': one to nine digits. */
static uint32_t fraction(struct cursor *c)
{
	uint32_t v = 0;
	int n = 0;

	for (; c->p < c->end && *c->p >= '0' && *c->p <= '9' && n < 9; n++)
		v = v * 10 + (uint32_t)(*c->p++ - '0');
	if (n == 0)
		c->bad = true;
	for (; n < 9; n++)
		v *= 10;
	return v;
}

/* Days from 1970-01-01 to the given date of the proleptic Gregorian calendar. */
static int64_t days_from_civil(int64_t year, uint32_t month, uint32_t day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static uint32_t days_in_month(uint32_t year, uint32_t month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return month == 2 && leap ? 29 : days[month - 1];
}

/* "Z" or "+hh:mm": seconds east of UTC. */
static int64_t zone(struct cursor *c)
{
	int64_t sign, sec;

	if (take(c, 'Z'))
		return 0;
	sign = take(c, '-') ? -1 : 1;
	if (sign == 1)
		expect(c, '+');
	sec = digits(c, 2, 0, 23) * 3600;
	expect(c, ':');
	sec += digits(c, 2, 0, 59) * 60;
	return sign * sec;
}

int ztoc_mtime_parse(struct ztoc_str text, int64_t *ret_sec, uint32_t *ret_nsec)
{
	struct cursor c = { text.s, text.s + text.len, false };
	uint32_t year, month, day, nsec;
	int64_t sec;

	if (text.len == 0) {
		*ret_sec = 0;
		*ret_nsec = 0;
		return 0;
	}
	year = digits(&c, 4, 0, 9999);
	expect(&c, '-');
	month = digits(&c, 2, 1, 12);
	expect(&c, '-');
	day = digits(&c, 2, 1, days_in_month(year, month));
	expect(&c, 'T');
	sec = digits(&c, 2, 0, 23) * 3600;
	expect(&c, ':');
	sec += digits(&c, 2, 0, 59) * 60;
	expect(&c, ':');
	sec += digits(&c, 2, 0, 59);
	nsec = take(&c, '.') ? fraction(&c) : 0;
	sec -= zone(&c);
	if (c.bad || c.p != c.end)
		return -EINVAL;
	*ret_sec = days_from_civil(year, month, day) * 86400 + sec;
	*ret_nsec = nsec;
	return 0;
}
