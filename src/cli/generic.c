/* generic.c - a command that is one endpoint: operands are its path, flags its query and body */
#include "cli/commands.h"

#include "base/alloc.h"
#include "os/clock.h"

#include <errno.h>
#include <string.h>

#define PAGES_MAX 1000

static const struct cli_flag list_flags[] = {
    { "all", "a", NULL, "every page, not only the first" },
    { NULL },
};

const struct cli_flag *generic_flags(const struct declare_endpoint *e)
{
    return e->query && declare_field(e->query, "cursor") ? list_flags : NULL;
}

bool generic_is_operand(const struct declare_field *field)
{
    return field->required && !field->flag;
}

/* The operands after those of the path. */
static int fill_body(const struct args *args, struct error *err)
{
    const struct declare_endpoint *e = args->endpoint;
    size_t next = args->operands.len;
    int r = 0;

    for (size_t i = 0; i < e->body->n_fields; i++)
        next -= generic_is_operand(&e->body->fields[i]);
    for (size_t i = 0; i < e->body->n_fields && r == 0; i++) {
        const struct declare_field *field = &e->body->fields[i];
        json_t *value = NULL;
        if (!generic_is_operand(field))
            continue;
        r = declare_value_of(field->type, args_operand(args, next++), &value, err);
        json_put(args->body, field->name, value);
    }
    return r;
}

static int check_body(const struct args *args, struct error *err)
{
    const struct declare_endpoint *e = args->endpoint;

    if (!e->body)
        return 0;
    int r = fill_body(args, err);
    if (r < 0)
        return r;
    if (str_equal(e->method, "PATCH"))
        return declare_check_patch(e->body, args->body, err);
    return declare_check(e->body, args->body, err);
}

static int call_once(struct cli *cli, const struct args *args, json_t **ret, struct error *err)
{
    const struct declare_endpoint *e = args->endpoint;
    _cleanup_free_ char *target = NULL;
    char key[ID_TEXT_LEN + 1];
    struct id id = id_new();

    int r = endpoint_target(cli, e, args, &target, err);
    if (r < 0)
        return r;
    bool post = str_equal(e->method, "POST");
    const struct remote_call call = {
        .method = e->method,
        .target = target,
        .body = e->body ? args->body : NULL,
        .idempotency_key = post ? id_format(&id, key) : NULL,
    };
    return remote_call(cli, &call, ret, err);
}

/* Follow "next" and put all items into the first answer. */
static int call_all(struct cli *cli, const struct args *args, json_t **ret, struct error *err)
{
    _cleanup_json_ json_t *whole = NULL;
    int r = call_once(cli, args, &whole, err);

    for (int page = 0; r == 0 && page < PAGES_MAX; page++) {
        const char *next = json_get_str(whole, "next", NULL);
        _cleanup_json_ json_t *more = NULL;
        if (!next)
            break;
        json_put_str(args->query, "cursor", next);
        r = call_once(cli, args, &more, err);
        if (r < 0)
            break;
        json_array_extend(json_object_get(whole, "items"), json_object_get(more, "items"));
        json_object_set(whole, "next", json_object_get(more, "next"));
        if (!json_get_str(more, "next", NULL))
            json_object_del(whole, "next");
    }
    if (r < 0)
        return r;
    *ret = take_ptr(whole);
    return 0;
}

/* What the answer is made of: "attempt_list" of attempts. */
static char *noun_of(const struct args *args)
{
    const struct declare_type *type = args->endpoint->response;
    const char *name = type && type->name ? type->name : args->command->noun;
    size_t len = strlen(name);

    return xstrndup(name, str_ends(name, "_list") ? len - strlen("_list") : len);
}

int generic_run(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_json_ json_t *answer = NULL;
    int r = check_body(args, err);

    if (r < 0)
        return r;
    if (cli->dry_run && json_object_size(args->body))
        print_json(cli, args->body); /* of what remote_call() holds back */
    r = args_has(args, "all") ? call_all(cli, args, &answer, err)
                              : call_once(cli, args, &answer, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *noun = noun_of(args);
    print_answer(cli, noun, answer);
    return CLI_OK;
}
