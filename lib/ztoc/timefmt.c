/* SPDX-License-Identifier: GPL-2.0-or-later */
/* timefmt.c - see timefmt.h. */
#include "ztoc/timefmt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_SECONDS 86400
/* 0000-01-01 and the end of 9999 in the proleptic Gregorian calendar */
#define FIRST_SECOND (-62167219200LL)
#define LAST_SECOND 253402300799LL
/* Days from 0000-03-01, where a 400-year cycle begins, to 1970-01-01. */
#define DAYS_TO_EPOCH 719468
#define CYCLE_DAYS 146097
#define CYCLE_YEARS 400

struct civil {
	int year, month, day;
};

/* Years are counted from March, so that the leap day is the last of its year. */
static struct civil civil_of(int64_t days_since_epoch)
{
	int64_t days = days_since_epoch + DAYS_TO_EPOCH + CYCLE_DAYS;
	int cycle = (int)(days / CYCLE_DAYS) - 1;
	int day = (int)(days % CYCLE_DAYS);
	int year = (day - day / 1460 + day / 36524 - day / (CYCLE_DAYS - 1)) / 365;
	int yday = day - (365 * year + year / 4 - year / 100);
	int month = (5 * yday + 2) / 153;	/* 0 is March */
	struct civil c = { .year = year + cycle * CYCLE_YEARS + (month >= 10),
			   .month = month < 10 ? month + 3 : month - 9,
			   .day = yday - (153 * month + 2) / 5 + 1 };

	return c;
}

static size_t put_fraction(char *p, uint32_t nsec)
{
	size_t n = (size_t)sprintf(p, ".%09u", nsec % 1000000000u);

	while (p[n - 1] == '0')
		n--;
	return n;
}

size_t timefmt_rfc3339(int64_t sec, uint32_t nsec, int32_t utc_offset,
		       char ret[TIMEFMT_SIZE])
{
	int64_t local, days;
	struct civil c;
	int second, minutes = utc_offset / 60;
	char *p = ret;

	ret[0] = '\0';
	if (sec < FIRST_SECOND - DAY_SECONDS || sec > LAST_SECOND + DAY_SECONDS ||
	    abs(utc_offset) >= DAY_SECONDS)
		return 0;
	local = sec + utc_offset;
	if (local < FIRST_SECOND || local > LAST_SECOND)
		return 0;
	days = (local - FIRST_SECOND) / DAY_SECONDS + FIRST_SECOND / DAY_SECONDS;
	second = (int)((local - FIRST_SECOND) % DAY_SECONDS);
	c = civil_of(days);
	p += sprintf(p, "%04u-%02u-%02uT%02u:%02u:%02u", (unsigned int)c.year % 10000u,
		     (unsigned int)c.month % 100u, (unsigned int)c.day % 100u,
		     (unsigned int)second / 3600u % 100u, (unsigned int)second / 60u % 60u,
		     (unsigned int)second % 60u);
	if (nsec)
		p += put_fraction(p, nsec);
	if (!utc_offset)
		p = stpcpy(p, "Z");
	else
		p += sprintf(p, "%c%02u:%02u", minutes < 0 ? '-' : '+',
			     (unsigned int)abs(minutes) / 60u % 100u,
			     (unsigned int)abs(minutes) % 60u);
	return (size_t)(p - ret);
}
