/* table.c - columns as wide as their cells; when the terminal is narrower, the widest that may are cut */
#include "cli/table.h"

#include "base/vec.h"

#define GAP 2

struct column {
    char *title;
    bool right;
    unsigned keep;
    bool may_go;
};

struct cell {
    char *s;
    enum style style;
};

struct table {
    VEC(struct column) columns;
    VEC(struct cell) cells; /* row by row */
};

struct table *table_new(void) { return xnew(struct table); }

void table_free(struct table *table)
{
    if (!table)
        return;
    vec_foreach(&table->columns, c)
        free(c->title);
    vec_foreach(&table->cells, c)
        free(c->s);
    vec_done(&table->columns);
    vec_done(&table->cells);
    free(table);
}

void table_column(struct table *table, const char *title, bool right, unsigned keep)
{
    struct column column = { .title = xstrdup(title), .right = right, .keep = keep };
    vec_push(&table->columns, column);
}

void table_may_go(struct table *table)
{
    table->columns.items[table->columns.len - 1].may_go = true;
}

void table_cell(struct table *table, enum style style, const char *s)
{
    struct text clean = { 0 };

    text_add_clean(&clean, s && *s ? s : "-");
    struct cell cell = { .s = text_take(&clean), .style = s && *s ? style : STYLE_DIM };
    vec_push(&table->cells, cell);
}

size_t table_rows(const struct table *table)
{
    return table->columns.len ? table->cells.len / table->columns.len : 0;
}

/* Of width 0: left out. */
static size_t total(const size_t *widths, size_t n)
{
    size_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += widths[i] ? widths[i] + (sum ? GAP : 0) : 0;
    return sum;
}

/* Leave out what may go until the rest fits, cut as far as it may be. */
static void leave_out(const struct table *table, size_t *widths, size_t limit)
{
    size_t n = table->columns.len;
    _cleanup_free_ size_t *least = xnew_n(size_t, n + 1);

    for (size_t i = 0; i < n; i++) {
        unsigned keep = table->columns.items[i].keep;
        least[i] = keep && keep < widths[i] ? keep : widths[i];
    }
    for (size_t i = 0; i < n && total(least, n) > limit; i++)
        if (table->columns.items[i].may_go)
            least[i] = widths[i] = 0;
}

/* Take from the widest column that may be cut, one by one, until all fit or none gives more. */
static void shrink(const struct table *table, size_t *widths, size_t limit)
{
    size_t n = table->columns.len;

    for (size_t sum = total(widths, n); sum > limit; sum--) {
        size_t widest = n;
        for (size_t i = 0; i < n; i++) {
            unsigned keep = table->columns.items[i].keep;
            if (keep && widths[i] > keep && (widest == n || widths[i] > widths[widest]))
                widest = i;
        }
        if (widest == n)
            return;
        widths[widest]--;
    }
}

static void add_row(const struct table *table, const struct term *term, const size_t *widths,
                    const struct cell *cells, struct text *out)
{
    size_t n = table->columns.len;

    for (size_t i = 0; i < n; i++) {
        _cleanup_text_ struct text s = { 0 };
        if (widths[i] == 0)
            continue;
        text_add_cut(&s, cells[i].s, widths[i], term->utf8);
        size_t pad = widths[i] - text_width(text_str(&s));
        if (table->columns.items[i].right)
            text_addf(out, "%*s", (int) pad, "");
        style_add(out, term, cells[i].style, text_str(&s));
        if (i + 1 == n)
            break;
        text_addf(out, "%*s", (int) (table->columns.items[i].right ? GAP : pad + GAP), "");
    }
    text_add_char(out, '\n');
}

void table_format(const struct table *table, const struct term *term, struct text *out)
{
    size_t n = table->columns.len;
    _cleanup_free_ size_t *widths = xnew_n(size_t, n + 1);
    _cleanup_free_ struct cell *titles = xnew_n(struct cell, n + 1);

    for (size_t i = 0; i < n; i++) {
        titles[i] = (struct cell){ table->columns.items[i].title, STYLE_BOLD };
        widths[i] = text_width(titles[i].s);
    }
    for (size_t i = 0; n && i < table->cells.len; i++) {
        size_t width = text_width(table->cells.items[i].s);
        if (width > widths[i % n])
            widths[i % n] = width;
    }
    if (term->width) {
        leave_out(table, widths, term->width);
        shrink(table, widths, term->width);
    }

    add_row(table, term, widths, titles, out);
    for (size_t i = 0; i + n <= table->cells.len && n; i += n)
        add_row(table, term, widths, &table->cells.items[i], out);
}
