/* log-clean.c - what a job printed, on its way to a terminal
 *
 * Colours, tabs and carriage returns pass, and erasing to the end of a line, which progress bars use. Every
 * other control character and escape sequence becomes text: it could set the title, write elsewhere on
 * the screen, or make the terminal answer as if somebody typed (CVE-2003-0063 and its kind).
 */
#include "cli/term.h"

#include "base/json.h"

#include <ctype.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"
#define ESCAPE      0x1b

static void feed(struct log_cleaner *c, unsigned char b, struct text *out);

static void add_plain(unsigned char b, struct text *out)
{
    if ((b < 0x20 && !strchr("\n\t\r\b", b)) || b == 0 || b == 0x7f)
        text_addf(out, "\\x%02x", b);
    else
        text_add_char(out, (char) b);
}

static void hold(struct log_cleaner *c, unsigned char b) { c->held[c->n++] = (char) b; }

/* It is no sequence that may pass. */
static void give_up(struct log_cleaner *c, struct text *out)
{
    text_add(out, "\\x1b");
    text_add_bytes(out, c->held + 1, c->n - 1);
    c->n = 0;
}

static void feed_sequence(struct log_cleaner *c, unsigned char b, struct text *out)
{
    bool inside = c->n > 1, room = c->n < sizeof c->held;

    if (room && (inside ? isdigit(b) || b == ';' || b == ':' : b == '[')) {
        hold(c, b);
    } else if (inside && (b == 'm' || b == 'K')) {
        text_add_bytes(out, c->held, c->n);
        text_add_char(out, (char) b);
        c->styled = c->styled || b == 'm';
        c->n = 0;
    } else {
        give_up(c, out);
        feed(c, b, out);
    }
}

static size_t length_of(unsigned char first)
{
    return first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

/* The second half of Latin-1's control characters lies at U+0080. */
static void feed_character(struct log_cleaner *c, unsigned char b, struct text *out)
{
    if ((b & 0xc0) != 0x80) {
        text_add(out, REPLACEMENT);
        c->n = 0;
        feed(c, b, out);
        return;
    }
    hold(c, b);
    if (c->n < length_of((unsigned char) c->held[0]))
        return;
    bool control = c->held[0] == '\xc2' && b < 0xa0;
    if (control || utf8_sequence(c->held, c->n) != c->n)
        text_add(out, REPLACEMENT);
    else
        text_add_bytes(out, c->held, c->n);
    c->n = 0;
}

static void feed(struct log_cleaner *c, unsigned char b, struct text *out)
{
    if (c->n && c->held[0] == ESCAPE)
        feed_sequence(c, b, out);
    else if (c->n)
        feed_character(c, b, out);
    else if (b == ESCAPE || (b >= 0x80 && c->utf8 && length_of(b)))
        hold(c, b);
    else if (b >= 0x80 && c->utf8)
        text_add(out, REPLACEMENT);
    else if (b >= 0x80)
        text_addf(out, "\\x%02x", b);
    else
        add_plain(b, out);
}

void log_clean(struct log_cleaner *c, const char *bytes, size_t n, struct text *out)
{
    for (size_t i = 0; i < n; i++)
        feed(c, (unsigned char) bytes[i], out);
}

void log_clean_end(struct log_cleaner *c, struct text *out)
{
    if (c->n && c->held[0] == ESCAPE)
        give_up(c, out);
    else if (c->n)
        text_add(out, REPLACEMENT);
    c->n = 0;
    if (c->styled)
        text_add(out, "\033[0m");
    c->styled = false;
}
