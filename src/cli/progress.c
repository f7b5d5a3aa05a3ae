/* progress.c - see progress.h */
#include "cli/progress.h"

#include "base/time.h"
#include "os/clock.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define BAR_CELLS   24
#define REDRAW_US   (100 * US_PER_MS)
#define PATIENCE_US (300 * US_PER_MS) /* a transfer that ends sooner shows nothing */

static void add_bar(struct text *out, double part, bool utf8)
{
    static const char *const eighths[] = { " ", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
    int filled = (int) (part * BAR_CELLS * 8);

    for (int i = 0; i < BAR_CELLS; i++) {
        int in_cell = filled - i * 8;
        if (!utf8)
            text_add_char(out, in_cell >= 4 ? '#' : '.');
        else
            text_add(out, in_cell >= 8 ? "█" : in_cell > 0 ? eighths[in_cell] : "·");
    }
}

void progress_format(const struct progress *p, int64_t done, int64_t elapsed_us, struct text *out)
{
    char a[32], b[32], c[32];
    double part = p->total > 0 ? (double) done / (double) p->total : 1;
    int64_t rate = elapsed_us > 0 ? (int64_t) ((double) done * 1e6 / (double) elapsed_us) : 0;

    text_addf(out, "%s %s", p->what, style_begin(p->term, STYLE_CYAN));
    add_bar(out, part, p->term->utf8);
    text_addf(out, "%s %3d%%  %s of %s", style_end(p->term, STYLE_CYAN), (int) (part * 100),
              bytes_to_str(done, a), bytes_to_str(p->total, b));
    if (rate > 0)
        text_addf(out, "  %s/s", bytes_to_str(rate, c));
    if (rate > 0 && done < p->total)
        text_addf(out, "  %s left", seconds_to_str((p->total - done) / rate + 1, a));
}

void progress_begin(struct progress *p, const struct term *term, const char *what, int64_t total)
{
    int64_t now = clock_boot_us();

    *p = (struct progress){ .term = term,
                            .what = what,
                            .total = total,
                            .started_us = now,
                            .shown_us = now + PATIENCE_US - REDRAW_US };
}

void progress_show(struct progress *p, int64_t done)
{
    int64_t now = clock_boot_us();
    _cleanup_text_ struct text line = { 0 };

    if (!p->term->tty || now - p->shown_us < REDRAW_US)
        return;
    p->shown_us = now;
    p->shown = true;
    progress_format(p, done, now - p->started_us, &line);
    (void) fprintf(stderr, "\r%s\033[K", line.data);
    (void) fflush(stderr);
}

void progress_end(struct progress *p)
{
    if (p->shown)
        (void) fputs("\r\033[K", stderr);
    p->shown = false;
}

ssize_t sent_file_read(void *userdata, void *bytes, size_t n)
{
    struct sent_file *f = userdata;
    ssize_t got;

    do
        got = read(f->fd, bytes, n);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    f->done += got;
    progress_show(&f->progress, f->done);
    return got;
}
