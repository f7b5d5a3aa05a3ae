/* plot.h - curves drawn with characters: braille dots, or ASCII where there is no UTF-8 */
#ifndef CLI_PLOT_H
#define CLI_PLOT_H

#include "cli/term.h"

#include "base/vec.h"

struct plot_point {
    double x, y;
};

struct plot_series {
    char *label;
    VEC(struct plot_point) points; /* in order of x */
};

struct plot_options {
    const char *title;
    unsigned width, height; /* of all, with axes and legend, in characters */
    const struct term *term;
};

/* Pure. Draws nothing but the title when there is no point. */
void plot_format(const struct plot_series *series, size_t n, const struct plot_options *options,
                 struct text *out);
/* Numbers as an axis wants them: few digits, no needless zeros. BUF is filled and returned. */
const char *plot_number(double value, char buf[static 32]);

#endif
