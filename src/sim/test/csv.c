/* Tables: rows as they stand, and what is wrong by line and column. */
#include "sim/csv.h"

#include "base/text.h"
#include "tests/tap.h"

#include <stdlib.h>

static const char *const columns[] = { "name", "n", "?spare", NULL };

/* The rows of TEXT as "name=n|", or what is wrong. */
static const char *read_all(const char *text, size_t len)
{
    static struct text out;
    struct error err = { 0 };
    _cleanup_(csv_freep) struct csv *csv = NULL;
    FILE *file = fmemopen((void *) (uintptr_t) text, len, "r");
    int64_t n;

    text_clear(&out);
    int r = csv_new(file, "t.csv", columns, &csv, &err);
    while (r >= 0 && (r = csv_next(csv, &err)) > 0) {
        r = csv_int(csv, 1, 0, 99, &n, &err);
        if (r >= 0)
            text_addf(&out, "%s=%lld%s|", csv_field(csv, 0), (long long) n, csv_field(csv, 2));
    }
    if (r < 0)
        text_add(&out, err.text);
    (void) fclose(file);
    return text_str(&out);
}

#define is_read(text, want) is_str(read_all(text, sizeof text - 1), want)

TEST(columns_come_in_any_order)
{
    is_read("name,n\na,1\nb,2\n", "a=1|b=2|");
    is_read("\xef\xbb\xbfn,other,name\r\n1,x,a\r\n\r\n2,,b", "a=1|b=2|");
    is_read("# source\n# and year\nname,n\n#a,1\n", "#a=1|");
    is_read("spare,n,name\n!,1,a\n", "a=1!|");
}

TEST(quotes_hold_commas_lines_and_quotes)
{
    is_read("name,n\n\"a,\"\"b\"\"\nc\",\"3\"\n", "a,\"b\"\nc=3|");
    is_read("name,n\na,\"1", "t.csv:2: a quote is not closed");
}

TEST(what_is_wrong_is_named)
{
    is_read("", "t.csv: is empty; the first line names the columns");
    is_read("name\na\n", "t.csv:1: there is no column n");
    is_read("name,n,n\n", "t.csv:1: column n is there twice");
    is_read("name,n\na,1\nb\n", "a=1|t.csv:3: has 1 fields, the first line names 2 columns");
    is_read("name,n\na,-1\n", "t.csv:2: n is '-1', expected a whole number from 0 to 99");
    is_read("name,n\na,1e1\n", "t.csv:2: n is '1e1', expected a whole number from 0 to 99");
    is_read("name,n\n\"a\nb\",x\n", "t.csv:2: n is 'x', expected a whole number from 0 to 99");
    is_read("name,n\na\0,1\n", "t.csv:2: a byte of value 0 stands in it; a table is text");
}

TEST(a_row_has_an_end)
{
    size_t len = CSV_LINE_MAX + 100;
    char *text = malloc(len);

    memset(text, 'x', len);
    memcpy(text, "name,n\n", 7);
    is_str(read_all(text, len), "t.csv:2: longer than 64 KiB (a quote that is not closed?)");
    memset(text, ',', len);
    is_str(read_all(text, len), "t.csv:1: longer than 64 KiB (a quote that is not closed?)");
    is_str(read_all(text, 100), "t.csv:1: more than 64 columns");
    free(text);
}

TAP_MAIN
