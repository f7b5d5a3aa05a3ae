/* time.c - RFC 3339 times; the calendar arithmetic is Howard Hinnant's days_from_civil */
#include "base/time.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { SECONDS_PER_DAY = 86400 };

static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = year / 400; /* years are positive here */
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = days / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;

    *day = (unsigned) (doy - (153 * mp + 2) / 5 + 1);
    *month = (unsigned) (mp < 10 ? mp + 3 : mp - 9);
    *year = yoe + era * 400 + (*month <= 2);
}

static void put_digits(char *out, unsigned value, int n)
{
    for (int i = n - 1; i >= 0; i--, value /= 10)
        out[i] = (char) ('0' + value % 10);
}

const char *time_format(int64_t us, char buf[static TIME_TEXT_LEN + 1])
{
    const int64_t last = INT64_C(253402300799999999); /* 9999-12-31T23:59:59.999999Z */
    int64_t year;
    unsigned month, day;

    us = us < 0 ? 0 : us > last ? last : us;
    int64_t seconds = us / US_PER_S;
    unsigned in_day = (unsigned) (seconds % SECONDS_PER_DAY);
    civil_from_days(seconds / SECONDS_PER_DAY, &year, &month, &day);
    memcpy(buf, "0000-00-00T00:00:00.000000Z", TIME_TEXT_LEN + 1);
    put_digits(buf, (unsigned) year, 4);
    put_digits(buf + 5, month, 2);
    put_digits(buf + 8, day, 2);
    put_digits(buf + 11, in_day / 3600, 2);
    put_digits(buf + 14, in_day / 60 % 60, 2);
    put_digits(buf + 17, in_day % 60, 2);
    put_digits(buf + 20, (unsigned) (us % US_PER_S), 6);
    return buf;
}

/* Exactly N digits at *P, which moves on; false when there are fewer. */
static bool take_digits(const char **p, int n, unsigned *ret)
{
    unsigned value = 0;

    for (int i = 0; i < n; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        value = value * 10 + (unsigned) (**p - '0');
    }
    *ret = value;
    return true;
}

static bool take_char(const char **p, const char *set)
{
    if (!**p || !strchr(set, **p))
        return false;
    (*p)++;
    return true;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

static bool take_fraction(const char **p, int64_t *ret_us)
{
    int64_t us = 0, unit = US_PER_S / 10;
    int digits = 0;

    for (; **p >= '0' && **p <= '9'; (*p)++, digits++, unit /= 10)
        us += unit * (**p - '0');
    *ret_us = us;
    return digits >= 1 && digits <= 9;
}

static bool take_offset(const char **p, int64_t *ret_seconds)
{
    unsigned hours, minutes;

    *ret_seconds = 0;
    if (take_char(p, "Zz"))
        return true;
    bool behind = **p == '-';
    if (!take_char(p, "+-") || !take_digits(p, 2, &hours) || !take_char(p, ":") ||
        !take_digits(p, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    int64_t offset = (int64_t) hours * 3600 + minutes * 60;
    *ret_seconds = behind ? -offset : offset;
    return true;
}

static bool take_date(const char **p, int64_t *ret_days)
{
    unsigned year, month, day;

    if (!take_digits(p, 4, &year) || !take_char(p, "-") || !take_digits(p, 2, &month) ||
        !take_char(p, "-") || !take_digits(p, 2, &day))
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return false;
    *ret_days = days_from_civil(year, month, day);
    return true;
}

static bool take_clock(const char **p, int64_t *ret_seconds)
{
    unsigned hour, minute, second;

    if (!take_digits(p, 2, &hour) || !take_char(p, ":") || !take_digits(p, 2, &minute) ||
        !take_char(p, ":") || !take_digits(p, 2, &second))
        return false;
    *ret_seconds = (int64_t) hour * 3600 + minute * 60 + second;
    return hour <= 23 && minute <= 59 && second <= 60; /* 60: a leap second */
}

int time_parse(const char *text, int64_t *ret_us)
{
    const char *p = text;
    int64_t days, seconds, us = 0, offset;

    if (!take_date(&p, &days) || !take_char(&p, "Tt ") || !take_clock(&p, &seconds))
        return -EINVAL;
    if (take_char(&p, ".") && !take_fraction(&p, &us))
        return -EINVAL;
    if (!take_offset(&p, &offset) || *p)
        return -EINVAL;

    int64_t result = (days * SECONDS_PER_DAY + seconds - offset) * US_PER_S + us;
    if (result < 0)
        return -EINVAL;
    *ret_us = result;
    return 0;
}
