/* console.h - the pages of the console: files that the build made of console/ and embedded
 *
 * Everything here is constant and lives as long as the program. Built with -Dconsole=disabled there are no
 * files and nothing is found.
 */
#ifndef CONSOLE_CONSOLE_H
#define CONSOLE_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

struct console_body {
    const char *coding; /* as in Content-Encoding; NULL: as it is */
    const char *tag;    /* ETag, with its quotes */
    const char *bytes;
    size_t len;
};

enum { CONSOLE_CODINGS = 3 };

struct console_file {
    const char *path; /* "/console/assets/main-Bx3f.js" */
    const char *type; /* as in Content-Type */
    bool immutable;   /* its name holds its digest: another content has another path */
    struct console_body bodies[CONSOLE_CODINGS]; /* smallest first; the last is as it is */
};

/* The file at PATH. Every path below /console/p/, where names of things may have dots, and every other below
 * /console/ without a dot in its last segment is a page, which is the same file for all: it reads the path. NULL:
 * there is none. */
const struct console_file *console_find(const char *path);

/* The smallest body that ACCEPT, an Accept-Encoding, allows; NULL: none was sent. */
const struct console_body *console_choose(const struct console_file *file, const char *accept);

/* The build's table, in the order of the paths; ends with a NULL path. */
extern const struct console_file console_files[];

#endif
