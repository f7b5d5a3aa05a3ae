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

static const struct cli_flag update_flags[] = {
    { "untag", NULL, "KEY[,KEY]", "remove tags" },
    { NULL },
};

const struct cli_flag *generic_flags(const struct declare_endpoint *e)
{
    if (str_equal(e->method, "PATCH"))
        return update_flags;
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

/* RFC 7396: what is null goes. */
static void add_untags(const struct args *args)
{
    _cleanup_free_ char *keys = xstrdup(args_get(args, "untag"));
    json_t *tags = json_object_get(args->body, "tags");
    char *save = NULL;

    if (!keys)
        return;
    if (!tags) {
        tags = json_object();
        json_put(args->body, "tags", tags);
    }
    for (char *key = strtok_r(keys, ",", &save); key; key = strtok_r(NULL, ",", &save))
        (void) json_object_set_new(tags, key, json_null());
}

static int check_patch(const struct args *args, struct error *err)
{
    add_untags(args);
    if (json_object_size(args->body) == 0)
        return error_set(err, -EINVAL, "nothing to change; berth %s %s --help names what can",
                         args->command->noun, args->command->verb);
    return declare_check_patch(args->endpoint->body, args->body, err);
}

static int check_body(const struct args *args, struct error *err)
{
    const struct declare_endpoint *e = args->endpoint;

    if (!e->body)
        return 0;
    if (str_equal(e->method, "PATCH"))
        return check_patch(args, err);
    int r = fill_body(args, err);
    if (r < 0)
        return r;
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
    bool post = str_equal(e->method, "POST"), patch = str_equal(e->method, "PATCH");
    const struct remote_call call = {
        .method = e->method,
        .target = target,
        .body = e->body ? args->body : NULL,
        .content_type = patch ? "application/merge-patch+json" : NULL,
        .idempotency_key = post ? id_format(&id, key) : NULL,
        .if_match = patch ? "*" : NULL, /* a tag is set or removed, whatever else was changed */
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
