/* log.c - logfmt on stderr, one write a line */
#include "os/log.h"

#include "base/text.h"
#include "base/time.h"
#include "os/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

static enum log_level least_level = LOG_LEVEL_INFO;
static const char *const names[] = { "debug", "info", "warn", "error" };

void log_set_level(enum log_level least) { least_level = least; }

int log_level_parse(const char *name, enum log_level *ret)
{
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_equal(name, names[i])) {
            *ret = (enum log_level) i;
            return 0;
        }
    return -EINVAL;
}

static bool is_plain(const char *s)
{
    for (const char *p = s; *p; p++)
        if (*p <= ' ' || *p == '"' || *p == '=' || *p == '\\' || *p == 0x7f)
            return false;
    return *s != '\0';
}

static void add_value(struct text *line, const char *s)
{
    if (is_plain(s)) {
        text_add(line, s);
        return;
    }
    text_add_char(line, '"');
    for (const char *p = s; *p; p++) {
        if (*p == '"' || *p == '\\')
            text_addf(line, "\\%c", *p);
        else if (*p == '\n')
            text_add(line, "\\n");
        else if ((unsigned char) *p < ' ' || *p == 0x7f)
            text_addf(line, "\\x%02x", (unsigned char) *p);
        else
            text_add_char(line, *p);
    }
    text_add_char(line, '"');
}

void log_write(enum log_level level, const char *msg, ...)
{
    if (level < least_level)
        return;

    _cleanup_text_ struct text line = { 0 };
    char now[TIME_TEXT_LEN + 1];
    text_addf(&line, "ts=%s level=%s msg=", time_format(clock_now_us(), now), names[level]);
    add_value(&line, msg);

    va_list ap;
    va_start(ap, msg);
    for (const char *key; (key = va_arg(ap, const char *));) {
        const char *value = va_arg(ap, const char *);
        if (!value)
            continue;
        text_addf(&line, " %s=", key);
        add_value(&line, value);
    }
    va_end(ap);
    text_add_char(&line, '\n');
    ssize_t n = write(STDERR_FILENO, line.data, line.len);
    (void) n; /* nobody is left to tell */
}
