/* batch-when.c - options of sbatch that say when a job begins: --dependency, --begin, --nice */
#include "cli/batch-set.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/time.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <time.h>

/* ---- dependencies ---------------------------------------------------------------------------------- */

static const char *const whens[] = { "afterok", "afterany",  "afternotok",
                                     "after",   "aftercorr", "afterburstbuffer" };

/* "12", "12_3", "12+5" (minutes, of `after` alone) at P, N bytes long. */
static int add_job(json_t *list, const char *when, const char *p, size_t n, struct error *err)
{
    const char *plus = memchr(p, '+', n);
    size_t len = plus ? (size_t) (plus - p) : n;
    _cleanup_free_ char *minutes = plus ? xstrndup(plus + 1, n - len - 1) : NULL;
    long long delay = 0;

    if (len == 0)
        return batch_wrong("WHEN:JOB, and no job is empty", err);
    if (plus && !str_equal(when, "after"))
        return error_set(err, -EINVAL, "'%.60s': only after:JOB takes +MINUTES", p);
    if (plus && str_to_i64(minutes, 0, 525600, &delay) < 0)
        return error_set(err, -EINVAL, "'%.60s': after + there must be minutes", p);
    _cleanup_free_ char *item = delay > 0 ? xasprintf("%s:%.*s+%lldm", when, (int) len, p, delay)
                                          : xasprintf("%s:%.*s", when, (int) len, p);
    (void) json_array_append_new(list, json_string(item));
    return 0;
}

/* "afterok:12:13" adds an item for each job. */
static int add_dependency(json_t *list, const char *text, size_t len, struct error *err)
{
    size_t n = sizeof whens / sizeof *whens - 1, i = 0;
    const char *colon = memchr(text, ':', len);
    size_t when = colon ? (size_t) (colon - text) : len;

    if (len == strlen("singleton") && strncmp(text, "singleton", len) == 0)
        return json_array_append_new(list, json_string("singleton"));
    while (i < n && (strlen(whens[i]) != when || strncmp(text, whens[i], when) != 0))
        i++;
    if (i == n || !colon)
        return batch_wrong("afterok, afterany, afternotok, aftercorr or after with :JOB, or "
                           "singleton; several with ',' (all) or '?' (any)",
                           err);
    for (const char *p = colon; p < text + len;) {
        size_t part = strcspn(++p, ":,?");
        int r = add_job(list, whens[i], p, part, err);
        if (r < 0)
            return r;
        p += part;
    }
    return 0;
}

int batch_set_dependency(struct batch *b, const struct batch_option *o, struct error *err)
{
    json_t *list = json_array();
    int r = 0;

    json_put(b->request, "after", list);
    if (strchr(o->value, '?') && strchr(o->value, ','))
        return error_set(err, -EINVAL, "',' (all) and '?' (any) do not go together");
    json_put_str(b->request, "after_mode", strchr(o->value, '?') ? "any" : NULL);
    for (const char *p = o->value; r == 0 && *p;) {
        size_t n = strcspn(p, ",?");
        r = add_dependency(list, p, n, err);
        p += n + (p[n] != '\0');
    }
    return r;
}

int batch_set_kill_invalid(struct batch *b, const struct batch_option *o, struct error *err)
{
    if (!str_equal(o->value, "yes") && !str_equal(o->value, "no"))
        return batch_wrong("yes or no", err);
    json_put_str(b->request, "when_never", str_equal(o->value, "yes") ? "end" : "hold");
    return 0;
}

/* ---- begin ----------------------------------------------------------------------------------------- */

/* "now", "now+2hours", "now+60" (seconds). */
static int read_now(const char *text, int64_t now, int64_t *ret)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {
        { "second", 1 }, { "minute", 60 }, { "hour", 3600 }, { "day", 86400 }, { "week", 604800 }
    };
    const char *p = text + strlen("now");
    int64_t n = 0, unit = 1;

    *ret = now;
    if (!*p)
        return 0;
    if (*p++ != '+' || !isdigit((unsigned char) *p))
        return -EINVAL;
    for (; isdigit((unsigned char) *p) && n < 100000000; p++)
        n = n * 10 + (*p - '0');
    if (*p) {
        size_t len = strlen(p), i = 0;
        len -= len > 1 && p[len - 1] == 's';
        while (i < 5 && strncasecmp(units[i].name, p, len) != 0)
            i++;
        if (i == 5)
            return -EINVAL;
        unit = units[i].seconds;
    }
    *ret = now + n * unit;
    return 0;
}

/* "AM" or "PM" at P makes HOUR one of 24; -EINVAL. */
static int read_half(const char *p, int *hour)
{
    bool is_after = strcasecmp(p, "PM") == 0;

    if (!*p)
        return 0;
    if ((!is_after && strcasecmp(p, "AM") != 0) || *hour < 1 || *hour > 12)
        return -EINVAL;
    *hour = *hour % 12 + (is_after ? 12 : 0);
    return 0;
}

/* "16:00", "16:00:30", "4:00PM" to the time of day. */
static int read_clock(const char *text, struct tm *tm)
{
    unsigned hour = 0, minute = 0, second = 0;
    int used = 0;

    if (!isdigit((unsigned char) *text) || sscanf(text, "%2u:%2u%n", &hour, &minute, &used) < 2)
        return -EINVAL;
    const char *p = text + used;
    if (*p == ':' && sscanf(p, ":%2u%n", &second, &used) == 1)
        p += used;
    p += *p == ' ';
    tm->tm_hour = (int) hour;
    tm->tm_min = (int) minute;
    tm->tm_sec = (int) second;
    return hour > 23 || minute > 59 || second > 59 ? -EINVAL : read_half(p, &tm->tm_hour);
}

static int read_date(const char *text, struct tm *tm, const char **rest)
{
    int year = 0, month = 0, day = 0, used = 0;

    if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) != 3) {
        if (sscanf(text, "%2d/%2d/%2d%n", &month, &day, &year, &used) != 3 || used == 0)
            return -EINVAL;
        year += 2000;
    }
    if (year < 1970 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31)
        return -EINVAL;
    tm->tm_year = year - 1900;
    tm->tm_mon = month - 1;
    tm->tm_mday = day;
    tm->tm_hour = tm->tm_min = tm->tm_sec = 0;
    *rest = text + used;
    return 0;
}

/* Hours that have names; -1: it is none. */
static int named_hour(const char *text)
{
    static const struct {
        const char *name;
        int hour;
    } names[] = {
        { "midnight", 0 }, { "noon", 12 }, { "elevenses", 11 }, { "fika", 15 }, { "teatime", 16 }
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(names[i].name, text) == 0)
            return names[i].hour;
    return -1;
}

static int read_day(const char *text, int64_t now, struct tm *tm)
{
    const char *rest = "";
    int hour = named_hour(text);
    int r = 0;

    tm->tm_isdst = -1;
    if (strcasecmp(text, "tomorrow") == 0) {
        tm->tm_mday++;
    } else if (read_date(text, tm, &rest) == 0) {
        if (*rest && (*rest != 'T' && *rest != '-'))
            return -EINVAL;
        return *rest ? read_clock(rest + 1, tm) : 0;
    } else {
        if (hour >= 0) {
            tm->tm_hour = hour;
            tm->tm_min = tm->tm_sec = 0;
        } else {
            r = read_clock(text, tm);
        }
        /* An hour that has passed is tomorrow's. */
        struct tm copy = *tm;
        if (r == 0 && mktime(&copy) <= now)
            tm->tm_mday++;
    }
    return r;
}

int batch_begin_parse(const char *text, int64_t now, int64_t *ret)
{
    time_t seconds = (time_t) now;
    struct tm tm;

    if (strncasecmp(text, "now", 3) == 0)
        return read_now(text, now, ret);
    if (strcasecmp(text, "today") == 0) {
        *ret = now;
        return 0;
    }
    if (!localtime_r(&seconds, &tm) || read_day(text, now, &tm) < 0)
        return -EINVAL;
    tm.tm_isdst = -1;
    time_t at = mktime(&tm);
    if (at == (time_t) -1)
        return -EINVAL;
    *ret = at;
    return 0;
}

int batch_set_begin(struct batch *b, const struct batch_option *o, struct error *err)
{
    char text[TIME_TEXT_LEN + 1];
    int64_t at = 0, now = (int64_t) time(NULL);

    if (batch_begin_parse(o->value, now, &at) < 0)
        return batch_wrong("a time such as now+1hour, 16:00, tomorrow or 2030-01-31T22:00", err);
    json_put_str(b->request, "begin", at > now ? time_format(at * US_PER_S, text) : NULL);
    return 0;
}

/* ---- priority --------------------------------------------------------------------------------------- */

int batch_set_nice(struct batch *b, const struct batch_option *o, struct error *err)
{
    long long n = 100;

    if (*o->value && str_to_i64(o->value, -1000, 1000, &n) < 0)
        return batch_wrong("a number from -1000 to 1000 here: it lowers the priority", err);
    json_put_int(b->request, "priority", -n);
    return 0;
}
