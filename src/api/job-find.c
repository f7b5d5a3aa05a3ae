/* job-find.c - the job and the attempt that a path names, live or stored */
#include "api/internal.h"

#include "base/alloc.h"

struct search {
    struct call *call;
    const char *name; /* of the call */
    job_found_f found;
    job_found_f array; /* NULL: one of its jobs must be named */
};

/* Named by the path, or by the query where the path has none. */
static const char *job_name(const struct call *call)
{
    const char *name = call_param(call, "job");

    return name ? name : json_get_str(call->query, "job", "");
}

static void array_stored(void *userdata, int r, struct workload **items, size_t n,
                         const struct error *err)
{
    struct search search = *(struct search *) userdata;

    free(userdata);
    if (r < 0)
        call_fail(search.call, r, err);
    else if (n != 1)
        call_refuse(search.call, -ENOENT, "the array was deleted meanwhile");
    else
        search.array(search.call, items[0]);
}

struct array_search {
    struct search *search;
    struct id id;
};

static void array_settled(void *userdata)
{
    struct array_search a = *(struct array_search *) userdata;
    struct call *call = a.search->call;
    char id[ID_TEXT_LEN + 1];

    free(userdata);
    store_find_workload(call->api->options.store, &call->project, id_format(&a.id, id),
                        array_stored, a.search);
}

void job_array_again(struct call *call, const struct id *id, job_found_f array)
{
    struct array_search *a = xnew(struct array_search);

    a->search = xnew(struct search);
    *a->search = (struct search){ .call = call, .array = array };
    a->id = *id;
    lifecycle_settle(call->api->options.lifecycle, array_settled, a);
}

/* SEARCH led to W. */
static void take(const struct search *search, const struct workload *w)
{
    if (!workload_means_array(w, search->name)) {
        search->found(search->call, w);
        return;
    }
    if (search->array) {
        job_array_again(search->call, &w->id, search->array);
        return;
    }
    _cleanup_free_ char *name = workload_array_name(w);
    const struct array_place *place = w->spec->array;
    call_refuse(search->call, -ENOTUNIQ, "%s is an array of %u jobs: name one, %s_%u to %s_%u",
                name, place->count, name, place->first, name, place->last);
}

static void job_stored(void *userdata, int r, struct workload **items, size_t n,
                       const struct error *err)
{
    struct search search = *(struct search *) userdata;
    struct call *call = search.call;
    const char *name = search.name;

    free(userdata);
    if (r < 0)
        call_fail(call, r, err);
    else if (n == 0)
        call_refuse(call, -ENOENT, "there is no job '%s'", name);
    else if (n > 1)
        call_refuse(call, -ENOTUNIQ, "several ids begin with '%s': write more of it", name);
    else
        take(&search, items[0]);
}

static void look(void *userdata)
{
    struct search *search = userdata;
    struct call *call = search->call;
    struct lifecycle *lc = call->api->options.lifecycle;
    const struct workload *w = lifecycle_find(lc, &call->project, search->name);

    if (!w) {
        store_find_workload(call->api->options.store, &call->project, search->name, job_stored,
                            search);
    } else if (lifecycle_is_ahead(lc, w)) {
        lifecycle_settle(lc, look, search);
    } else {
        struct search copy = *search;
        free(search);
        take(&copy, w);
    }
}

void job_find(struct call *call, job_found_f found) { job_find_named(call, job_name(call), found); }

void job_find_any_named(struct call *call, const char *name, job_found_f found, job_found_f array)
{
    struct search *search = xnew(struct search);

    *search = (struct search){ .call = call, .name = name, .found = found, .array = array };
    look(search);
}

void job_find_any(struct call *call, job_found_f found, job_found_f array)
{
    job_find_any_named(call, job_name(call), found, array);
}

void job_find_named(struct call *call, const char *name, job_found_f found)
{
    job_find_any_named(call, name, found, NULL);
}

/* ---- attempts ---- */

bool check_rank(struct call *call, const struct attempt *attempt)
{
    int64_t rank = json_get_int(call->query, "rank", 0);
    size_t n = attempt ? attempt_n_tasks(attempt) : 1;

    if (rank < (int64_t) n)
        return true;
    call_refuse(call, -ENOENT, "rank: there is no task %lld; the job has %zu, the first is 0",
                (long long) rank, n);
    return false;
}

const struct id *task_asked(const struct call *call, const struct attempt *attempt)
{
    return attempt_task_id(attempt, (size_t) json_get_int(call->query, "rank", 0));
}

struct attempt_search {
    attempt_found_f found;
    struct workload *w; /* as far as answers need it after the store was asked */
};

static void attempt_search_free(void *state)
{
    struct attempt_search *s = state;

    workload_free(s->w);
    free(s);
}

static void attempts_listed(void *userdata, int r, struct attempt **items, size_t n,
                            const struct error *err)
{
    struct call *call = userdata;
    struct attempt_search *s = call->state;
    int64_t number = json_get_int(call->query, "attempt", 0);

    if (r < 0) {
        call_fail(call, r, err);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (items[i]->number == number) {
            if (check_rank(call, items[i]))
                s->found(call, s->w, items[i]);
            return;
        }
    call_refuse(call, -ENOENT, "the job has no attempt %lld", (long long) number);
}

/* What an answer may need of a job while its attempts are read. */
static struct workload *copy_head(const struct workload *w)
{
    struct workload *copy = xnew(struct workload);

    *copy = (struct workload){ .id = w->id,
                               .project = w->project,
                               .name = xstrdup(w->name),
                               .state = w->state,
                               .tags = json_object(),
                               .attempts = w->attempts,
                               .exit_code = w->exit_code,
                               .cause = w->cause,
                               .reason = xstrdup(w->reason) };
    _cleanup_json_ json_t *spec = w->spec ? workload_spec_to_json(w->spec) : NULL;
    if (spec && workload_spec_from_json(spec, &copy->spec, NULL) < 0)
        copy->spec = NULL;
    return copy;
}

static void attempt_of(struct call *call, const struct workload *w)
{
    struct attempt_search *s = call->state;
    int64_t number = json_get_int(call->query, "attempt", 0);

    if (number == 0 || (w->attempt && w->attempt->number == number)) {
        if (check_rank(call, w->attempt))
            s->found(call, w, w->attempt);
        return;
    }
    s->w = copy_head(w);
    store_list_attempts(call->api->options.store, &w->id, attempts_listed, call);
}

void attempt_find(struct call *call, attempt_found_f found)
{
    struct attempt_search *s = xnew(struct attempt_search);

    s->found = found;
    call->state = s;
    call->free_state = attempt_search_free;
    job_find(call, attempt_of);
}

char *attempt_path(const struct api *api, const struct id *attempt, const char *file)
{
    char id[ID_TEXT_LEN + 1];

    return xasprintf("%s/attempts/%s/%s", api->options.state, id_format(attempt, id), file);
}
