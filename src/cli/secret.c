/* secret.c - berth secret set: the value comes on stdin, never as an argument */
#include "cli/commands.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VALUE_BYTES_MAX 65536

static const struct cli_flag flags[] = {
    { "from-file", NULL, "FILE", "the value is what FILE holds; stdin when left out" },
    { NULL },
};

/* From a terminal or a pipe one final newline is not part of the value. */
static int read_value(const char *file, struct text *ret, struct error *err)
{
    int r = file_read(AT_FDCWD, file ? file : "/dev/stdin", VALUE_BYTES_MAX, ret, NULL);

    if (r == -EFBIG)
        return error_set(err, -EINVAL, "a secret has at most %d bytes", VALUE_BYTES_MAX);
    if (r < 0)
        return error_set(err, r == -ENOENT ? -EINVAL : r, "reading the value: %s", strerror(-r));
    if (!file && ret->len && ret->data[ret->len - 1] == '\n')
        ret->data[--ret->len] = '\0';
    if (!utf8_is_valid(text_str(ret), ret->len) || strlen(text_str(ret)) != ret->len)
        return error_set(err, -EINVAL, "a secret is text in UTF-8");
    return 0;
}

static int run(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_free_ char *target = project_path(cli, "secrets", args_operand(args, 0), NULL);
    _cleanup_text_ struct text value = { 0 };
    _cleanup_json_ json_t *answer = NULL;
    const char *file = args_get(args, "from-file");

    if (!file && isatty(0))
        print_note(cli, "the value, then Ctrl-D:");
    int r = read_value(file, &value, err);
    if (r < 0)
        return r;
    json_put_str(args->body, "value", text_str(&value));
    r = declare_check(args->endpoint->body, args->body, err);
    const struct remote_call call = { .method = "PUT", .target = target, .body = args->body };
    if (r >= 0)
        r = remote_call(cli, &call, &answer, err);
    if (value.data)
        explicit_bzero(value.data, value.len);
    if (r < 0)
        return r;
    if (cli->output_given)
        print_answer(cli, "secret", answer);
    else
        print_note(cli, "use it as berth run -e NAME=secret:%s", args_operand(args, 0));
    return CLI_OK;
}

const struct command command_secret_set = {
    .noun = "secret",
    .verb = "set",
    .operands = "NAME",
    .summary = "Keep a value that jobs may use and nobody can read back; it comes on stdin",
    .examples = "berth secret set HF_TOKEN < token\n"
                "pass show hf | berth secret set HF_TOKEN\n"
                "berth run -e HF_TOKEN=secret:HF_TOKEN -- python3 fetch.py",
    .flags = flags,
    .endpoint = "secret.set",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
