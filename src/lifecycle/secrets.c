/* secrets.c - sealed values: opened only for the supervisor of an attempt that names them */
#include "lifecycle/internal.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { SECRET_NAME_MAX = 63, SECRET_VALUE_MAX = 65536 };

struct secret *secret_find(const struct lifecycle *lc, const struct id *project, const char *name)
{
    vec_foreach(&lc->secrets, secret)
        if (id_equal(&(*secret)->project, project) && str_equal((*secret)->name, name))
            return *secret;
    return NULL;
}

bool spec_has_secrets(const struct workload_spec *spec)
{
    for (size_t i = 0; i < spec->n_env; i++)
        if (spec->env[i].secret)
            return true;
    return false;
}

static int check_secret(const struct lifecycle *lc, const struct new_secret *new, struct error *err)
{
    const char *name = new->name;
    bool is_name = isalpha((unsigned char) *name) || *name == '_';

    for (const char *p = name; *p && is_name; p++)
        is_name = isalnum((unsigned char) *p) || *p == '_';
    if (!is_name || strlen(name) > SECRET_NAME_MAX)
        return error_set(err, -EINVAL,
                         "name: must be 1 to %d letters, digits and '_', not a digit first",
                         SECRET_NAME_MAX);
    if (strlen(new->value) > SECRET_VALUE_MAX)
        return error_set(err, -EINVAL, "value: is longer than %d bytes", SECRET_VALUE_MAX);
    if (!project_get(lc, &new->project))
        return error_set(err, -ENOENT, "there is no such project");
    return tags_check(new->tags, err);
}

/* TAGS, NULL: they stay as they were. */
static struct commit *begin(struct lifecycle *lc, const struct secret *secret, const char *type,
                            const char *actor, const json_t *tags)
{
    struct commit *c = commit_new(lc, NULL);
    struct event *event = xnew(struct event);
    json_t *data = secret_to_json(secret);

    if (tags) {
        json_put(data, "tags", json_deep_copy(tags));
        tags_put(c, &secret->id, tags);
    }
    event->subject_kind = "secret";
    event->subject = secret->id;
    event->project = secret->project;
    event->type = type;
    commit_event(c, event, actor, data);
    store_add_event(c->batch, event);
    return c;
}

int secret_keep(struct lifecycle *lc, const struct new_secret *new, lifecycle_ok_f done,
                void *userdata, struct error *err)
{
    uint8_t *sealed = NULL;
    size_t sealed_len = 0;

    int r = lc->sources.seal(lc->sources.userdata, new->value, &sealed, &sealed_len);
    if (r < 0)
        return error_set(err, r, "the secret could not be sealed: %s", strerror(-r));

    struct secret *secret = secret_find(lc, &new->project, new->name);
    if (!secret) {
        secret = xnew(struct secret);
        secret->id = lc_new_id(lc);
        secret->project = new->project;
        secret->name = xstrdup(new->name);
        secret->created_us = lc_now(lc);
        vec_push(&lc->secrets, secret);
    }
    free(secret->sealed);
    secret->sealed = sealed;
    secret->sealed_len = sealed_len;
    secret->updated_us = lc_now(lc);
    struct commit *c = begin(lc, secret, "secret.set", new->actor, new->tags);
    c->ok = done;
    c->userdata = userdata;
    store_put_secret(c->batch, secret);
    commit_send(c);
    return 0;
}

int lifecycle_set_secret(struct lifecycle *lc, const struct new_secret *new, lifecycle_ok_f done,
                         void *userdata, struct error *err)
{
    int r = check_secret(lc, new, err);

    return r < 0 ? r : secret_keep(lc, new, done, userdata, err);
}

int lifecycle_delete_secret(struct lifecycle *lc, const struct id *project, const char *name,
                            const char *actor, lifecycle_ok_f done, void *userdata,
                            struct error *err)
{
    struct secret *secret = secret_find(lc, project, name);

    if (!secret)
        return error_set(err, -ENOENT, "there is no secret '%s'", name);
    struct commit *c = begin(lc, secret, "secret.deleted", actor, NULL);
    c->ok = done;
    c->userdata = userdata;
    store_delete_secret(c->batch, &secret->id);
    tags_forget(c, &secret->id);
    commit_send(c);
    for (size_t i = 0; i < lc->secrets.len; i++)
        if (lc->secrets.items[i] == secret) {
            vec_remove(&lc->secrets, i);
            break;
        }
    secret_free(secret);
    return 0;
}

void lifecycle_secrets(struct lifecycle *lc, const struct id *project,
                       const struct secret *const **ret, size_t *ret_n)
{
    lc->secret_list.len = 0;
    vec_foreach(&lc->secrets, secret)
        if (id_equal(&(*secret)->project, project) && (*secret)->name[0] != '@')
            vec_push(&lc->secret_list, *secret);
    *ret = lc->secret_list.items;
    *ret_n = lc->secret_list.len;
}

static int add_secret(struct lifecycle *lc, const struct id *project, const char *name,
                      json_t *values, struct error *err)
{
    const struct secret *secret = *name == '@' ? NULL : secret_find(lc, project, name);
    char *value = NULL;

    if (!secret)
        return error_set(err, -ENOENT, "the project has no secret '%s' any more", name);
    int r = lc->sources.unseal(lc->sources.userdata, secret, &value);
    if (r < 0)
        return error_set(err, r, "secret '%s' cannot be opened: it was sealed under another key",
                         name);
    json_put_str(values, name, value);
    explicit_bzero(value, strlen(value));
    free(value);
    return 0;
}

int lifecycle_task_secrets(struct lifecycle *lc, const struct id *id, const char *token,
                           json_t **ret, struct error *err)
{
    _cleanup_json_ json_t *values = json_object();
    struct lifecycle_task task;

    int r = lifecycle_task_open(lc, id, token, &task, err);
    for (size_t i = 0; r >= 0 && i < task.spec->n_env; i++)
        if (task.spec->env[i].secret)
            r = add_secret(lc, &task.project, task.spec->env[i].value, values, err);
    if (r < 0)
        return r;
    *ret = take_ptr(values);
    return 0;
}
