#include "cli/internal.h"
#include "cli/spec.h"
#include "tests/tap.h"

#include <errno.h>

struct parsed {
    struct cli cli;
    struct args args;
    struct error err;
    int r;
};

/* LINE is what follows `berth`; words are parted by spaces. */
static struct parsed parse(const char *line)
{
    struct parsed p = { 0 };
    static char copy[500];
    char *words[40], *save = NULL;
    int n = 0;

    (void) snprintf(copy, sizeof copy, "%s", line);
    for (char *w = strtok_r(copy, " ", &save); w && n < 40; w = strtok_r(NULL, " ", &save))
        words[n++] = w;
    const struct command *c = command_find(NULL, words[0]);
    int skip = 1;
    if (!c) {
        c = command_find(words[0], words[1]);
        skip = 2;
    }
    p.r = args_parse(&p.cli, c, n - skip, words + skip, &p.args, &p.err);
    return p;
}

static void done(struct parsed *p)
{
    if (p->r == 0)
        args_done(&p->args);
    cli_done(&p->cli);
}

#define _cleanup_parsed_ _cleanup_(done)

TEST(run_takes_declared_flags_and_a_command)
{
    _cleanup_parsed_ struct parsed p =
        parse("run --flavor cpu.1 -e A=1 --env B=2 --memory=1Gi -- python3 -u x.py --lr 3");

    ok(p.r == 0 && p.args.operands.len == 5);
    _cleanup_free_ char *body = json_canonical(p.args.body);
    is_str(body, "{\"env\":{\"A\":\"1\",\"B\":\"2\"},\"flavor\":\"cpu.1\",\"memory\":\"1Gi\"}");
}

TEST(flags_after_the_command_are_the_commands)
{
    _cleanup_parsed_ struct parsed p = parse("run -n x python3 --flavor y");

    ok(p.r == 0 && p.args.operands.len == 3);
    is_str(p.args.operands.items[1], "--flavor");
}

TEST(wrong_flag_names_the_right_one)
{
    _cleanup_parsed_ struct parsed p = parse("run --flavour x -- ls");

    ok(p.r == -EINVAL);
    is_str(p.err.text, "unknown flag --flavour; did you mean --flavor?");
}

TEST(missing_value_is_named)
{
    _cleanup_parsed_ struct parsed p = parse("run --flavor");

    ok(p.r == -EINVAL);
    is_str(p.err.text, "flag --flavor needs a value: --flavor NAME");
}

TEST(too_many_and_too_few_operands)
{
    _cleanup_parsed_ struct parsed p = parse("why");
    _cleanup_parsed_ struct parsed q = parse("why a b");

    ok(p.r == -EINVAL && q.r == -EINVAL);
    is_str(p.err.text, "berth why needs JOB");
    is_str(q.err.text, "berth why takes JOB, not also 'b'");
}

TEST(output_format)
{
    _cleanup_parsed_ struct parsed p = parse("ps -ojson --all");
    _cleanup_parsed_ struct parsed q = parse("ps -o xml");

    ok(p.r == 0 && p.cli.output == OUTPUT_JSON && args_has(&p.args, "all"));
    is_str(q.err.text, "-o is table, json, yaml or name, not 'xml'");
}

TEST(commands_of_endpoints)
{
    const struct command *c = command_find("key", "create");

    ok(c && c->operands_min == 1);
    is_str(c->operands, "NAME");
    ok(command_find("flavor", "list") && command_find("job", "show"));
    ok(!command_find("upload", "blob") && !command_find("job", "plan"));
    ok(command_is_noun("job") && !command_is_noun("run"));
}

static struct error spec_error(const char *line)
{
    _cleanup_parsed_ struct parsed p = parse(line);
    _cleanup_json_ json_t *request = NULL;
    struct source source = { 0 };
    struct error err = { 0 };

    ok(p.r == 0 && spec_build(&p.args, &request, &source, &err) < 0);
    return err;
}

TEST(wrong_values_name_field_and_value)
{
    struct error err = spec_error("run --source none --cpus 0 -- ls");

    ok(strstr(err.text, "cpus") && strstr(err.text, "0"));
    err = spec_error("run --source none --memory lots -- ls");
    ok(strstr(err.text, "memory") && strstr(err.text, "lots"));
    err = spec_error("run --source none");
    is_str(err.text, "what shall run? berth run [flags] -- COMMAND [ARG]...");
    err = spec_error("run --source https://example.org/x.git -- ls");
    ok(strstr(err.text, "git+https://example.org/x.git") != NULL);
}

static void spec(const char *line, const char *expected)
{
    _cleanup_parsed_ struct parsed p = parse(line);
    _cleanup_json_ json_t *request = NULL;
    struct source source = { 0 };
    struct error err = { 0 };

    ok(p.r == 0);
    if (spec_build(&p.args, &request, &source, &err) < 0) {
        is_str(err.text, "");
        return;
    }
    _cleanup_free_ char *text = json_canonical(request);
    is_str(text, expected);
    source_done(&source);
}

TEST(git_sources)
{
    spec(
        "run --source git+https://example.org/x.git@v2 -- ls",
        "{\"command\":[\"ls\"],\"source\":{\"git\":{\"ref\":\"v2\",\"url\":\"https://example.org/x.git\"}}}");
    spec("run --source git+ssh://git@example.org/x.git -- ls",
         "{\"command\":[\"ls\"],\"source\":{\"git\":{\"url\":\"ssh://git@example.org/x.git\"}}}");
    spec(
        "run --git https://example.org/x.git --ref main -- ls",
        "{\"command\":[\"ls\"],\"source\":{\"git\":{\"ref\":\"main\",\"url\":\"https://example.org/x.git\"}}}");
}

TEST(one_argument_with_spaces_is_for_the_shell)
{
    _cleanup_parsed_ struct parsed p = parse("run --source none -- x");
    _cleanup_json_ json_t *request = NULL;
    struct source source = { 0 };

    ok(p.r == 0);
    xstr_set(&p.args.operands.items[0], "make && ./train");
    ok(spec_build(&p.args, &request, &source, NULL) == 0);
    is_str(json_get_str(request, "command", ""), "make && ./train");
}

TEST(exit_codes)
{
    ok(exit_code_of(-EINVAL) == 2 && exit_code_of(-ENOENT) == 3 && exit_code_of(-EACCES) == 4);
    ok(exit_code_of(-EEXIST) == 5 && exit_code_of(-ENOSPC) == 5 &&
       exit_code_of(-ECONNREFUSED) == 1);
}

TEST(nearest_words)
{
    static const char *const words[] = { "job", "list", "show" };

    is_str(nearest_word("jbo", words, 3), "job");
    is_str(nearest_word("lisd", words, 3), "list");
    ok(nearest_word("xyzzy", words, 3) == NULL);
}

TAP_MAIN
