/* man.c - berth man: the manual page berth(1), made of the same tables as --help */
#include "cli/commands.h"
#include "cli/roles.h"

#include <stdio.h>
#include <string.h>

/* A backslash and a leading dot or quote mean something to roff; '-' would become a hyphen. */
static void add_roff(struct text *t, const char *s)
{
    bool at_start = t->len == 0 || t->data[t->len - 1] == '\n';

    if (at_start && (*s == '.' || *s == '\''))
        text_add(t, "\\&");
    for (; *s; s++) {
        if (*s == '\\')
            text_add(t, "\\e");
        else if (*s == '-')
            text_add(t, "\\-");
        else
            text_add_char(t, *s);
    }
}

static void add_flag(struct text *t, const char *name, const char *letter, const char *operand,
                     const char *doc)
{
    text_add(t, ".TP\n\\fB");
    if (letter) {
        text_add(t, "\\-");
        text_add(t, letter);
        text_add(t, "\\fR, \\fB");
    }
    text_add(t, "\\-\\-");
    add_roff(t, name);
    text_add(t, "\\fR");
    if (operand) {
        text_add(t, strncmp(operand, "[=", 2) == 0 ? "\\fI" : " \\fI");
        add_roff(t, operand);
        text_add(t, "\\fR");
    }
    text_add_char(t, '\n');
    add_roff(t, doc);
    text_add_char(t, '\n');
}

static void add_declared(struct text *t, const struct declare_type *type)
{
    struct declare_flag flag;

    for (size_t pos = 0; type && declare_next_flag(type, &pos, &flag);) {
        const struct declare_field *f = flag.path[flag.depth - 1];
        add_flag(t, f->flag, f->flag_letter,
                 declare_flag_has_value(&flag) ? declare_flag_operand(&flag) : NULL, f->doc);
    }
}

static void add_examples(struct text *t, const char *examples)
{
    if (!examples)
        return;
    text_add(t, ".PP\n.nf\n.RS\n");
    for (const char *p = examples; *p;) {
        size_t len = strcspn(p, "\n");
        _cleanup_text_ struct text line = { 0 };
        text_add_bytes(&line, p, len);
        add_roff(t, line.data);
        text_add_char(t, '\n');
        p += len + (p[len] == '\n');
    }
    text_add(t, ".RE\n.fi\n");
}

static void add_command(void *userdata, const struct command *c)
{
    struct text *t = userdata;
    const struct declare_endpoint *e = c->endpoint ? declare_endpoint(c->endpoint) : NULL;

    text_add(t, ".SS berth ");
    if (c->noun) {
        add_roff(t, c->noun);
        text_add_char(t, ' ');
    }
    add_roff(t, c->verb);
    if (c->operands) {
        text_add_char(t, ' ');
        add_roff(t, c->operands);
    }
    text_add_char(t, '\n');
    add_roff(t, c->summary);
    text_add(t, ".\n");
    for (const struct cli_flag *f = c->flags; f && f->name; f++)
        add_flag(t, f->name, f->letter, f->operand, f->doc);
    add_declared(t, e ? e->body : NULL);
    add_declared(t, e ? e->query : NULL);
    add_examples(t, c->examples);
}

/* As its help has it: the settings of the server, the flags of the rest. */
static void add_role(void *userdata, const struct cli_role *role)
{
    struct text *t = userdata;
    _cleanup_text_ struct text help = { 0 };

    text_add(t, ".SS berth ");
    add_roff(t, role->name);
    text_add_char(t, '\n');
    add_roff(t, role->summary);
    text_add(t, ".\n");
    if (!role->help)
        return;
    role->help(&help);
    add_examples(t, text_str(&help));
}

static int run(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_text_ struct text t = { 0 };

    (void) cli, (void) args, (void) err;
    text_add(
        &t,
        ".TH BERTH 1 \"\" \"Berth " BERTH_VERSION "\" \"User Commands\"\n"
        ".SH NAME\nberth \\- run training jobs on hardware of their own\n"
        ".SH SYNOPSIS\n.B berth\n.I COMMAND\n[\\fIARG\\fR] [\\fB\\-\\-flag\\fR]\n.br\n.B berth\n"
        ".I NOUN VERB\n[\\fIARG\\fR] [\\fB\\-\\-flag\\fR]\n"
        ".SH OPTIONS\nThese go with every command.\n");
    for (const struct cli_flag *f = cli_global_flags; f->name; f++)
        add_flag(&t, f->name, f->letter, f->operand, f->doc);
    text_add(&t, ".SH COMMANDS\n");
    command_each(add_command, &t);
    text_add(&t, ".SH ON THE MACHINE ITSELF\nThese need no server that answers.\n");
    roles_each(add_role, &t);
    text_add(
        &t,
        ".SH EXIT STATUS\n0 success, 1 failed, 2 usage, 3 not found, 4 denied, 5 no capacity or "
        "conflict.\n\\fBberth run\\fR gives the exit code of the job, or 125 when Berth itself "
        "failed.\n"
        ".SH ENVIRONMENT\n"
        ".TP\n\\fBBERTH_URL\\fR, \\fBBERTH_KEY\\fR, \\fBBERTH_PROJECT\\fR\n"
        "Where to talk to, instead of the current context.\n"
        ".TP\n\\fBNO_COLOR\\fR\nNo colours when set.\n"
        ".SH FILES\n.TP\n\\fI~/.config/berth/config.yaml\\fR\n"
        "Contexts: servers, keys and projects. Mode 0600.\n");
    print_text(&t);
    return CLI_OK;
}

const struct command command_man = {
    .verb = "man",
    .summary = "Print the manual page",
    .examples = "berth man | man -l -\nberth man > /usr/local/share/man/man1/berth.1",
    .offline = true,
    .run = run,
};
