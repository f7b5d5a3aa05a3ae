/* table.h - rows and columns for people */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "cli/term.h"

struct table;

struct table *table_new(void);
void table_free(struct table *table);
DEFINE_CLEANUP(struct table *, table_free);

/* Columns are declared before rows. Numbers go RIGHT. One that may be cut when the terminal is too narrow
 * says how many columns it wants to keep; 0: never cut. */
void table_column(struct table *table, const char *title, bool right, unsigned keep);
/* The column that was declared last is left out where all that may be cut is cut and the terminal is still too narrow; of several
 * the first goes first. */
void table_may_go(struct table *table);
/* The next cell of the current row; a row ends when it has as many cells as there are columns. */
void table_cell(struct table *table, enum style style, const char *s);
size_t table_rows(const struct table *table);

/* The whole table, with titles. */
void table_format(const struct table *table, const struct term *term, struct text *out);

#endif
