/* plot.c - a canvas of dots, two by four in each character (Unicode's braille block, U+2800)
 *
 * Neighbouring points are joined by lines, so that many points in one column show as the range they
 * span. Each character takes the colour of the series that drew there last.
 */
#include "cli/plot.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_WIDTH 9 /* of the y axis */
#define MIN_WIDTH   20
#define MIN_HEIGHT  3

static const enum style colors[] = { STYLE_CYAN,    STYLE_YELLOW, STYLE_GREEN,
                                     STYLE_MAGENTA, STYLE_RED,    STYLE_BLUE };
static const char marks[] = "*+ox#@";

#define N_COLORS (sizeof colors / sizeof *colors)

struct canvas {
    unsigned columns, rows;  /* characters */
    unsigned dots_x, dots_y; /* dots in a character */
    uint8_t *dots;           /* braille bits, or 1 in ASCII */
    uint8_t *owner;          /* series + 1 */
    double x_min, x_max, y_min, y_max;
};

static void set_dot(struct canvas *c, long x, long y, uint8_t owner)
{
    static const uint8_t bits[4][2] = {
        { 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 }, { 0x40, 0x80 }
    };
    size_t at = (size_t) (y / c->dots_y) * c->columns + (size_t) (x / c->dots_x);

    c->dots[at] |= bits[y % c->dots_y][x % c->dots_x];
    c->owner[at] = owner;
}

static long to_dot(double value, double low, double high, unsigned n)
{
    double part = high > low ? (value - low) / (high - low) : 0.5;
    long dot = lround(part * (n - 1));

    return dot < 0 ? 0 : dot >= (long) n ? (long) n - 1 : dot;
}

/* Bresenham's line. */
static void draw_line(struct canvas *c, long x0, long y0, long x1, long y1, uint8_t owner)
{
    long dx = labs(x1 - x0), dy = -labs(y1 - y0);
    long step_x = x0 < x1 ? 1 : -1, step_y = y0 < y1 ? 1 : -1;
    long error = dx + dy;

    for (;;) {
        set_dot(c, x0, y0, owner);
        if (x0 == x1 && y0 == y1)
            return;
        long twice = 2 * error;
        if (twice >= dy) {
            error += dy;
            x0 += step_x;
        }
        if (twice <= dx) {
            error += dx;
            y0 += step_y;
        }
    }
}

static void draw_series(struct canvas *c, const struct plot_series *s, uint8_t owner)
{
    unsigned width = c->columns * c->dots_x, height = c->rows * c->dots_y;
    long last_x = -1, last_y = -1;

    vec_foreach(&s->points, p) {
        if (!isfinite(p->x) || !isfinite(p->y))
            continue;
        long x = to_dot(p->x, c->x_min, c->x_max, width);
        long y = (long) height - 1 - to_dot(p->y, c->y_min, c->y_max, height);
        if (last_x < 0)
            set_dot(c, x, y, owner);
        else
            draw_line(c, last_x, last_y, x, y, owner);
        last_x = x;
        last_y = y;
    }
}

static void widen(double *min, double *max, double value, bool any)
{
    *min = any && *min < value ? *min : value;
    *max = any && *max > value ? *max : value;
}

static bool find_range(struct canvas *c, const struct plot_series *series, size_t n)
{
    bool any = false;

    for (size_t i = 0; i < n; i++)
        vec_foreach(&series[i].points, p) {
            if (!isfinite(p->x) || !isfinite(p->y))
                continue;
            widen(&c->x_min, &c->x_max, p->x, any);
            widen(&c->y_min, &c->y_max, p->y, any);
            any = true;
        }
    if (any && c->y_max - c->y_min <= 0) { /* a flat line lies in the middle */
        double room = fabs(c->y_max) > 0 ? fabs(c->y_max) * 0.1 : 1;
        c->y_min -= room;
        c->y_max += room;
    }
    return any;
}

const char *plot_number(double value, char buf[static 32])
{
    double size = fabs(value);

    if (size >= 1e6 || (size > 0 && size < 1e-3))
        (void) snprintf(buf, 32, "%.2e", value);
    else if (size >= 1000)
        (void) snprintf(buf, 32, "%.0f", value);
    else
        (void) snprintf(buf, 32, "%.4g", value);
    return buf;
}

static void add_cell(const struct canvas *c, size_t at, const struct term *term, struct text *out)
{
    if (!c->dots[at]) {
        text_add_char(out, ' ');
        return;
    }
    unsigned who = (c->owner[at] - 1u) % N_COLORS;
    char s[4] = { marks[who], '\0' };
    if (c->dots_x == 2) { /* U+2800 + bits in UTF-8 */
        s[0] = (char) 0xe2;
        s[1] = (char) (0xa0 | c->dots[at] >> 6);
        s[2] = (char) (0x80 | (c->dots[at] & 0x3f));
    }
    style_add(out, term, colors[who], s);
}

/* Every third or so row says its value. */
static void add_rows(const struct canvas *c, const struct term *term, struct text *out)
{
    unsigned every = c->rows > 12 ? 4 : c->rows > 5 ? 3 : c->rows - 1;

    for (unsigned row = 0; row < c->rows; row++) {
        double y = c->y_max - (c->y_max - c->y_min) * row / (c->rows - 1);
        bool labeled = row % every == 0 || row == c->rows - 1;
        char buf[32] = "";
        if (row != c->rows - 1 && c->rows - 1 - row < every)
            labeled = false;
        if (labeled || row == 0)
            plot_number(y, buf);
        text_addf(out, "%s%*s %s%s", style_begin(term, STYLE_DIM), LABEL_WIDTH, buf,
                  term->utf8 ? (*buf ? "┤" : "│") : "|", style_end(term, STYLE_DIM));
        for (unsigned column = 0; column < c->columns; column++)
            add_cell(c, (size_t) row * c->columns + column, term, out);
        while (out->len && out->data[out->len - 1] == ' ')
            out->len--;
        text_add_char(out, '\n');
    }
}

static void add_x_axis(const struct canvas *c, const struct term *term, struct text *out)
{
    char left[32], middle[32], right[32];

    text_addf(out, "%s%*s %s", style_begin(term, STYLE_DIM), LABEL_WIDTH, "",
              term->utf8 ? "└" : "+");
    for (unsigned i = 0; i < c->columns; i++)
        text_add(out, term->utf8 ? "─" : "-");
    plot_number(c->x_min, left);
    plot_number((c->x_min + c->x_max) / 2, middle);
    plot_number(c->x_max, right);
    if (c->x_max - c->x_min <= 0)
        *middle = *right = '\0';
    int half = (int) (c->columns / 2 + strlen(middle) / 2) - (int) strlen(left);
    int rest = (int) c->columns - (int) strlen(left) - (half > 0 ? half : 0);
    text_addf(out, "\n%*s%s%*s%*s%s\n", LABEL_WIDTH + 2, "", left, half > 0 ? half : 0, middle,
              rest > 0 ? rest : 0, right, style_end(term, STYLE_DIM));
}

static void add_legend(const struct plot_series *series, size_t n, const struct plot_options *o,
                       struct text *out)
{
    char last[32], least[32];

    for (size_t i = 0; i < n; i++) {
        const struct plot_series *s = &series[i];
        if (!s->points.len)
            continue;
        double min = s->points.items[0].y;
        vec_foreach(&s->points, p)
            min = p->y < min ? p->y : min;
        char ascii[2] = { marks[i % N_COLORS], '\0' };
        text_addf(out, "%*s", LABEL_WIDTH + 2, "");
        style_add(out, o->term, colors[i % N_COLORS], o->term->utf8 ? "━━" : ascii);
        text_add_char(out, ' ');
        text_add_clean(out, s->label);
        text_addf(out, "  %slast%s %s  %slowest%s %s  %s%zu points%s\n",
                  style_begin(o->term, STYLE_DIM), style_end(o->term, STYLE_DIM),
                  plot_number(s->points.items[s->points.len - 1].y, last),
                  style_begin(o->term, STYLE_DIM), style_end(o->term, STYLE_DIM),
                  plot_number(min, least), style_begin(o->term, STYLE_DIM), s->points.len,
                  style_end(o->term, STYLE_DIM));
    }
}

void plot_format(const struct plot_series *series, size_t n, const struct plot_options *o,
                 struct text *out)
{
    unsigned width = o->width < MIN_WIDTH ? MIN_WIDTH : o->width;
    struct canvas c = { .columns = width - LABEL_WIDTH - 2,
                        .rows = o->height < MIN_HEIGHT ? MIN_HEIGHT : o->height,
                        .dots_x = o->term->utf8 ? 2 : 1,
                        .dots_y = o->term->utf8 ? 4 : 1 };

    if (o->title) {
        _cleanup_text_ struct text clean = { 0 };
        text_add_clean(&clean, o->title);
        text_addf(out, "%*s", LABEL_WIDTH + 2, "");
        style_add(out, o->term, STYLE_BOLD, text_str(&clean));
        text_add_char(out, '\n');
    }
    if (!find_range(&c, series, n))
        return;

    size_t cells = (size_t) c.columns * c.rows;
    _cleanup_free_ uint8_t *dots = xnew_n(uint8_t, cells), *owner = xnew_n(uint8_t, cells);
    c.dots = dots;
    c.owner = owner;
    for (size_t i = 0; i < n; i++)
        draw_series(&c, &series[i], (uint8_t) (i % N_COLORS + 1));
    add_rows(&c, o->term, out);
    add_x_axis(&c, o->term, out);
    add_legend(series, n, o, out);
}
