/* home.h - what a task away from the server sends home: the files of its attempt's directory
 *
 * A supervisor on another machine may be anybody's process (step mode), so what it sends is looked at before
 * others read it. Append-only files come in pieces; of each piece as much is taken as is whole.
 */
#ifndef TASK_HOME_H
#define TASK_HOME_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TASK_TOKEN_LEN 64 /* hex: by it a task proves who it is */

#define HOME_PIECE_MAX (1 << 20) /* of one request, and of a file that is replaced */

enum home_file {
    HOME_LOG,
    HOME_INDEX,
    HOME_CHARTS,
    HOME_READY,
    HOME_STARTED,
    HOME_EXIT,
    HOME_FILE_MAX,
};

/* -ENOENT when there is none of that name. */
int home_file_of(const char *name, enum home_file *ret);
const char *home_file_name(enum home_file file);
/* Does it grow? Else it is replaced as a whole. */
bool home_file_grows(enum home_file file);
/* The most bytes that FILE may have; LOG_LIMIT 0: a log of any size. */
int64_t home_file_limit(enum home_file file, int64_t log_limit_bytes);

/* How many of the LEN bytes may be added to FILE: whole lines that are objects (charts), whole records
 * (log.idx), everything (log). -EBADMSG for what no supervisor writes. Pure. */
ssize_t home_piece_check(enum home_file file, const char *bytes, size_t len, struct error *err);
/* May these bytes become FILE, which is replaced, of an attempt of that epoch? -EBADMSG. Pure. */
int home_record_check(enum home_file file, const char *bytes, size_t len, unsigned epoch,
                      struct error *err);

#endif
