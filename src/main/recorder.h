/* recorder.h - lines of a record into files of STATE/scheduler, without waiting for the disk
 *
 * record.jsonl is of the server that runs; record.1.jsonl and so on are of those before it. A record ends, with a warning in the
 * log, where it would be too large or cannot be written: one with a hole would be none. Its last line may be torn.
 */
#ifndef MAIN_RECORDER_H
#define MAIN_RECORDER_H

#include "base/error.h"
#include "os/pool.h"

enum { RECORDER_KEPT = 4 };                             /* files */
#define RECORDER_BYTES_MAX (INT64_C(256) * 1024 * 1024) /* of a file */

struct recorder;

/* Begins a new file of at most BYTES_MAX in DIRECTORY, which is made if need be; POOL does the writing and is borrowed. */
int recorder_open(const char *directory, int64_t bytes_max, struct pool *pool,
                  struct recorder **ret, struct error *err);
/* Writes what is left. The pool is gone by then. NULL is nothing. */
void recorder_close(struct recorder *recorder);

void recorder_line(struct recorder *recorder, const char *line, size_t len);

#endif
