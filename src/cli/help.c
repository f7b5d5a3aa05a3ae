/* help.c - what --help prints: all of it comes from the commands and the declarations */
#include "cli/internal.h"
#include "cli/roles.h"

#include <string.h>

#define SUMMARY_COLUMN 26

static void title(const struct cli *cli, const char *s, struct text *out)
{
    style_add(out, &cli->out, STYLE_BOLD, s);
    text_add_char(out, '\n');
}

/* Words broken at spaces where a terminal's line would end. */
static void add_wrapped(const struct cli *cli, const char *words, size_t column, struct text *out)
{
    size_t limit = cli->out.width ? cli->out.width : 100, at = column;

    for (const char *p = words; *p;) {
        size_t len = strcspn(p, " ");
        if (at > column && at + 1 + len > limit) {
            text_addf(out, "\n%*s", (int) column, "");
            at = column;
        } else if (at > column) {
            text_add_char(out, ' ');
            at++;
        }
        text_add_bytes(out, p, len);
        at += len;
        p += len + strspn(p + len, " ");
    }
    text_add_char(out, '\n');
}

static void line(const struct cli *cli, const char *left, const char *right, struct text *out)
{
    size_t width = text_width(left);

    text_add(out, "  ");
    style_add(out, &cli->out, STYLE_CYAN, left);
    if (width + 2 > SUMMARY_COLUMN)
        text_addf(out, "\n%*s", SUMMARY_COLUMN + 2, "");
    else
        text_addf(out, "%*s", (int) (SUMMARY_COLUMN - width), "");
    add_wrapped(cli, right, SUMMARY_COLUMN + 2, out);
}

struct lister {
    const struct cli *cli;
    struct text *out;
    const char *noun; /* NULL: shortcuts */
};

static void list_command(void *userdata, const struct command *c)
{
    struct lister *l = userdata;
    _cleanup_text_ struct text left = { 0 };

    if (!str_equal(c->noun, l->noun))
        return;
    text_addf(&left, "%s%s%s", c->verb, c->operands ? " " : "", c->operands ? c->operands : "");
    line(l->cli, left.data, c->summary, l->out);
}

struct nouns {
    struct text verbs;
    const char *noun;
    VEC(const char *) seen;
};

static void see_noun(void *userdata, const struct command *c)
{
    struct nouns *n = userdata;

    if (!c->noun)
        return;
    vec_foreach(&n->seen, seen)
        if (str_equal(*seen, c->noun))
            return;
    vec_push(&n->seen, c->noun);
}

static void see_verb(void *userdata, const struct command *c)
{
    struct nouns *n = userdata;

    if (str_equal(c->noun, n->noun))
        text_addf(&n->verbs, "%s%s", n->verbs.len ? ", " : "", c->verb);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void add_nouns(const struct cli *cli, struct text *out)
{
    struct nouns n = { 0 };

    command_each(see_noun, &n);
    qsort(n.seen.items, n.seen.len, sizeof *n.seen.items, by_name);
    vec_foreach(&n.seen, noun) {
        n.noun = *noun;
        text_clear(&n.verbs);
        command_each(see_verb, &n);
        line(cli, *noun, text_str(&n.verbs), out);
    }
    text_done(&n.verbs);
    vec_done(&n.seen);
}

static void list_role_of(void *userdata, const struct cli_role *role)
{
    const struct lister *l = userdata;
    const char *verb = role_verb(role, l->noun);

    if (verb)
        line(l->cli, verb, role->summary, l->out);
}

static void list_role(void *userdata, const struct cli_role *role)
{
    const struct lister *l = userdata;

    line(l->cli, role->name, role->summary, l->out);
}

void help_all(const struct cli *cli, struct text *out)
{
    struct lister shortcuts = { cli, out, NULL };

    text_add(out, "Run training jobs on hardware of their own.\n\n");
    title(cli, "Usage", out);
    text_add(out, "  berth COMMAND [ARG] [--flag]\n  berth NOUN VERB [ARG] [--flag]\n\n");
    title(cli, "Commands of every day", out);
    command_each(list_command, &shortcuts);
    text_add_char(out, '\n');
    title(cli, "Nouns and their verbs", out);
    add_nouns(cli, out);
    text_add_char(out, '\n');
    title(cli, "On the machine itself", out);
    roles_each(list_role, &(struct lister){ cli, out, NULL });
    text_add(out, "\nberth COMMAND --help says more, with examples.\n");
}

void help_noun(const struct cli *cli, const char *noun, struct text *out)
{
    struct lister verbs = { cli, out, noun };

    title(cli, "Usage", out);
    text_addf(out, "  berth %s VERB [ARG] [--flag]\n\n", noun);
    title(cli, "Verbs", out);
    command_each(list_command, &verbs);
    roles_each(list_role_of, &verbs);
    text_addf(out, "\nberth %s VERB --help says more.\n", noun);
}

static void add_flag(const struct cli *cli, const char *name, const char *letter,
                     const char *operand, const char *doc, struct text *out)
{
    _cleanup_text_ struct text left = { 0 };

    if (letter)
        text_addf(&left, "-%s, ", letter);
    else
        text_add(&left, "    ");
    text_addf(&left, "--%s%s%s", name, operand && strncmp(operand, "[=", 2) != 0 ? " " : "",
              operand ? operand : "");
    line(cli, left.data, doc, out);
}

static void add_plain_flags(const struct cli *cli, const struct cli_flag *flags, struct text *out)
{
    for (; flags && flags->name; flags++)
        add_flag(cli, flags->name, flags->letter, flags->operand, flags->doc, out);
}

static void add_declared_flag(const struct cli *cli, const struct declare_flag *flag,
                              struct text *out)
{
    const struct declare_field *field = flag->path[flag->depth - 1];
    _cleanup_text_ struct text doc = { 0 };

    text_add(&doc, field->doc);
    if (field->type->choices) {
        text_add(&doc, " One of");
        for (size_t i = 0; field->type->choices[i]; i++)
            text_addf(&doc, "%s %s", i ? "," : "", field->type->choices[i]);
        text_add(&doc, ".");
    }
    if (field->otherwise && !str_equal(field->otherwise, "false")) {
        const char *s = field->otherwise;
        bool quoted = *s == '"'; /* JSON's quotes are none of the shell's */
        text_addf(&doc, " Default: %.*s%s.", (int) strlen(s) - 2 * quoted, s + quoted,
                  field->type->kind == DECLARE_SECONDS ? "s" : "");
    }
    bool value = declare_flag_has_value(flag);
    add_flag(cli, field->flag, field->flag_letter, value ? declare_flag_operand(flag) : NULL,
             doc.data, out);
}

static void add_declared(const struct cli *cli, const struct declare_type *type, struct text *out)
{
    struct declare_flag flag;

    for (size_t pos = 0; type && declare_next_flag(type, &pos, &flag);)
        add_declared_flag(cli, &flag, out);
}

static void add_examples(const struct cli *cli, const char *examples, struct text *out)
{
    if (!examples)
        return;
    text_add_char(out, '\n');
    title(cli, "Examples", out);
    for (const char *p = examples; *p;) {
        size_t len = strcspn(p, "\n");
        text_add(out, "  ");
        text_add_bytes(out, p, len);
        text_add_char(out, '\n');
        p += len + (p[len] == '\n');
    }
}

void help_command(const struct cli *cli, const struct command *c, struct text *out)
{
    const struct declare_endpoint *e = c->endpoint ? declare_endpoint(c->endpoint) : NULL;

    text_addf(out, "%s\n\n", c->summary);
    title(cli, "Usage", out);
    /* Flags stand before a command: what comes after its name is its own. */
    bool first = c->takes_command == 1;
    const char *operands = c->operands ? c->operands : "", *space = c->operands ? " " : "";
    text_addf(out, "  berth %s%s%s%s%s [--flag]%s%s\n\n", c->noun ? c->noun : "",
              c->noun ? " " : "", c->verb, first ? "" : space, first ? "" : operands,
              first ? space : "", first ? operands : "");
    title(cli, "Flags", out);
    add_plain_flags(cli, c->flags, out);
    if (e) {
        add_declared(cli, e->body, out);
        add_declared(cli, e->query, out);
    }
    add_plain_flags(cli, cli_global_flags, out);
    add_examples(cli, c->examples, out);
}
