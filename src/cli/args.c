/* args.c - the arguments of one command: its own flags, the global ones, and those that fields declare */
#include "cli/internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

const struct cli_flag cli_global_flags[] = {
    { "output", "o", "FORMAT", "table, json, yaml or name" },
    { "project", NULL, "PROJECT", "instead of the context's" },
    { "context", NULL, "NAME", "a context of the configuration" },
    { "wait", NULL, NULL, "return when what was asked for has happened" },
    { "dry-run", NULL, NULL, "check and show what would be done" },
    { "help", "h", NULL, "this text" },
    { NULL },
};

struct parser {
    struct cli *cli;
    struct args *args;
    int argc, i;
    char **argv;
};

/* A flag as it was typed. */
struct typed {
    const char *arg;   /* the whole argument */
    char *name;        /* without dashes */
    const char *value; /* after '=', or after a letter; NULL */
    bool letter;
};

const char *args_get(const struct args *args, const char *flag)
{
    return map_get_str(args->flags, flag);
}

bool args_has(const struct args *args, const char *flag) { return args_get(args, flag) != NULL; }

const char *args_operand(const struct args *args, size_t i)
{
    return i < args->operands.len ? args->operands.items[i] : NULL;
}

static const struct cli_flag *find_flag(const struct cli_flag *flags, const struct typed *t)
{
    for (; flags && flags->name; flags++) {
        const char *name = t->letter ? flags->letter : flags->name;
        if (name && str_equal(name, t->name))
            return flags;
    }
    return NULL;
}

static int need_value(struct parser *p, const struct typed *t, const char *operand,
                      const char **ret, struct error *err)
{
    if (t->value) {
        *ret = t->value;
        return 0;
    }
    if (p->i + 1 >= p->argc)
        return error_set(err, -EINVAL, "flag %s needs a value: %s %s", t->arg, t->arg, operand);
    *ret = p->argv[++p->i];
    return 0;
}

static int set_output(struct cli *cli, const char *value, struct error *err)
{
    static const char *const formats[] = { "table", "json", "yaml", "name" };

    for (int i = 0; i < 4; i++)
        if (strcmp(value, formats[i]) == 0) {
            cli->output = (enum cli_output) i;
            cli->output_given = true;
            return 0;
        }
    return error_set(err, -EINVAL, "-o is table, json, yaml or name, not '%.40s'", value);
}

static int set_global(struct cli *cli, const char *name, const char *value, struct error *err)
{
    if (str_equal(name, "output"))
        return set_output(cli, value, err);
    if (str_equal(name, "project"))
        xstr_set(&cli->project, value);
    else if (str_equal(name, "context"))
        xstr_set(&cli->context, value);
    else if (str_equal(name, "wait"))
        cli->wait = true;
    else if (str_equal(name, "dry-run"))
        cli->dry_run = true;
    else
        cli->help = true;
    return 0;
}

bool cli_flag_is_optional(const struct cli_flag *flag)
{
    return flag->operand && strncmp(flag->operand, "[=", 2) == 0;
}

/* An own or global flag; -ENOENT when it is neither. */
static int take_plain(struct parser *p, const struct typed *t, struct error *err)
{
    const struct cli_flag *own = find_flag(p->args->command->flags, t);
    const struct cli_flag *flag = own ? own : find_flag(cli_global_flags, t);
    const char *value = "";

    if (!flag)
        return -ENOENT;
    if (!flag->operand && t->value)
        return error_set(err, -EINVAL, "flag --%s takes no value", flag->name);
    bool needs = flag->operand && (t->value || !cli_flag_is_optional(flag));
    int r = needs ? need_value(p, t, flag->operand, &value, err) : 0;
    if (r < 0)
        return r;
    if (!own)
        return set_global(p->cli, flag->name, value, err);
    free(map_set_str(p->args->flags, flag->name, xstrdup(value)));
    return 0;
}

static bool is_declared(const struct declare_type *type, const struct typed *t,
                        struct declare_flag *ret)
{
    return type && declare_find_flag(type, t->name, ret) && (t->letter == (t->name[1] == '\0'));
}

/* "--no-x" switches a declared switch off. */
static int take_declared(struct parser *p, const struct typed *t, struct error *err)
{
    const struct declare_endpoint *e = p->args->endpoint;
    const char *value = NULL;
    struct declare_flag flag;
    json_t *into = NULL;

    if (e && is_declared(e->body, t, &flag))
        into = p->args->body;
    else if (e && is_declared(e->query, t, &flag))
        into = p->args->query;
    if (!into)
        return -ENOENT;
    if (declare_flag_has_value(&flag)) {
        int r = need_value(p, t, declare_flag_operand(&flag), &value, err);
        if (r < 0)
            return r;
    } else if (t->value) {
        value = t->value;
    }
    return declare_set_flag(&flag, into, value, err);
}

/* ---- words near to each other ---------------------------------------------------------------- */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance; both are short. */
static unsigned distance(const char *a, const char *b)
{
    enum { MAX = 40 };
    size_t n = strlen(b);
    unsigned row[MAX + 1];

    if (strlen(a) > MAX || n > MAX)
        return UINT_MAX;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= n; j++) {
            unsigned above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[n];
}

const char *nearest_word(const char *typed, const char *const *words, size_t n)
{
    const char *best = NULL;
    unsigned best_distance = (unsigned) strlen(typed) / 3 + 1;

    for (size_t i = 0; i < n; i++) {
        unsigned d = distance(typed, words[i]);
        if (d <= best_distance && (!best || d < best_distance)) {
            best = words[i];
            best_distance = d;
        }
    }
    return best;
}

/* The name among the command's flags that is most like NAME; NULL: none is. */
static const char *nearest_flag(const struct parser *p, const char *name)
{
    VEC(const char *) names = { 0 };
    const struct cli_flag *lists[] = { p->args->command->flags, cli_global_flags };
    const struct declare_endpoint *e = p->args->endpoint;
    const struct declare_type *types[] = { e ? e->body : NULL, e ? e->query : NULL };

    for (int i = 0; i < 2; i++)
        for (const struct cli_flag *f = lists[i]; f && f->name; f++)
            vec_push(&names, f->name);
    for (int i = 0; i < 2; i++) {
        struct declare_flag flag;
        for (size_t pos = 0; types[i] && declare_next_flag(types[i], &pos, &flag);)
            vec_push(&names, flag.path[flag.depth - 1]->flag);
    }
    const char *near = nearest_word(name, names.items, names.len);
    vec_done(&names);
    return near;
}

static int refuse_flag(const struct parser *p, const struct typed *t, struct error *err)
{
    const struct command *c = p->args->command;
    const char *noun = c->noun, *near = nearest_flag(p, t->name);
    const char *instead = c->refuses ? c->refuses(t->name, strlen(t->name), t->letter) : NULL;

    if (instead)
        return error_set(err, -EINVAL, "option '%s' cannot be kept here: %s", t->arg, instead);
    if (near)
        return error_set(err, -EINVAL, "unknown flag %s; did you mean --%s?", t->arg, near);
    return error_set(err, -EINVAL, "unknown flag %s; see berth %s%s%s --help", t->arg,
                     noun ? noun : "", noun ? " " : "", p->args->command->verb);
}

static int take_flag(struct parser *p, const char *arg, struct error *err)
{
    _cleanup_free_ char *name = NULL;
    struct typed t = { .arg = arg, .letter = arg[1] != '-' };

    if (t.letter) {
        name = xstrndup(arg + 1, 1);
        t.value = arg[2] == '=' ? arg + 3 : arg[2] ? arg + 2 : NULL;
    } else {
        size_t len = strcspn(arg + 2, "=");
        name = xstrndup(arg + 2, len);
        t.value = arg[2 + len] ? arg + 3 + len : NULL;
    }
    t.name = name;
    int r = take_plain(p, &t, err);
    if (r == -ENOENT)
        r = take_declared(p, &t, err);
    return r == -ENOENT ? refuse_flag(p, &t, err) : r;
}

static int check_operands(const struct args *args, struct error *err)
{
    const struct command *c = args->command;
    const char *noun = c->noun ? c->noun : "", *space = c->noun ? " " : "";

    if (args->operands.len < c->operands_min)
        return error_set(err, -EINVAL, "berth %s%s%s needs %s", noun, space, c->verb,
                         c->operands ? c->operands : "an argument");
    if (args->operands.len > c->operands_max)
        return error_set(err, -EINVAL, "berth %s%s%s takes %s, not also '%.60s'", noun, space,
                         c->verb, c->operands ? c->operands : "no argument",
                         args->operands.items[c->operands_max]);
    /* Of a command line that is run somewhere else an empty word is one. */
    for (size_t i = 0; c->operands_max != UINT_MAX && i < args->operands.len; i++)
        if (!*args->operands.items[i])
            return error_set(err, -EINVAL, "berth %s%s%s takes %s, and '' is none", noun, space,
                             c->verb, c->operands ? c->operands : "no argument");
    return 0;
}

static int parse_all(struct parser *p, struct error *err)
{
    struct args *args = p->args;
    bool flags = true;

    for (; p->i < p->argc; p->i++) {
        const char *arg = p->argv[p->i];
        if (flags && strcmp(arg, "--") == 0) {
            flags = false;
        } else if (flags && arg[0] == '-' && arg[1]) {
            int r = take_flag(p, arg, err);
            if (r < 0)
                return r;
        } else {
            vec_push(&args->operands, xstrdup(arg));
            flags = flags && (!args->command->takes_command ||
                              args->operands.len < args->command->takes_command);
        }
    }
    return 0;
}

int args_parse(struct cli *cli, const struct command *command, int argc, char **argv,
               struct args *ret, struct error *err)
{
    *ret = (struct args){
        .command = command,
        .endpoint = command->endpoint ? declare_endpoint(command->endpoint) : NULL,
        .flags = map_new(),
        .query = json_object(),
        .body = json_object(),
    };
    struct parser p = { cli, ret, argc, 0, argv };
    int r = parse_all(&p, err);
    if (r == 0 && !cli->help)
        r = check_operands(ret, err);
    if (r < 0)
        args_done(ret);
    return r;
}

void args_done(struct args *args)
{
    vec_foreach(&args->operands, operand)
        free(*operand);
    vec_done(&args->operands);
    map_free_with(args->flags, free);
    json_decref(args->query);
    json_decref(args->body);
    *args = (struct args){ 0 };
}
