/* print.c - answers of the API for people and for programs */
#include "cli/internal.h"
#include "cli/table.h"

#include "base/alloc.h"
#include "base/time.h"
#include "base/yaml.h"
#include "os/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *const job_states[] = { "submitted", "queued", "starting", "running", "stopping",
                                   "succeeded", "failed", "stopped",  NULL };

bool state_is_final(const char *state)
{
    return str_equal(state, "succeeded") || str_equal(state, "failed") ||
           str_equal(state, "stopped");
}

void print_text(const struct text *t)
{
    (void) fwrite(text_str(t), 1, t->len, stdout);
    (void) fflush(stdout);
}

void print_error(const struct cli *cli, const char *text)
{
    _cleanup_text_ struct text clean = { 0 };

    text_add_clean(&clean, text);
    (void) fprintf(stderr, "%sberth:%s %s\n", style_begin(&cli->err, STYLE_RED),
                   style_end(&cli->err, STYLE_RED), text_str(&clean));
}

void print_note(const struct cli *cli, const char *fmt, ...)
{
    _cleanup_text_ struct text t = { 0 };
    _cleanup_text_ struct text clean = { 0 };
    va_list ap;

    va_start(ap, fmt);
    text_addv(&t, fmt, ap);
    va_end(ap);
    text_add_clean(&clean, text_str(&t));
    (void) fprintf(stderr, "%s%s%s\n", style_begin(&cli->err, STYLE_DIM), text_str(&clean),
                   style_end(&cli->err, STYLE_DIM));
}

void print_json(const struct cli *cli, const json_t *value)
{
    struct text t = { 0 };

    if (cli->output == OUTPUT_YAML) {
        t.data = yaml_text(value);
        t.len = strlen(t.data);
    } else {
        t.data = json_pretty(value);
        t.len = strlen(t.data);
        text_add_char(&t, '\n');
    }
    print_text(&t);
    text_done(&t);
}

/* ---- values ------------------------------------------------------------------------------------ */

char *format_age(const char *time, int64_t now_us)
{
    int64_t us;
    char buf[32];

    if (time_parse(time, &us) < 0)
        return xstrdup(time);
    int64_t s = (now_us - us) / US_PER_S;
    if (s < 0)
        return xasprintf("in %s", seconds_to_str(-s, buf));
    if (s < 60)
        return xasprintf("%llds ago", (long long) s);
    if (s < 3600)
        return xasprintf("%lldm ago", (long long) s / 60);
    if (s < 2 * 86400)
        return xasprintf("%lldh ago", (long long) s / 3600);
    return xasprintf("%lldd ago", (long long) s / 86400);
}

static bool is_bytes(const struct declare_field *field, const char *name)
{
    return (field && field->type->kind == DECLARE_BYTES) || str_ends(name, "bytes") ||
           str_equal(name, "memory") || str_equal(name, "size") || str_equal(name, "disk") ||
           str_ends(name, "_memory") || str_ends(name, "_disk");
}

static bool is_seconds(const struct declare_field *field, const char *name)
{
    return (field && field->type->kind == DECLARE_SECONDS) || str_ends(name, "seconds") ||
           str_equal(name, "max_time") || str_equal(name, "grace") || str_equal(name, "backoff");
}

static bool is_time(const char *s)
{
    int64_t us;
    return strlen(s) >= 20 && s[4] == '-' && time_parse(s, &us) == 0;
}

static char *format_list(const json_t *array)
{
    struct text t = { 0 };
    size_t i;
    const json_t *item;

    json_array_foreach(array, i, item) {
        _cleanup_free_ char *s = format_value(NULL, "", item);
        text_addf(&t, "%s%s", i ? " " : "", s);
    }
    return text_take(&t);
}

static char *format_map(const json_t *object)
{
    struct text t = { 0 };
    const char *key;
    json_t *value;

    json_object_foreach(json_mutable(object), key, value) {
        _cleanup_free_ char *s = format_value(NULL, key, value);
        text_addf(&t, "%s%s=%s", t.len ? " " : "", key, s);
    }
    return text_take(&t);
}

char *format_value(const struct declare_field *field, const char *name, const json_t *value)
{
    char buf[32];

    if (!value || json_is_null(value))
        return xstrdup("");
    if (json_is_string(value)) {
        const char *s = json_string_value(value);
        return is_time(s) ? format_age(s, clock_now_us()) : xstrdup(s);
    }
    if (json_is_boolean(value))
        return xstrdup(json_is_true(value) ? "yes" : "no");
    if (json_is_array(value))
        return format_list(value);
    if (json_is_object(value))
        return format_map(value);
    if (is_bytes(field, name))
        return xstrdup(bytes_to_str((long long) json_number_value(value), buf));
    if (is_seconds(field, name) && json_number_value(value) >= 1)
        return xstrdup(seconds_to_str((long long) json_number_value(value), buf));
    return json_text(value);
}

/* ---- lists ------------------------------------------------------------------------------------- */

/* Which fields a table shows, and in which order; nouns that are not here show every plain field. */
struct view {
    const char *noun;
    struct view_column {
        const char *field, *title;
        bool right;
        unsigned keep;
    } columns[10];
};

static const struct view views[] = {
    { "job",
      { { "name", "NAME", false, 12 },
        { "state", "STATE", false, 0 },
        { "attempts", "TRY", true, 0 },
        { "preemptions", "PREEMPTED", true, 0 },
        { "exit_code", "EXIT", true, 0 },
        { "flavor", "FLAVOR", false, 8 },
        { "node", "NODE", false, 8 },
        { "created", "SUBMITTED", true, 0 },
        { "id", "ID", false, 13 },
        { "reason", "REASON", false, 16 } } },
    { "attempt",
      { { "number", "TRY", true, 0 },
        { "state", "STATE", false, 0 },
        { "cause", "CAUSE", false, 0 },
        { "exit_code", "EXIT", true, 0 },
        { "started", "STARTED", true, 0 },
        { "ended", "ENDED", true, 0 },
        { "id", "ID", false, 13 },
        { "reason", "REASON", false, 16 } } },
    { "booking",
      { { "name", "NAME", false, 12 },
        { "state", "STATE", false, 0 },
        { "project_name", "PROJECT", false, 8 },
        { "from", "FROM", false, 0 },
        { "until", "UNTIL", false, 0 },
        { "gpus", "GPUS", true, 0 },
        { "gpu_model", "MODEL", false, 8 },
        { "on", "ON", false, 16 },
        { "id", "ID", false, 13 } } },
    { "dataset",
      { { "name", "NAME", false, 12 },
        { "versions", "VERSIONS", true, 0 },
        { "files", "FILES", true, 0 },
        { "size", "SIZE", true, 0 },
        { "updated", "UPDATED", true, 0 },
        { "tags", "TAGS", false, 12 } } },
    { "difference",
      { { "field", "FIELD", false, 12 }, { "a", "A", false, 16 }, { "b", "B", false, 16 } } },
    { "dataset_change", { { "change", "CHANGE", false, 0 }, { "path", "PATH", false, 24 } } },
    { "artifact",
      { { "path", "PATH", false, 16 },
        { "size", "SIZE", true, 0 },
        { "sha256", "SHA-256", false, 16 } } },
    { "node",
      { { "name", "NAME", false, 8 },
        { "state", "STATE", false, 0 },
        { "cpu_model", "CPU", false, 16 },
        { "memory", "MEMORY", true, 0 },
        { "disk", "DISK", true, 0 },
        { "gpus", "GPUS", false, 8 },
        { "fault", "FAULT", false, 24 } } },
    { "flavor",
      { { "name", "NAME", false, 12 },
        { "cores", "CORES", true, 0 },
        { "memory", "MEMORY", true, 0 },
        { "disk", "DISK", true, 0 },
        { "gpus", "GPUS", true, 0 },
        { "gpu_milli", "PART", true, 0 },
        { "gpu_model", "MODEL", false, 8 },
        { "shared", "SHARED", false, 0 },
        { "numa_strict", "NUMA", false, 0 },
        { "whole_node", "WHOLE", false, 0 } } },
    { "session",
      { { "kind", "KIND", false, 0 },
        { "actor", "WHO", false, 8 },
        { "started", "SINCE", true, 0 },
        { "port", "PORT", true, 0 },
        { "path", "PATH", false, 16 },
        { "command", "COMMAND", false, 16 },
        { "id", "ID", false, 13 } } },
    { "event",
      { { "seq", "SEQ", true, 0 },
        { "time", "WHEN", true, 0 },
        { "type", "TYPE", false, 0 },
        { "subject", "SUBJECT", false, 13 },
        { "actor", "BY", false, 8 },
        { "data", "DATA", false, 16 } } },
};

static const struct view *find_view(const char *noun)
{
    for (size_t i = 0; i < sizeof views / sizeof *views; i++)
        if (str_equal(views[i].noun, noun))
            return &views[i];
    return NULL;
}

static bool is_plain(const json_t *value)
{
    return !json_is_object(value) && !json_is_array(value);
}

static void add_column(struct view *view, size_t *n, const char *field, const json_t *value)
{
    if (*n == sizeof view->columns / sizeof *view->columns || !value || !is_plain(value))
        return;
    view->columns[(*n)++] = (struct view_column){ field, NULL, json_is_number(value), 12 };
}

/* A view made of what the first item holds: its name first, ids last. */
static struct view make_view(const json_t *items)
{
    struct view view = { 0 };
    json_t *item = json_array_get(items, 0);
    const char *key;
    json_t *value;
    size_t n = 0;

    add_column(&view, &n, "name", json_object_get(item, "name"));
    json_object_foreach(item, key, value) {
        int64_t us = 0;
        bool id = json_is_string(value) && json_string_length(value) == ID_TEXT_LEN &&
                  time_parse(json_string_value(value), &us) < 0;
        if (!id && !str_equal(key, "name"))
            add_column(&view, &n, key, value);
    }
    add_column(&view, &n, "id", json_object_get(item, "id"));
    return view;
}

static char *title_of(const struct view_column *column)
{
    char *title = xstrdup(column->title ? column->title : column->field);

    for (char *p = title; *p; p++)
        *p = *p >= 'a' && *p <= 'z' ? (char) (*p - 32) : *p == '_' ? ' ' : *p;
    return title;
}

static bool any_has(const json_t *items, const char *field)
{
    size_t i;
    const json_t *item;

    json_array_foreach(items, i, item) {
        const json_t *value = json_object_get(item, field);
        bool is_nothing = !value || json_is_null(value) ||
                          (json_is_string(value) && !*json_string_value(value)) ||
                          (json_is_array(value) && json_array_size(value) == 0);
        if (!is_nothing)
            return true;
    }
    return false;
}

/* "8 x H100", "4 x A100, 4 x H100": of each model how many, in the order in which they come. */
static char *format_gpus(const json_t *gpus)
{
    _cleanup_json_ json_t *counts = json_object();
    struct text t = { 0 };
    const char *model;
    json_t *count;

    for (size_t i = 0; i < json_array_size(gpus); i++) {
        model = json_get_str(json_array_get(gpus, i), "model", "GPU");
        json_put_int(counts, model, json_get_int(counts, model, 0) + 1);
    }
    json_object_foreach(counts, model, count)
        text_addf(&t, "%s%lld x %s", t.len ? ", " : "", json_integer_value(count), model);
    return text_take(&t);
}

/* Thousandths are for programs. */
static char *format_cell(const char *field, const json_t *value)
{
    char buf[32];

    if (json_is_array(value) && str_equal(field, "gpus"))
        return format_gpus(value);
    if (value && str_equal(field, "gpu_milli"))
        return xstrdup(milli_to_str(json_integer_value(value), buf));
    return format_value(NULL, field, value);
}

static void add_cells(struct table *table, const struct view_column *columns, size_t n,
                      const json_t *item)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *s =
            format_cell(columns[i].field, json_object_get(item, columns[i].field));
        enum style style = str_equal(columns[i].field, "state") ? style_of_state(s) : STYLE_PLAIN;
        if (str_equal(columns[i].field, "id") || str_equal(columns[i].field, "sha256"))
            style = STYLE_DIM;
        table_cell(table, style, s);
    }
}

/* Columns in which nothing stands are left out. */
static void print_table(const struct cli *cli, const char *noun, const json_t *items)
{
    _cleanup_(table_freep) struct table *table = table_new();
    _cleanup_text_ struct text out = { 0 };
    const struct view *known = find_view(noun);
    struct view view = known ? *known : make_view(items);
    size_t n = 0, i;
    const json_t *item;

    for (size_t c = 0; c < sizeof view.columns / sizeof *view.columns && view.columns[c].field;
         c++) {
        if (!any_has(items, view.columns[c].field))
            continue;
        _cleanup_free_ char *title = title_of(&view.columns[c]);
        table_column(table, title, view.columns[c].right, view.columns[c].keep);
        view.columns[n++] = view.columns[c];
    }
    json_array_foreach(items, i, item)
        add_cells(table, view.columns, n, item);
    table_format(table, &cli->out, &out);
    print_text(&out);
}

/* ---- one thing --------------------------------------------------------------------------------- */

static void add_value(const struct cli *cli, const char *key, const json_t *value, struct text *out)
{
    _cleanup_free_ char *s = format_value(NULL, key, value);
    enum style style = str_equal(key, "state") ? style_of_state(s) : STYLE_PLAIN;

    text_add(out, style_begin(&cli->out, style));
    text_add_clean(out, *s ? s : "-");
    text_add(out, style_end(&cli->out, style));
}

static bool is_nested(const json_t *value)
{
    return (json_is_object(value) && json_object_size(value)) ||
           (json_is_array(value) && json_is_object(json_array_get(value, 0)));
}

static void add_fields(const struct cli *cli, const json_t *object, int indent, struct text *out)
{
    const char *key;
    json_t *value;
    size_t widest = 0;

    json_object_foreach(json_mutable(object), key, value)
        if (strlen(key) > widest)
            widest = strlen(key);
    json_object_foreach(json_mutable(object), key, value) {
        text_addf(out, "%*s", indent, "");
        style_add(out, &cli->out, STYLE_BOLD, key);
        bool nested = is_nested(value);
        if (!nested) {
            text_addf(out, "%*s", (int) (widest - strlen(key) + 2), "");
            add_value(cli, key, value, out);
        }
        text_add_char(out, '\n');
        if (json_is_object(value) && nested)
            add_fields(cli, value, indent + 2, out);
        if (!json_is_array(value) || !nested)
            continue;
        size_t i;
        const json_t *item;
        json_array_foreach(value, i, item) {
            if (i)
                text_add_char(out, '\n');
            add_fields(cli, item, indent + 2, out);
        }
    }
}

/* ---- answers ------------------------------------------------------------------------------------ */

static void print_name(const json_t *item)
{
    _cleanup_text_ struct text clean = { 0 };
    const char *name =
        json_get_str(item, "name", json_get_str(item, "path", json_get_str(item, "id", "")));

    text_add_clean(&clean, name);
    (void) printf("%s\n", text_str(&clean));
}

static void print_list(const struct cli *cli, const char *noun, const json_t *items,
                       const json_t *answer)
{
    size_t i;
    const json_t *item;

    if (cli->output == OUTPUT_NAME) {
        json_array_foreach(items, i, item)
            print_name(item);
        return;
    }
    if (json_array_size(items) == 0)
        print_note(cli, "no %ss", noun);
    else
        print_table(cli, noun, items);
    if (json_get_str(answer, "next", NULL))
        print_note(cli, "there are more: --all shows them");
}

void print_answer(const struct cli *cli, const char *noun, const json_t *answer)
{
    const json_t *items = json_object_get(answer, "items");
    _cleanup_text_ struct text out = { 0 };

    if (!answer)
        return;
    if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_YAML) {
        print_json(cli, answer);
    } else if (json_is_array(items)) {
        print_list(cli, noun, items, answer);
    } else if (cli->output == OUTPUT_NAME) {
        print_name(answer);
    } else {
        add_fields(cli, answer, 0, &out);
        print_text(&out);
    }
}
