/* main.c - from argv to a command, from its error to an exit code */
#include "cli/cli.h"
#include "cli/internal.h"
#include "cli/roles.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int fail(const struct cli *cli, int code, const struct error *err)
{
    print_error(cli, err->text[0] ? err->text : strerror(-code));
    return exit_code_of(code);
}

static void print_help(const struct cli *cli, const struct command *command, const char *noun)
{
    _cleanup_text_ struct text out = { 0 };

    if (command)
        help_command(cli, command, &out);
    else if (noun)
        help_noun(cli, noun, &out);
    else
        help_all(cli, &out);
    print_text(&out);
}

struct words {
    const char *noun; /* of the verbs that are looked for; NULL: first words */
    VEC(const char *) list;
};

static void add_word(void *userdata, const struct command *c)
{
    struct words *w = userdata;
    const char *word =
        w->noun ? (str_equal(c->noun, w->noun) ? c->verb : NULL) : (c->noun ? c->noun : c->verb);

    if (word)
        vec_push(&w->list, word);
}

static void add_role(void *userdata, const struct cli_role *role)
{
    struct words *w = userdata;

    vec_push(&w->list, role->name);
}

static int unknown(const char *noun, const char *typed, struct error *err)
{
    struct words words = { .noun = noun };
    int r;

    command_each(add_word, &words);
    if (!noun)
        roles_each(add_role, &words);
    const char *near = nearest_word(typed, words.list.items, words.list.len);
    const char *first = noun ? noun : "", *space = noun ? " " : "";
    if (near)
        r = error_set(err, -EINVAL, "unknown command '%s%s%.60s'; did you mean berth %s%s%s?",
                      first, space, typed, first, space, near);
    else
        r = error_set(err, -EINVAL, "unknown command '%s%s%.60s'; see berth %s%s--help", first,
                      space, typed, first, space);
    vec_done(&words.list);
    return r;
}

static int run(struct cli *cli, const struct command *command, int argc, char **argv,
               struct error *err)
{
    struct args args;
    int r = args_parse(cli, command, argc, argv, &args, err);

    if (r < 0)
        return r;
    if (cli->help)
        print_help(cli, command, NULL);
    else if (command->offline || (r = cli_resolve(cli, err)) == 0)
        r = command->run(cli, &args, err);
    if (r == -ECANCELED && cli->dry_run)
        r = CLI_OK; /* as far as it goes without a change */
    args_done(&args);
    return r;
}

static bool is_help(const char *word)
{
    return str_equal(word, "--help") || str_equal(word, "-h") || str_equal(word, "help");
}

/* ARGV begins with the first word. */
static int dispatch(struct cli *cli, int argc, char **argv, struct error *err)
{
    if (argc == 0 || (is_help(argv[0]) && argc == 1)) {
        print_help(cli, NULL, NULL);
        return CLI_OK;
    }
    if (is_help(argv[0])) { /* berth help job list */
        argv++;
        argc--;
        cli->help = true;
    }
    int words = 0;
    const struct cli_role *role = role_match(argc, argv, &words);
    if (role && role->help) {
        _cleanup_text_ struct text out = { 0 };
        role->help(&out);
        print_text(&out);
        return CLI_OK;
    }
    const struct command *command = command_find(NULL, argv[0]);
    if (command)
        return run(cli, command, argc - 1, argv + 1, err);
    if (!command_is_noun(argv[0]) && !role_is_noun(argv[0]))
        return unknown(NULL, argv[0], err);
    if (argc == 1 || is_help(argv[1])) {
        print_help(cli, NULL, argv[0]);
        return argc == 1 && !cli->help ? CLI_USAGE : CLI_OK;
    }
    command = command_find(argv[0], argv[1]);
    if (!command)
        return unknown(argv[0], argv[1], err);
    return run(cli, command, argc - 2, argv + 2, err);
}

int cli_main(int argc, char **argv, const struct cli_role *roles)
{
    roles_set(roles);
    int words = 0;
    const struct cli_role *role = role_match(argc - 1, argv + 1, &words);
    if (role)
        return role->run(argc - words, argv + words);

    struct cli cli = { .out = term_of(1), .err = term_of(2) };
    struct error err = { 0 };

    int r = dispatch(&cli, argc - 1, argv + 1, &err);
    /* What nobody got is no success. */
    if (r == CLI_OK && (fflush(stdout) != 0 || ferror(stdout)))
        r = error_set(&err, -EIO, "the output could not be written whole");
    int code = r < 0 ? fail(&cli, r, &err) : r;
    cli_done(&cli);
    return code;
}

int cli_fetch(const char *target, json_t **ret, char **ret_project, struct error *err)
{
    struct cli cli = { .out = term_of(1), .err = term_of(2) };
    int r = cli_resolve(&cli, err);

    if (r >= 0)
        r = remote_get(&cli, target, ret, err);
    if (r >= 0)
        *ret_project = xstrdup(cli.project);
    cli_done(&cli);
    return r;
}
