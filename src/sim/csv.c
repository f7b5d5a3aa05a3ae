/* csv.c - rows of comma separated values */
#include "sim/csv.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

struct csv {
    FILE *file;
    const char *name;
    const char *const *columns;
    int at[CSV_COLUMNS_MAX]; /* by wanted column: its position; -1: missing */
    unsigned n_wanted, n_columns;
    size_t line;       /* of the row */
    size_t lines_read; /* before the next one */
    unsigned n_fields;
    char *fields[CSV_COLUMNS_MAX]; /* in ROW */
    char row[CSV_LINE_MAX];
};

static int wrong(const struct csv *csv, const char *what, struct error *err)
{
    return error_set(err, -EBADMSG, "%s:%zu: %s", csv->name, csv->line, what);
}

/* One row into ROW, its quoted line breaks too. 0: the file ended. */
static int read_row(struct csv *csv, size_t *ret_len, struct error *err)
{
    bool quoted = false;
    size_t len = 0;
    int c;

    csv->line = csv->lines_read + 1;
    while ((c = getc(csv->file)) != EOF) {
        if (c == '\0')
            return wrong(csv, "a byte of value 0 stands in it; a table is text", err);
        if (c == '"')
            quoted = !quoted;
        csv->lines_read += c == '\n';
        if (c == '\n' && !quoted)
            break;
        if (len == sizeof csv->row - 1)
            return wrong(csv, "longer than 64 KiB (a quote that is not closed?)", err);
        csv->row[len++] = (char) c;
    }
    if (ferror(csv->file))
        return error_set(err, -EIO, "%s:%zu: cannot be read: %s", csv->name, csv->line,
                         strerror(errno));
    if (quoted)
        return wrong(csv, "a quote is not closed", err);
    if (len > 0 && csv->row[len - 1] == '\r')
        len--;
    csv->row[len] = '\0';
    *ret_len = len;
    return c != EOF || len > 0;
}

/* Takes the quotes off the field at S and ends it; returns where the next begins, NULL after the last. */
static char *cut_field(char *s)
{
    char *to = s;
    bool quoted = false;

    for (; *s && (quoted || *s != ','); s++) {
        if (*s != '"')
            *to++ = *s;
        else if (quoted && s[1] == '"')
            *to++ = *s++;
        else
            quoted = !quoted;
    }
    char *next = *s ? s + 1 : NULL;
    *to = '\0';
    return next;
}

static int split(struct csv *csv, struct error *err)
{
    csv->n_fields = 0;
    for (char *s = csv->row; s;) {
        if (csv->n_fields == CSV_COLUMNS_MAX)
            return wrong(csv, "more than 64 columns", err);
        csv->fields[csv->n_fields++] = s;
        s = cut_field(s);
    }
    return 0;
}

static const char *column_name(const struct csv *csv, unsigned i)
{
    return csv->columns[i] + (csv->columns[i][0] == '?');
}

static int find_column(struct csv *csv, unsigned wanted, struct error *err)
{
    const char *name = column_name(csv, wanted);

    csv->at[wanted] = -1;
    for (unsigned i = 0; i < csv->n_fields; i++) {
        if (!str_equal(csv->fields[i], name))
            continue;
        if (csv->at[wanted] >= 0)
            return error_set(err, -EBADMSG, "%s:%zu: column %s is there twice", csv->name,
                             csv->line, name);
        csv->at[wanted] = (int) i;
    }
    if (csv->at[wanted] < 0 && csv->columns[wanted][0] != '?')
        return error_set(err, -EBADMSG, "%s:%zu: there is no column %s", csv->name, csv->line,
                         name);
    return 0;
}

static int read_header(struct csv *csv, struct error *err)
{
    size_t len = 0;
    int r;

    do
        r = read_row(csv, &len, err);
    while (r > 0 && csv->row[0] == '#');
    if (r == 0)
        return error_set(err, -EBADMSG, "%s: is empty; the first line names the columns",
                         csv->name);
    if (r > 0 && str_starts(csv->row, "\xef\xbb\xbf"))
        memmove(csv->row, csv->row + 3, len - 2);
    if (r > 0)
        r = split(csv, err);
    for (unsigned i = 0; r >= 0 && csv->columns[i]; i++, csv->n_wanted++)
        r = find_column(csv, i, err);
    csv->n_columns = csv->n_fields;
    return r;
}

int csv_new(FILE *file, const char *name, const char *const *columns, struct csv **ret,
            struct error *err)
{
    _cleanup_(csv_freep) struct csv *csv = xnew(struct csv);

    csv->file = file;
    csv->name = name;
    csv->columns = columns;
    int r = read_header(csv, err);
    if (r >= 0)
        *ret = take_ptr(csv);
    return r < 0 ? r : 0;
}

void csv_free(struct csv *csv) { free(csv); }

int csv_next(struct csv *csv, struct error *err)
{
    size_t len = 0;
    int r;

    do
        r = read_row(csv, &len, err);
    while (r > 0 && len == 0);
    if (r <= 0)
        return r;
    r = split(csv, err);
    if (r >= 0 && csv->n_fields != csv->n_columns)
        r = error_set(err, -EBADMSG, "%s:%zu: has %u fields, the first line names %u columns",
                      csv->name, csv->line, csv->n_fields, csv->n_columns);
    return r < 0 ? r : 1;
}

bool csv_has(const struct csv *csv, unsigned i) { return csv->at[i] >= 0; }

const char *csv_field(const struct csv *csv, unsigned i)
{
    return csv_has(csv, i) ? csv->fields[csv->at[i]] : "";
}

int csv_wrong(const struct csv *csv, unsigned i, const char *expected, struct error *err)
{
    return error_set(err, -EBADMSG, "%s:%zu: %s is '%.40s', expected %s", csv->name, csv->line,
                     column_name(csv, i), csv_field(csv, i), expected);
}

int csv_int(const struct csv *csv, unsigned i, int64_t min, int64_t max, int64_t *ret,
            struct error *err)
{
    char expected[80];
    long long value;

    if (str_to_i64(csv_field(csv, i), min, max, &value) == 0) {
        *ret = value;
        return 0;
    }
    (void) snprintf(expected, sizeof expected, "a whole number from %lld to %lld", (long long) min,
                    (long long) max);
    return csv_wrong(csv, i, expected, err);
}

size_t csv_line(const struct csv *csv) { return csv->line; }
