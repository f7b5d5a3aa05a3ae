/* live.h - a screen that is drawn again every second, until q or Ctrl-C */
#ifndef CLI_LIVE_H
#define CLI_LIVE_H

#include "cli/internal.h"

/* Adds a frame to OUT; 0, 1 for the last one, or a negative errno. CLI's terminal is as it is now. */
typedef int (*live_draw_f)(void *userdata, struct text *out, struct error *err);

/* On the terminal's other screen, so that what was there comes back. Returns an exit code. */
int live_run(struct cli *cli, live_draw_f draw, void *userdata, struct error *err);

#endif
