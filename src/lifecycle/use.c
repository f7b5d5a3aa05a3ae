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

static void join_pool(struct node_use *use, const struct use_share *share)
{
    const struct workload *w = share->job->w;
    const struct allocation *a = attempt_task_allocation(w->attempt, share->rank);
    const struct id *owner = &share->job->project->org;

    vec_foreach(&use->pools, pool) {
        if (!id_equal(&pool->owner, owner))
            continue;
        cpu_set_union(&pool->cpus, &a->cpus);
        pool->cores_asked += cores_asked(w->spec);
        return;
    }
    vec_push(&use->pools, ((struct placement_pool){ *owner, a->cpus, cores_asked(w->spec) }));
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
    use->n_tasks++;
    use->memory_bytes += a->memory_bytes;
    use->disk_bytes += a->disk_bytes;
    *disk_of(job, rank) = 0;
    for (char **gpu = a->gpus; gpu && *gpu; gpu++)
        vec_push(&use->gpus, *gpu);
    if (a->shared) {
        struct use_share share = { job, rank };
        vec_push(&use->shared, share);
        join_pool(use, &share);
    } else {
        cpu_set_union(&use->cpus_taken, &a->cpus);
    }
}

void use_take(struct lifecycle *lc, struct job *job)
{
    for (size_t rank = 0; rank < attempt_n_tasks(job->w->attempt); rank++)
        use_take_task(lc, job, rank);
}

static void leave_pool(struct node_use *use, const struct job *job, size_t rank)
{
    for (size_t i = 0; i < use->shared.len; i++)
        if (use->shared.items[i].job == job && use->shared.items[i].rank == rank) {
            vec_remove(&use->shared, i);
            break;
        }
    /* A pool shrinks to what its tasks were given. */
    use->pools.len = 0;
    vec_foreach(&use->shared, other)
        join_pool(use, other);
}

static void give_back_task(struct lifecycle *lc, struct job *job, size_t rank)
{
    const struct allocation *a = attempt_task_allocation(job->w->attempt, rank);
    struct node_use *use = use_of(lc, job->w, rank);

    lc->changes++;
    if (!use)
        return;
    use->n_tasks--;
    use->memory_bytes -= a->memory_bytes;
    use->disk_bytes -= a->disk_bytes;
    use->disk_used_bytes -= *disk_of(job, rank);
    for (char **gpu = a->gpus; gpu && *gpu; gpu++)
        for (size_t i = 0; i < use->gpus.len; i++)
            if (use->gpus.items[i] == *gpu) {
                vec_remove(&use->gpus, i);
                break;
            }
    if (a->shared)
        leave_pool(use, job, rank);
    else
        cpu_set_subtract(&use->cpus_taken, &a->cpus);
}

void use_give_back(struct lifecycle *lc, struct job *job)
{
    for (size_t rank = 0; rank < attempt_n_tasks(job->w->attempt); rank++)
        give_back_task(lc, job, rank);
}

struct placement_node *use_snapshot(const struct lifecycle *lc)
{
    struct placement_node *nodes = xnew_n(struct placement_node, lc->nodes.len + 1);

    for (size_t i = 0; i < lc->nodes.len; i++) {
        const struct node_use *use = &lc->nodes.items[i];
        nodes[i] = (struct placement_node){
            .node = use->node,
            .cpus_taken = use->cpus_taken,
            .pools = use->pools.items,
            .n_pools = use->pools.len,
            .n_tasks = use->n_tasks,
            .memory_taken_bytes = use->memory_bytes,
            .disk_taken_bytes = use->disk_bytes,
            .disk_used_bytes = use->disk_used_bytes,
            .gpus_taken = use->gpus.items,
            .n_gpus_taken = use->gpus.len,
        };
    }
    return nodes;
}

void use_node_done(struct node_use *use)
{
    node_free(use->node);
    vec_done(&use->pools);
    vec_done(&use->gpus);
    vec_done(&use->shared);
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
        node_free(use->node);
        use->node = node;
    } else {
        vec_push(&lc->nodes, (struct node_use){ .node = node });
        vec_push(&lc->node_list, node);
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
    lc->changes++;
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
    lc->changes++;
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
        n += cpu_set_intersects(&core->cpus, cpus);
    return n;
}

json_t *lifecycle_node_use(struct lifecycle *lc, const struct node *node)
{
    const struct node_use *use = use_find(lc, node->name);
    json_t *json = json_object(), *gpus = json_array();
    struct cpu_set pooled = { 0 };

    if (use) {
        _cleanup_free_ char *cpus = cpu_set_format(&use->cpus_taken);
        vec_foreach(&use->pools, pool)
            cpu_set_union(&pooled, &pool->cpus);
        _cleanup_free_ char *shared = cpu_set_format(&pooled);
        json_put_int(json, "tasks", use->n_tasks);
        json_put_int(json, "cores", cores_in(node, &use->cpus_taken));
        json_put_int(json, "cores_shared", cores_in(node, &pooled));
        json_put_str(json, "cpus", cpus);
        json_put_str(json, "cpus_shared", shared);
        json_put_int(json, "memory", use->memory_bytes);
        json_put_int(json, "disk", use->disk_bytes);
        vec_foreach(&use->gpus, gpu)
            (void) json_array_append_new(gpus, json_string(*gpu));
    }
    json_put(json, "gpus", gpus);
    return json;
}
