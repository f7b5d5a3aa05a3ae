/* recorder.h - lines of a record into files of STATE/scheduler, without waiting for the disk
 *
 * record.jsonl is of the server that runs; record.1.jsonl and so on are of those before it. A file that has grown too large
 * ends with a line that says so: a record with a hole would be none.
 */
#ifndef MAIN_RECORDER_H
#define MAIN_RECORDER_H

#include "base/error.h"
#include "os/pool.h"

enum { RECORDER_KEPT = 4 };                             /* files */
#define RECORDER_BYTES_MAX (INT64_C(256) * 1024 * 1024) /* of a file */

struct recorder;

/* Begins a new file in DIRECTORY, which is made if need be; POOL does the writing and is borrowed. */
int recorder_open(const char *directory, struct pool *pool, struct recorder **ret,
                  struct error *err);
/* Writes what is left. The pool is gone by then. NULL is nothing. */
void recorder_close(struct recorder *recorder);

void recorder_line(struct recorder *recorder, const char *line, size_t len);

#endif
