/* simulate.h - what the commands of `berth simulate` share */
#ifndef ADMIN_SIMULATE_H
#define ADMIN_SIMULATE_H

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>

/* Open PATH, "-" for stdin or stdout as MODE ("re", "we") says; what it gives is simulate_close()d. */
int simulate_open(const char *path, const char *mode, FILE **ret, struct error *err);
void simulate_close(FILE *file);
static inline void simulate_closep(FILE **file)
{
    if (*file)
        simulate_close(*file);
}
struct queue_figures;
/* What became of the bookings of a replay, and what the others waited WITHOUT them. */
void simulate_bookings(const struct queue_figures *with, const struct queue_figures *without,
                       json_t *json, struct text *table);
/* Print RESULT as FORM says: TABLE, or json or yaml. Returns the exit code. */
int simulate_print(const json_t *result, const struct text *table, const char *form);
/* A command. READ takes the flag at argv[*I], and leaves *I at its last word; false: it is none or its value is wrong.
 * CHECK says what is missing or does not go together, NULL if nothing. RUN does it and returns the exit code or an error.
 * Of a flag that is wrong the lines of USAGE are shown that begin with it: "  --flag VALUE  what it is". */
struct simulation {
    const char *usage;
    bool (*read)(int argc, char **argv, int *i, void *options);
    const char *(*check)(void *options);
    int (*run)(const void *options, struct error *err);
};
int simulate_main(const struct simulation *simulation, int argc, char **argv, void *options);

#endif
