/* term.h - what the terminal can show, colours, and the width of text on it */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

struct term {
    bool tty;
    bool color; /* a terminal, and NO_COLOR is not set */
    bool utf8;
    unsigned width, height;
};

/* Of a descriptor (1 or 2), by ioctl and environment. */
struct term term_of(int fd);

enum style {
    STYLE_PLAIN,
    STYLE_BOLD,
    STYLE_DIM,
    STYLE_RED,
    STYLE_GREEN,
    STYLE_YELLOW,
    STYLE_BLUE,
    STYLE_MAGENTA,
    STYLE_CYAN,
    STYLE_MAX,
};

/* S in a colour, or as it is. */
void style_add(struct text *t, const struct term *term, enum style style, const char *s);
/* The escape sequences alone; "" without colour. */
const char *style_begin(const struct term *term, enum style style);
const char *style_end(const struct term *term, enum style style);
/* The colour of a state's name ("running", "failed", "ready", …). */
enum style style_of_state(const char *state);

/* Columns that S takes on a terminal: East Asian wide characters count 2, combining ones 0. */
size_t text_width(const char *s);
/* Add at most WIDTH columns of S; when it is longer it ends with an ellipsis. */
void text_add_cut(struct text *t, const char *s, size_t width, bool utf8);
/* Add S with control characters made visible, so that what a server says cannot steer the terminal. */
void text_add_clean(struct text *t, const char *s);

/* What a job printed, on its way to a terminal, in any pieces (log-clean.c). All-zero but for UTF8 is the
 * beginning; the end puts colours back. */
struct log_cleaner {
    char held[40]; /* a character or sequence that is not whole yet */
    size_t n;
    bool styled;
    bool utf8; /* what the terminal takes */
};
void log_clean(struct log_cleaner *c, const char *bytes, size_t n, struct text *out);
void log_clean_end(struct log_cleaner *c, struct text *out);

#endif
