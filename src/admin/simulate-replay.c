/* simulate-replay.c - `berth simulate replay`: does the scheduler still decide what it decided? */
#include "admin/admin.h"
#include "admin/options.h"
#include "admin/simulate.h"

#include "base/alloc.h"
#include "base/time.h"
#include "placement/placement.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "Usage: berth simulate replay FILE [-o table|json|yaml]\n\n"
    "Tells a new scheduler all that the one of a server was told, and compares each of its decisions\n"
    "with what was decided then: which jobs start, where exactly, and which are stopped.\n\n"
    "  FILE                STATE/scheduler/record.jsonl of a server, which runs or has ended, or\n"
    "                      record.1.jsonl and so on of those before it; - is stdin\n"
    "  -o FORM             of the summary: table (default), json or yaml\n\n"
    "Exit code: 0 when all is the same; 1 with the line when something is not, or a file is wrong;\n"
    "2 usage.\n";

void admin_simulate_replay_help(struct text *out) { text_add(out, usage); }

struct options {
    const char *path, *form;
};

static bool read_flag(int argc, char **argv, int *i, void *options)
{
    struct options *o = options;
    const char *form = option_value("-o", argc, argv, i);

    if (form)
        return option_is_form(o->form = form);
    if (o->path || (argv[*i][0] == '-' && argv[*i][1]))
        return false;
    return (o->path = argv[*i]);
}

static const char *check(void *options)
{
    const struct options *o = options;

    return o->path ? NULL : "FILE is missing";
}

/* The next line without its end, 1; 0: there is none that has an end, which the server may be writing. */
static int read_line(FILE *file, struct text *line, struct error *err)
{
    int c;

    line->len = 0;
    while ((c = getc(file)) != EOF && c != '\n') {
        if (line->len == RECORD_LINE_MAX)
            return error_set(err, -EFBIG, "is longer than %d bytes", RECORD_LINE_MAX);
        text_add_char(line, (char) c);
    }
    if (ferror(file))
        return error_set(err, -EIO, "cannot be read: %s", strerror(errno));
    return c == '\n';
}

static int read_lines(FILE *file, const char *name, struct replay *replay, struct error *err)
{
    _cleanup_text_ struct text line = { 0 };
    size_t number = 0;
    int r;

    do {
        number++;
        r = read_line(file, &line, err);
        if (r > 0)
            r = replay_line(replay, text_str(&line), line.len, err);
        else if (r == 0)
            break;
    } while (r == 0);
    if (r == 0 && replay_counts(replay)->calls == 0)
        return error_set(err, -EBADMSG, "%s: %s", name,
                         line.len ? "is no record: it holds no whole line" : "is empty");
    if (r > 0)
        r = error_context(err, -ESTALE, "%s:%zu: it is decided otherwise now", name, number);
    else if (r < 0)
        r = error_context(err, r, "%s:%zu", name, number);
    return r;
}

static json_t *to_json(const struct replay_counts *c)
{
    json_t *json = json_object();
    char text[TIME_TEXT_LEN + 1];

    json_put_int(json, "calls", (int64_t) c->calls);
    json_put_int(json, "jobs", (int64_t) c->jobs);
    json_put_int(json, "passes", (int64_t) c->passes);
    json_put_int(json, "starts", (int64_t) c->starts);
    json_put_int(json, "stops", (int64_t) c->stops);
    if (c->first_us) {
        json_put_str(json, "first", time_format(c->first_us, text));
        json_put_str(json, "last", time_format(c->last_us, text));
    }
    return json;
}

static void add_table(struct text *out, const struct replay_counts *c)
{
    text_addf(
        out,
        "calls      %llu\njobs       %llu\npasses     %llu\nstarts     %llu\nstops      %llu\n",
        (unsigned long long) c->calls, (unsigned long long) c->jobs, (unsigned long long) c->passes,
        (unsigned long long) c->starts, (unsigned long long) c->stops);
    text_add(out, "all decided as they were\n");
}

static int run(const void *options, struct error *err)
{
    const struct options *o = options;
    _cleanup_(simulate_closep) FILE *file = NULL;
    _cleanup_(replay_freep) struct replay *replay = replay_new();
    int r = simulate_open(o->path, "re", &file, err);

    if (r >= 0)
        r = read_lines(file, o->path, replay, err);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *json = to_json(replay_counts(replay));
    _cleanup_text_ struct text table = { 0 };
    add_table(&table, replay_counts(replay));
    return simulate_print(json, &table, o->form);
}

int admin_simulate_replay(int argc, char **argv)
{
    struct options o = { .form = "table" };

    return simulate_main(&(const struct simulation){ usage, read_flag, check, run }, argc, argv,
                         &o);
}
