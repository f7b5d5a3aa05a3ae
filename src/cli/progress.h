/* progress.h - one line that shows how far a transfer is, on a terminal */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "cli/term.h"

#include <stdint.h>
#include <sys/types.h>

struct progress {
    const struct term *term; /* of stderr */
    const char *what;        /* "uploading" */
    int64_t total;
    int64_t started_us, shown_us;
    bool shown;
};

/* The line for DONE of TOTAL bytes after ELAPSED_US; pure. */
void progress_format(const struct progress *p, int64_t done, int64_t elapsed_us, struct text *out);

void progress_begin(struct progress *p, const struct term *term, const char *what, int64_t total);
/* Draws at most ten times a second, and only on a terminal. */
void progress_show(struct progress *p, int64_t done);
/* Clears the line. */
void progress_end(struct progress *p);

/* A file that is sent: read_body of a call (cli/internal.h), with this as its userdata. */
struct sent_file {
    struct progress progress;
    int64_t done;
    int fd;
};
ssize_t sent_file_read(void *userdata, void *bytes, size_t n);

#endif
