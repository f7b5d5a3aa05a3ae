/* spec.c - see spec.h */
#include "cli/spec.h"

#include "base/alloc.h"
#include "base/yaml.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPEC_BYTES_MAX (1 << 20)

static int read_file(const char *path, json_t **ret, struct error *err)
{
    _cleanup_text_ struct text bytes = { 0 };
    int r = file_read(AT_FDCWD, strcmp(path, "-") == 0 ? "/dev/stdin" : path, SPEC_BYTES_MAX,
                      &bytes, NULL);

    if (r < 0)
        return error_set(err, r == -ENOENT ? -EINVAL : r, "--file %s: %s", path, strerror(-r));
    r = yaml_parse(text_str(&bytes), bytes.len, ret, err);
    if (r < 0)
        return error_context(err, -EINVAL, "--file %s", path);
    if (!json_is_object(*ret)) {
        json_decref(*ret);
        *ret = NULL;
        return error_set(err, -EINVAL, "--file %s: not a mapping of fields", path);
    }
    return 0;
}

/* One argument with spaces is meant for the shell: berth run -- 'make && ./train'. */
static json_t *command_of(const struct args *args)
{
    const char *only = args_operand(args, 0);

    if (args->operands.len == 1 && strpbrk(only, " \t\n;|&<>$`"))
        return json_string(only);
    json_t *argv = json_array();
    vec_foreach(&args->operands, operand)
        json_array_append_new(argv, json_string(*operand));
    return argv;
}

/* git+URL[@REF]; the '@' of user@host comes before the path and is none of a ref. */
static json_t *git_of(const char *text)
{
    json_t *git = json_object();
    const char *at = strrchr(text, '@');
    const char *authority = strstr(text, "://");
    const char *path = authority ? strchr(authority + 3, '/') : strchr(text, ':');

    if (at && path && at > path) {
        _cleanup_free_ char *url = xstrndup(text, (size_t) (at - text));
        json_put_str(git, "url", url);
        json_put_str(git, "ref", at + 1);
    } else {
        json_put_str(git, "url", text);
    }
    return git;
}

static json_t *source_object(json_t *request)
{
    json_t *source = json_object_get(request, "source");

    if (!json_is_object(source)) {
        source = json_object();
        json_put(request, "source", source);
    }
    return source;
}

/* The whole of somebody's files is not a workspace, unless it is said in words. */
static int check_default(const char *directory, struct error *err)
{
    const char *home = getenv("HOME");
    char here[PATH_MAX], there[PATH_MAX];

    if (!realpath(directory, here))
        return error_set(err, -errno, "the current directory: %s", strerror(errno));
    bool is_home = home && realpath(home, there) && strcmp(here, there) == 0;
    if (!is_home && strcmp(here, "/") != 0)
        return 0;
    return error_set(err, -EINVAL,
                     "%s would be sent whole: choose --source none, or --source DIR "
                     "(--source . if you mean it)",
                     here);
}

static int choose_source(const char *typed, json_t *request, struct source *ret, struct error *err)
{
    const json_t *source = json_object_get(request, "source");
    bool said = json_object_get(source, "git") || json_object_get(source, "workspace");

    ret->chosen = typed != NULL;
    if (typed && strcmp(typed, "none") == 0) {
        ret->sort = FROM_NOTHING;
        json_object_del(request, "source");
    } else if (typed && str_starts(typed, "git+")) {
        ret->sort = FROM_GIT;
        json_put(source_object(request), "git", git_of(typed + 4));
    } else if (!typed && said) {
        ret->sort = FROM_SPEC;
    } else {
        if (typed && strstr(typed, "://"))
            return error_set(err, -EINVAL, "--source %s: a repository is named git+%s", typed,
                             typed);
        ret->sort = FROM_DIRECTORY;
        ret->directory = xstrdup(typed ? typed : ".");
        return typed ? 0 : check_default(".", err);
    }
    return 0;
}

static int check(const json_t *request, struct error *err)
{
    _cleanup_json_ json_t *copy = json_deep_copy(request);
    int r;

    bool host = str_equal(json_get_str(request, "image", "host"), "host");

    if (!json_object_get(request, "command") && !json_object_get(request, "roles") && host)
        return error_set(err, -EINVAL, "what shall run? berth run [flags] -- COMMAND [ARG]...");
    r = declare_check(declare_type("job_request"), copy, err);
    return r;
}

static bool ends_in_dash(const struct text *t) { return t->len > 0 && t->data[t->len - 1] == '-'; }

/* TEXT in letters that a reference has. */
static void add_plain(struct text *out, const char *text)
{
    for (; *text; text++) {
        char c = *text >= 'A' && *text <= 'Z' ? (char) (*text - 'A' + 'a') : *text;
        if (strchr("abcdefghijklmnopqrstuvwxyz0123456789", c))
            text_add_bytes(out, &c, 1);
        else if (out->len > 0 && !ends_in_dash(out))
            text_add(out, "-");
    }
    if (ends_in_dash(out))
        out->len--;
}

/* What is built in DIR is kept by the directory's own name. */
static int name_image(const char *dir, json_t *request, struct error *err)
{
    _cleanup_free_ char *path = realpath(dir, NULL);
    _cleanup_text_ struct text name = { 0 };

    if (json_object_get(request, "image"))
        return error_set(err, -EINVAL, "say either --image or --dockerfile");
    if (!path)
        return error_set(err, -EINVAL, "--dockerfile %s: %s", dir, strerror(errno));
    add_plain(&name, strrchr(path, '/') + 1);
    json_put(request, "image",
             json_sprintf("localhost/%s:run", name.len > 0 ? text_str(&name) : "workspace"));
    return 0;
}

int spec_build(const struct args *args, json_t **ret, struct source *ret_source, struct error *err)
{
    _cleanup_json_ json_t *request = NULL;
    struct source source = { 0 };
    const char *file = args_get(args, "file");
    int r = file ? read_file(file, &request, err) : 0;

    if (r < 0)
        return r;
    if (!request)
        request = json_object();
    json_object_update_recursive(request, args->body);
    if (args->operands.len)
        json_put(request, "command", command_of(args));
    if (args_has(args, "dockerfile"))
        r = name_image(args_get(args, "dockerfile"), request, err);
    if (r == 0)
        r = choose_source(args_get(args, "source"), request, &source, err);
    if (r == 0)
        r = check(request, err);
    if (r < 0) {
        source_done(&source);
        return r;
    }
    *ret = take_ptr(request);
    *ret_source = source;
    return 0;
}

void source_done(struct source *source)
{
    free(source->directory);
    *source = (struct source){ 0 };
}

void spec_set_workspace(json_t *request, const struct pack *pack)
{
    json_t *source = source_object(request);

    json_put_str(source, "workspace", pack->digest);
    if (!pack->commit)
        return;
    json_put_str(source, "commit", pack->commit);
    if (!pack->dirty)
        return;
    json_t *tags = json_object_get(request, "tags");
    if (!tags) {
        tags = json_object();
        json_put(request, "tags", tags);
    }
    json_put_str(tags, "git-dirty", "yes");
}
