/* use.c - what tasks hold on each node, taken when an attempt begins and given back at its end */
#include "lifecycle/internal.h"

#include "base/text.h"

struct node_use *use_find(struct lifecycle *lc, const char *name)
{
    vec_foreach(&lc->nodes, use)
        if (str_equal(use->node->name, name))
            return use;
    return NULL;
}

struct node_use *use_of(struct lifecycle *lc, const struct workload *w, size_t rank)
{
    struct node_use *use = use_find(lc, attempt_task_allocation(w->attempt, rank)->node);
    const char *boot_id = attempt_task_boot_id(w->attempt, rank);

    if (use || !boot_id)
        return use;
    vec_foreach(&lc->nodes, other)
        if (str_equal(other->node->boot_id, boot_id))
            return other;
    return NULL;
}

/* Of a task; with MPI it is as large as its ranks. */
static unsigned cores_asked(const struct workload_spec *spec)
{
    return spec->mpi ? spec->cores * spec->tasks_per_node : spec->cores;
}

static int64_t *disk_of(struct job *job, size_t rank)
{
    return job->gang ? &job->gang->tasks[rank].disk_used_bytes : &job->disk_used_bytes;
}

void use_take_task(struct lifecycle *lc, struct job *job, size_t rank)
{
    const struct allocation *a = attempt_task_allocation(job->w->attempt, rank);
    struct node_use *use = use_of(lc, job->w, rank);

    lc->changes++;
    if (!use)
        return;
    *disk_of(job, rank) = 0;
    vec_push(&use->grants,
             ((struct placement_grant){ a, job->project->org, cores_asked(job->w->spec) }));
}

void use_take(struct lifecycle *lc, struct job *job)
{
    for (size_t rank = 0; rank < attempt_n_tasks(job->w->attempt); rank++)
        use_take_task(lc, job, rank);
}

static void give_back_task(struct lifecycle *lc, struct job *job, size_t rank)
{
    const struct allocation *a = attempt_task_allocation(job->w->attempt, rank);
    struct node_use *use = use_of(lc, job->w, rank);

    lc->changes++;
    if (!use)
        return;
    use->disk_used_bytes -= *disk_of(job, rank);
    for (size_t i = 0; i < use->grants.len; i++)
        if (use->grants.items[i].allocation == a) {
            vec_remove(&use->grants, i);
            break;
        }
}

void use_give_back(struct lifecycle *lc, struct job *job)
{
    for (size_t rank = 0; rank < attempt_n_tasks(job->w->attempt); rank++)
        give_back_task(lc, job, rank);
    planner_end(lc->planner, &job->w->id, plan_now(lc));
}

void use_node_done(struct node_use *use)
{
    node_free(use->node);
    vec_done(&use->grants);
}

void use_done(struct lifecycle *lc)
{
    vec_foreach(&lc->nodes, use)
        use_node_done(use);
    vec_done(&lc->nodes);
    vec_done(&lc->node_list);
}

void lifecycle_set_node(struct lifecycle *lc, struct node *node)
{
    struct node_use *use = use_find(lc, node->name);

    lc->changes++;
    machines_decide(lc, node);
    tags_show(lc, node);
    map_free(lc->shapes_admitted);
    lc->shapes_admitted = map_new();
    if (use) {
        for (size_t i = 0; i < lc->node_list.len; i++)
            if (lc->node_list.items[i] == use->node)
                lc->node_list.items[i] = node;
        struct node *before = use->node;
        use->node = node;
        plan_node(lc, use);
        node_free(before);
    } else {
        const struct node_use new = { .node = node };
        vec_push(&lc->nodes, new);
        vec_push(&lc->node_list, node);
        plan_node(lc, &new);
    }
    lc_want_pass(lc);
}

void use_set_disk(struct lifecycle *lc, struct job *job, size_t rank, int64_t bytes)
{
    struct node_use *use = use_of(lc, job->w, rank);
    int64_t most = attempt_task_allocation(job->w->attempt, rank)->disk_bytes;

    if (!use)
        return;
    bytes = bytes < 0 ? 0 : bytes < most ? bytes : most;
    use->disk_used_bytes += bytes - *disk_of(job, rank);
    *disk_of(job, rank) = bytes;
    plan_node(lc, use);
    if (lc->queue.len > 0)
        lc_want_pass(lc);
}

void lifecycle_set_disk_free(struct lifecycle *lc, const char *name, int64_t bytes)
{
    struct node_use *use = use_find(lc, name);

    if (!use || use->node->disk_free_bytes == bytes)
        return;
    bool more = bytes > use->node->disk_free_bytes;
    use->node->disk_free_bytes = bytes;
    plan_node(lc, use);
    if (more && lc->queue.len > 0)
        lc_want_pass(lc);
}

void lifecycle_nodes(struct lifecycle *lc, const struct node *const **ret, size_t *ret_n)
{
    *ret = (const struct node *const *) lc->node_list.items;
    *ret_n = lc->node_list.len;
}

void lifecycle_each_attempt(struct lifecycle *lc,
                            void (*each)(void *userdata, const struct workload *w), void *userdata)
{
    const struct job *job;

    map_foreach(lc->attempts, pos, job)
        each(userdata, job->w);
}

static unsigned cores_in(const struct node *node, const struct cpu_set *cpus)
{
    unsigned n = 0;

    vec_foreach(&node->cores, core)
        n += cpu_siblings_intersect(&core->cpus, cpus);
    return n;
}

/* One that is shared is there once, and in PARTS with how much of it is given away. */
static void add_gpu(const struct allocation *a, const char *uuid, json_t *gpus, json_t *parts)
{
    int64_t milli = 0;

    if (!a->gpu_milli || !json_object_get(parts, uuid))
        (void) json_array_append_new(gpus, json_string(uuid));
    if (!a->gpu_milli)
        return;
    (void) json_get_milli(parts, uuid, &milli);
    json_put_milli(parts, uuid, milli + a->gpu_milli);
}

json_t *lifecycle_node_use(struct lifecycle *lc, const struct node *node)
{
    const struct node_use *use = use_find(lc, node->name);
    json_t *json = json_object(), *gpus = json_array();
    _cleanup_json_ json_t *parts = json_object();
    struct cpu_set own = { 0 }, pooled = { 0 };
    int64_t memory_bytes = 0, disk_bytes = 0;

    for (size_t i = 0; use && i < use->grants.len; i++) {
        const struct allocation *a = use->grants.items[i].allocation;
        cpu_set_union(a->shared ? &pooled : &own, &a->cpus);
        memory_bytes += a->memory_bytes;
        disk_bytes += a->disk_bytes;
        for (char **gpu = a->gpus; gpu && *gpu; gpu++)
            add_gpu(a, *gpu, gpus, parts);
    }
    if (use) {
        _cleanup_free_ char *cpus = cpu_set_format(&own);
        _cleanup_free_ char *shared = cpu_set_format(&pooled);
        json_put_int(json, "tasks", (int64_t) use->grants.len);
        json_put_int(json, "cores", cores_in(node, &own));
        json_put_int(json, "cores_shared", cores_in(node, &pooled));
        json_put_str(json, "cpus", cpus);
        json_put_str(json, "cpus_shared", shared);
        json_put_int(json, "memory", memory_bytes);
        json_put_int(json, "disk", disk_bytes);
    }
    json_put(json, "gpus", gpus);
    if (json_object_size(parts) > 0)
        json_put(json, "gpu_parts", json_incref(parts));
    return json;
}
