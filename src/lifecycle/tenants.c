/* tenants.c - orgs, projects and keys: few, so they live in memory whole */
#include "lifecycle/internal.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* An event about a tenant's thing; the store gets the row beside it. */
static void note(struct commit *c, const struct event *what, const char *actor, json_t *data)
{
    struct event *event = xmemdup(what, sizeof *what);

    commit_event(c, event, actor, data);
    store_add_event(c->batch, event);
}

/* About something new, with its tags. */
static void note_new(struct commit *c, const struct event *what, const struct new_tenant *new,
                     json_t *data)
{
    if (json_object_size(new->tags)) {
        json_put(data, "tags", json_deep_copy(new->tags));
        tags_put(c, &what->subject, new->tags);
    }
    note(c, what, new->actor, data);
}

static int check_tenant(const struct new_tenant *new, struct error *err)
{
    int r = name_check("name", new->name, err);

    return r < 0 ? r : tags_check(new->tags, err);
}

static void add_project(struct lifecycle *lc, struct project *project)
{
    vec_push(&lc->projects, project);
    map_set_str(lc->projects_by_name, project->name, project);
    map_set(lc->projects_by_id, project->id.bytes, sizeof project->id.bytes, project);
}

static void add_key(struct lifecycle *lc, struct key *key)
{
    vec_push(&lc->keys, key);
    map_set(lc->keys_by_hash, key->hash.bytes, sizeof key->hash.bytes, key);
}

void tenants_take(struct lifecycle *lc, struct store_state *state)
{
    lc->projects_by_name = map_new();
    lc->projects_by_id = map_new();
    lc->keys_by_hash = map_new();
    vec_foreach(&state->orgs, org)
        vec_push(&lc->orgs, *org);
    vec_foreach(&state->projects, project)
        add_project(lc, *project);
    vec_foreach(&state->keys, key)
        add_key(lc, *key);
    vec_foreach(&state->secrets, secret)
        vec_push(&lc->secrets, *secret);
    vec_done(&state->orgs);
    vec_done(&state->projects);
    vec_done(&state->keys);
    vec_done(&state->secrets);
    lc->next_range = state->next_range;
}

void tenants_done(struct lifecycle *lc)
{
    vec_foreach(&lc->orgs, org)
        org_free(*org);
    vec_foreach(&lc->projects, project)
        project_free(*project);
    vec_foreach(&lc->keys, key)
        key_free(*key);
    vec_foreach(&lc->secrets, secret)
        secret_free(*secret);
    vec_done(&lc->orgs);
    vec_done(&lc->projects);
    vec_done(&lc->keys);
    vec_done(&lc->secrets);
    vec_done(&lc->secret_list);
    tags_done(lc);
    map_free(lc->projects_by_name);
    map_free(lc->projects_by_id);
    map_free(lc->keys_by_hash);
}

const struct project *project_get(const struct lifecycle *lc, const struct id *id)
{
    return map_get(lc->projects_by_id, id->bytes, sizeof id->bytes);
}

const struct project *lifecycle_project(struct lifecycle *lc, const char *name_or_id)
{
    struct id id;

    if (id_parse(name_or_id, &id) == 0)
        return project_get(lc, &id);
    return map_get_str(lc->projects_by_name, name_or_id);
}

const struct key *lifecycle_key(struct lifecycle *lc, const struct sha256 *hash)
{
    const struct key *key = map_get(lc->keys_by_hash, hash->bytes, sizeof hash->bytes);

    return key && (key->expires_us == 0 || key->expires_us > lc_now(lc)) ? key : NULL;
}

void lifecycle_projects(struct lifecycle *lc, const struct project *const **ret, size_t *ret_n)
{
    *ret = (const struct project *const *) lc->projects.items;
    *ret_n = lc->projects.len;
}

void lifecycle_orgs(struct lifecycle *lc, const struct org *const **ret, size_t *ret_n)
{
    *ret = (const struct org *const *) lc->orgs.items;
    *ret_n = lc->orgs.len;
}

void lifecycle_keys(struct lifecycle *lc, const struct key *const **ret, size_t *ret_n)
{
    *ret = (const struct key *const *) lc->keys.items;
    *ret_n = lc->keys.len;
}

int lifecycle_create_org(struct lifecycle *lc, const struct new_tenant *new, lifecycle_ok_f done,
                         void *userdata, struct id *ret, struct error *err)
{
    const char *name = new->name;
    int r = check_tenant(new, err);

    if (r < 0)
        return r;
    vec_foreach(&lc->orgs, other)
        if (str_equal((*other)->name, name))
            return error_set(err, -EEXIST, "name: there is an org '%s' already", name);

    struct org *org = xnew(struct org);
    org->id = lc_new_id(lc);
    org->name = xstrdup(name);
    org->weight = 1;
    org->created_us = lc_now(lc);
    vec_push(&lc->orgs, org);

    struct commit *c = commit_new(lc, NULL);
    c->ok = done;
    c->userdata = userdata;
    struct event what = { .subject_kind = "org", .subject = org->id, .type = "org.created" };
    note_new(c, &what, new, org_to_json(org));
    store_put_org(c->batch, org);
    commit_send(c);
    *ret = org->id;
    return 0;
}

/* By name or id, NULL: the first. */
static const struct org *find_org(const struct lifecycle *lc, const char *name)
{
    char id[ID_TEXT_LEN + 1];

    vec_foreach(&lc->orgs, org)
        if (!name || str_equal(name, (*org)->name) || str_equal(name, id_format(&(*org)->id, id)))
            return *org;
    return NULL;
}

int lifecycle_create_project(struct lifecycle *lc, const struct new_tenant *new,
                             lifecycle_ok_f done, void *userdata, struct id *ret, struct error *err)
{
    const struct org *org = find_org(lc, new->org);
    const char *name = new->name;
    int r = check_tenant(new, err);

    if (r < 0)
        return r;
    if (map_get_str(lc->projects_by_name, name))
        return error_set(err, -EEXIST, "name: there is a project '%s' already", name);
    if (lc->orgs.len == 0)
        return error_set(err, -ENOENT, "there is no org yet; make one first");
    if (!org)
        return error_set(err, -ENOENT, "org: there is no org '%.60s'; berth org list names them",
                         new->org);

    struct project *project = xnew(struct project);
    project->id = lc_new_id(lc);
    project->org = org->id;
    project->name = xstrdup(name);
    project->weight = 1;
    project->range = lc->next_range++;
    project->created_us = lc_now(lc);
    add_project(lc, project);

    struct commit *c = commit_new(lc, NULL);
    json_t *data = project_to_json(project);
    json_put_int(data, "range", project->range);
    c->ok = done;
    c->userdata = userdata;
    struct event what = {
        .subject_kind = "project",
        .subject = project->id,
        .project = project->id,
        .type = "project.created",
    };
    note_new(c, &what, new, data);
    store_put_project(c->batch, project);
    commit_send(c);
    *ret = project->id;
    return 0;
}

static int merge_tags(const struct lifecycle *lc, const struct project_change *change, json_t **ret,
                      struct error *err)
{
    const json_t *present = map_get(lc->tags, change->project.bytes, sizeof change->project.bytes);

    return change->tags ? tags_merge(present, change->tags, ret, err) : 0;
}

static void set_account(struct project *project, const char *account, json_t *data)
{
    xstr_set(&project->account, account[0] ? account : NULL);
    json_put_str(data, "account", account);
}

/* What orgs and projects can both be given: TAGS (stolen, NULL: none), a WEIGHT (0: none), which OLD becomes. */
static void put_standing(struct commit *c, const struct id *subject, json_t *tags, unsigned weight,
                         unsigned *old, json_t *data)
{
    struct lifecycle *lc = c->lc;

    if (tags) {
        tags_put(c, subject, tags);
        json_put(data, "tags", tags);
    }
    if (!weight)
        return;
    json_put_int(data, "weight", *old = weight);
    lc->changes++;
    lc_want_pass(lc);
}

int lifecycle_update_project(struct lifecycle *lc, const struct project_change *change,
                             lifecycle_ok_f done, void *userdata, struct error *err)
{
    struct project *project =
        map_get(lc->projects_by_id, change->project.bytes, sizeof change->project.bytes);
    const char *account = change->account;
    json_t *tags = NULL;
    int r = account && account[0] ? slurm_account_check("account", account, err) : 0;

    if (r >= 0)
        r = merge_tags(lc, change, &tags, err);
    if (r < 0)
        return r;
    struct commit *c = commit_new(lc, NULL);
    json_t *data = json_object();
    c->ok = done;
    c->userdata = userdata;
    put_standing(c, &project->id, tags, change->weight, &project->weight, data);
    if (account)
        set_account(project, account, data);
    if (change->weight)
        planner_weigh(lc->planner, &project->org, &project->id, project->weight);
    if (account || change->weight)
        store_put_project(c->batch, project);
    struct event what = { .subject_kind = "project",
                          .subject = project->id,
                          .project = project->id,
                          .type = "project.updated" };
    note(c, &what, change->actor, data);
    commit_send(c);
    return 0;
}

int lifecycle_update_org(struct lifecycle *lc, const struct org_change *change, lifecycle_ok_f done,
                         void *userdata, struct error *err)
{
    struct org *org = NULL;
    json_t *tags = NULL;

    vec_foreach(&lc->orgs, one)
        if (id_equal(&(*one)->id, &change->org))
            org = *one;
    if (!org)
        return error_set(err, -ENOENT, "there is no such org");
    int r = change->tags ? tags_merge(lifecycle_tags(lc, &org->id), change->tags, &tags, err) : 0;
    if (r < 0)
        return r;
    struct commit *c = commit_new(lc, NULL);
    json_t *data = json_object();
    c->ok = done;
    c->userdata = userdata;
    put_standing(c, &org->id, tags, change->weight, &org->weight, data);
    if (change->weight) {
        planner_weigh(lc->planner, &org->id, NULL, org->weight);
        store_put_org(c->batch, org);
    }
    const struct event what = { .subject_kind = "org", .subject = org->id, .type = "org.updated" };
    note(c, &what, change->actor, data);
    commit_send(c);
    return 0;
}

static struct key *find_key(const struct lifecycle *lc, const char *name_or_id)
{
    struct id id;
    bool by_id = id_parse(name_or_id, &id) == 0;

    vec_foreach(&lc->keys, key)
        if (by_id ? id_equal(&(*key)->id, &id) : str_equal((*key)->name, name_or_id))
            return *key;
    return NULL;
}

static int check_key(const struct lifecycle *lc, const struct new_key *new, struct error *err)
{
    int r = name_check("name", new->name, err);
    if (r >= 0)
        r = tags_check(new->tags, err);
    if (r < 0)
        return r;
    if (find_key(lc, new->name))
        return error_set(err, -EEXIST, "name: there is a key '%s' already", new->name);
    if (!key_role_name(new->role))
        return error_set(err, -EINVAL, "role: must be admin, member or viewer");
    if (!id_is_none(&new->project) && !project_get(lc, &new->project))
        return error_set(err, -ENOENT, "there is no such project");
    return 0;
}

static void note_key(struct commit *c, const struct key *key, const char *type, const char *actor,
                     const json_t *tags)
{
    json_t *data = key_to_json(key);
    struct event what = {
        .subject_kind = "key",
        .subject = key->id,
        .project = key->project,
        .type = type,
    };
    if (json_object_size(tags))
        json_put(data, "tags", json_deep_copy(tags));
    note(c, &what, actor, data);
}

int lifecycle_create_key(struct lifecycle *lc, const struct new_key *new,
                         char text[static KEY_TEXT_LEN + 1], lifecycle_ok_f done, void *userdata,
                         struct id *ret, struct error *err)
{
    enum { PREFIX_LEN = 12 };
    uint8_t random[32];

    int r = check_key(lc, new, err);
    if (r < 0)
        return r;

    struct key *key = xnew(struct key);
    lc->sources.random(lc->sources.userdata, random, sizeof random);
    key_text(random, text);
    explicit_bzero(random, sizeof random);
    lc->sources.hash(lc->sources.userdata, text, KEY_TEXT_LEN, &key->hash);
    key->id = lc_new_id(lc);
    key->project = new->project;
    key->name = xstrdup(new->name);
    key->prefix = xstrndup(text, PREFIX_LEN);
    key->role = new->role;
    key->created_us = lc_now(lc);
    key->expires_us = new->expires_us;
    add_key(lc, key);

    struct commit *c = commit_new(lc, NULL);
    c->ok = done;
    c->userdata = userdata;
    note_key(c, key, "key.created", new->actor, new->tags);
    store_put_key(c->batch, key);
    if (json_object_size(new->tags))
        tags_put(c, &key->id, new->tags);
    commit_send(c);
    *ret = key->id;
    return 0;
}

int lifecycle_delete_key(struct lifecycle *lc, const char *name_or_id, const char *actor,
                         lifecycle_ok_f done, void *userdata, struct error *err)
{
    struct key *key = find_key(lc, name_or_id);

    if (!key)
        return error_set(err, -ENOENT, "there is no key '%s'", name_or_id);
    struct commit *c = commit_new(lc, NULL);
    c->ok = done;
    c->userdata = userdata;
    note_key(c, key, "key.deleted", actor, NULL);
    store_delete_key(c->batch, &key->id);
    tags_forget(c, &key->id);
    commit_send(c);

    map_remove(lc->keys_by_hash, key->hash.bytes, sizeof key->hash.bytes);
    for (size_t i = 0; i < lc->keys.len; i++)
        if (lc->keys.items[i] == key) {
            vec_remove(&lc->keys, i);
            break;
        }
    key_free(key);
    return 0;
}
