/* term.c - see term.h */
#include "cli/term.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_WITHOUT_TERMINAL 0 /* no limit: whoever reads a pipe wants whole values */

static bool env_is_set(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

static bool locale_is_utf8(void)
{
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return true; /* said nothing, as in containers: nearly every terminal is */
}

struct term term_of(int fd)
{
    struct term term = { .tty = isatty(fd),
                         .utf8 = locale_is_utf8(),
                         .width = WIDTH_WITHOUT_TERMINAL };
    const char *name = getenv("TERM");
    struct winsize size;

    term.color = term.tty && !env_is_set("NO_COLOR") && !(name && strcmp(name, "dumb") == 0);
    if (term.tty) {
        bool known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
        term.width = known ? size.ws_col : 80;
        term.height = known ? size.ws_row : 24;
    }
    return term;
}

static const char *const style_codes[STYLE_MAX] = {
    [STYLE_PLAIN] = "",        [STYLE_BOLD] = "\033[1m",     [STYLE_DIM] = "\033[2m",
    [STYLE_RED] = "\033[31m",  [STYLE_GREEN] = "\033[32m",   [STYLE_YELLOW] = "\033[33m",
    [STYLE_BLUE] = "\033[34m", [STYLE_MAGENTA] = "\033[35m", [STYLE_CYAN] = "\033[36m",
};

const char *style_begin(const struct term *term, enum style style)
{
    return term->color ? style_codes[style] : "";
}

const char *style_end(const struct term *term, enum style style)
{
    return term->color && style != STYLE_PLAIN ? "\033[0m" : "";
}

void style_add(struct text *t, const struct term *term, enum style style, const char *s)
{
    text_add(t, style_begin(term, style));
    text_add(t, s);
    text_add(t, style_end(term, style));
}

enum style style_of_state(const char *state)
{
    static const struct {
        const char *state;
        enum style style;
    } styles[] = {
        { "submitted", STYLE_YELLOW }, { "queued", STYLE_YELLOW },    { "starting", STYLE_CYAN },
        { "running", STYLE_CYAN },     { "stopping", STYLE_MAGENTA }, { "succeeded", STYLE_GREEN },
        { "failed", STYLE_RED },       { "stopped", STYLE_DIM },      { "ready", STYLE_GREEN },
        { "lost", STYLE_RED },         { "draining", STYLE_YELLOW },
    };

    for (size_t i = 0; i < sizeof styles / sizeof *styles; i++)
        if (strcmp(styles[i].state, state) == 0)
            return styles[i].style;
    return STYLE_PLAIN;
}

/* ---- width ----------------------------------------------------------------------------------- */

/* One character at S (ended by NUL); bytes that are not UTF-8 stand for themselves. */
static size_t next_char(const char *s, uint32_t *ret)
{
    const unsigned char *p = (const unsigned char *) s;
    size_t n = p[0] < 0xc2 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 1;
    uint32_t c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));

    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            *ret = 0xfffd;
            return 1;
        }
        c = c << 6 | (p[i] & 0x3f);
    }
    *ret = c;
    return n;
}

struct range {
    uint32_t first, last;
};

static bool in_ranges(const struct range *ranges, size_t n, uint32_t c)
{
    for (size_t i = 0; i < n; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

/* The blocks that matter of Unicode's EastAsianWidth.txt and of general category Mn. */
static size_t char_width(uint32_t c)
{
    static const struct range zero[] = {
        { 0x300, 0x36f },   { 0x483, 0x489 },   { 0x200b, 0x200f },
        { 0x20d0, 0x20f0 }, { 0xfe00, 0xfe0f },
    };
    static const struct range wide[] = {
        { 0x1100, 0x115f },   { 0x2e80, 0x303e },   { 0x3041, 0xa4cf },   { 0xac00, 0xd7a3 },
        { 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },   { 0xffe0, 0xffe6 },
        { 0x1f300, 0x1f64f }, { 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd },
    };

    if (c < 0x300)
        return 1;
    if (in_ranges(zero, sizeof zero / sizeof *zero, c))
        return 0;
    return in_ranges(wide, sizeof wide / sizeof *wide, c) ? 2 : 1;
}

size_t text_width(const char *s)
{
    size_t width = 0;

    while (*s) {
        uint32_t c;
        s += next_char(s, &c);
        width += char_width(c);
    }
    return width;
}

void text_add_cut(struct text *t, const char *s, size_t width, bool utf8)
{
    if (text_width(s) <= width) {
        text_add(t, s);
        return;
    }

    const char *end = utf8 ? "\u2026" : "~";
    size_t used = 0;
    while (*s) {
        uint32_t c;
        size_t n = next_char(s, &c), w = char_width(c);
        if (used + w + 1 > width)
            break;
        text_add_bytes(t, s, n);
        used += w;
        s += n;
    }
    if (width > 0)
        text_add(t, end);
}

void text_add_clean(struct text *t, const char *s)
{
    while (*s) {
        uint32_t c;
        size_t n = next_char(s, &c);
        if (c < 0x20 || c == 0x7f)
            text_addf(t, "\\x%02x", c);
        else if (c == 0xfffd || (c >= 0x80 && c < 0xa0))
            text_add(t, "\ufffd");
        else
            text_add_bytes(t, s, n);
        s += n;
    }
}
