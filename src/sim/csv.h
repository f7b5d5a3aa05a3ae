/* csv.h - tables of comma separated values (RFC 4180), a row at a time
 *
 * The first line, after remarks that begin with '#', names the columns, in any order; others than those wanted are passed over. Whatever is wrong is
 * said with file, line, column and what would be right. Memory does not grow with the file.
 */
#ifndef SIM_CSV_H
#define SIM_CSV_H

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    CSV_LINE_MAX = 64 << 10, /* bytes of a row */
    CSV_COLUMNS_MAX = 64,    /* of a table, wanted or not */
};

struct csv;

/* Begin to read FILE, called NAME in errors (both borrowed). COLUMNS, ended by NULL and borrowed: those wanted; one that
 * begins with '?' may be missing. */
int csv_new(FILE *file, const char *name, const char *const *columns, struct csv **ret,
            struct error *err);
void csv_free(struct csv *csv);
DEFINE_CLEANUP(struct csv *, csv_free);

/* The next row: 1; 0: there are no more. */
int csv_next(struct csv *csv, struct error *err);
/* Field of the row in wanted column I, without its quotes; "" when the column is missing. Valid until the next row. */
const char *csv_field(const struct csv *csv, unsigned i);
bool csv_has(const struct csv *csv, unsigned i);
/* A whole number from MIN to MAX. */
int csv_int(const struct csv *csv, unsigned i, int64_t min, int64_t max, int64_t *ret,
            struct error *err);
/* Record that field I is wrong: "NAME:LINE: COLUMN is 'x', EXPECTED". Returns -EBADMSG. */
int csv_wrong(const struct csv *csv, unsigned i, const char *expected, struct error *err);
size_t csv_line(const struct csv *csv); /* of the row, from 1 */

#endif
