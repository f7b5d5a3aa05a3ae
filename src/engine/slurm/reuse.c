/* reuse.c - a Slurm job whose task has ended runs another of the same project and shape
 *
 * The way of a task through Slurm costs some ten times what the start of a container costs. So the supervisor
 * that brings a task's end home may wait a moment for another one (`linger`). That one is a task like any other: it
 * has its own token, directory, container and end. What is given up with a Slurm job is given up for the task
 * that it runs now; the job's name is still that of its first task, so its number is what counts.
 *
 * Cores are not kept from anybody: a job of another shape for the same node sends those away that wait there, the wait is
 * short, and a Slurm job that has become as old as `slurm_reuse` says takes no more.
 */
#include "engine/slurm/slurm.h"

#include "base/alloc.h"

#include <string.h>

/* From the end of a task until the next one of a queue is committed, with room for a slow disk. */
#define LINGER_US 200000

struct lingering {
    struct lingering *next, **link;
    struct slurm *slurm;
    struct id task; /* that has ended */
    struct slurm_shape shape;
    uint32_t job;
    struct id named;
    int64_t job_us;
    struct watch *timer;
};

static void lingering_free(struct lingering *l)
{
    *l->link = l->next;
    if (l->next)
        l->next->link = l->link;
    watch_free(l->timer);
    free(l->shape.node);
    free(l);
}

/* L is gone afterwards. */
static void answer(struct lingering *l, const struct id *next, const char *token)
{
    const struct engine_listener *listener = &l->slurm->engine.listener;
    struct id task = l->task;

    lingering_free(l);
    if (listener->next)
        listener->next(listener->userdata, &task, next, token);
}

static void on_over(void *userdata) { answer(userdata, NULL, NULL); }

bool slurm_linger(struct engine *engine, const struct id *attempt)
{
    struct slurm *slurm = slurm_of(engine);
    const struct slurm_task *task = slurm_find(slurm, attempt);

    if (!task || !task->job || task->job_us == 0 || task->cancelled || task->failure ||
        task->ended || loop_now_us(slurm->loop) - task->job_us >= slurm->reuse_us)
        return false;
    struct lingering *l = xnew(struct lingering);
    *l = (struct lingering){ .next = slurm->lingering,
                             .link = &slurm->lingering,
                             .slurm = slurm,
                             .task = task->task,
                             .shape = task->shape,
                             .job = task->job,
                             .named = task->named,
                             .job_us = task->job_us };
    l->shape.node = xstrdup(task->shape.node);
    if (l->next)
        l->next->link = &l->next;
    slurm->lingering = l;
    l->timer = loop_timer(slurm->loop, LINGER_US, on_over, l);
    return true;
}

static bool fits(const struct slurm_shape *a, const struct slurm_shape *b)
{
    return a->who == b->who && id_equal(&a->project, &b->project) && str_equal(a->node, b->node) &&
           a->cpus == b->cpus && a->gpus == b->gpus && a->memory_bytes == b->memory_bytes &&
           a->limit_s == b->limit_s && a->grace_s == b->grace_s;
}

/* Its number is written down before anybody hears of it. */
static void lend(struct slurm_task *task, struct lingering *l)
{
    task_set_job(task, l->job);
    task->named = l->named;
    task->job_us = l->job_us;
    task->lent = true;
    task_record_job(task);
    task_enter(task, PHASE_RUNNING);
    answer(l, &task->task, task->token);
}

bool task_reuse(struct slurm_task *task)
{
    struct lingering *l = task->slurm->lingering;

    while (l && !fits(&l->shape, &task->shape))
        l = l->next;
    if (l)
        lend(task, l);
    return l != NULL;
}

void task_unlinger(const struct slurm_task *task)
{
    struct lingering *l = task->slurm->lingering;

    while (l && !id_equal(&l->task, &task->task))
        l = l->next;
    if (l)
        answer(l, NULL, NULL);
}

void slurm_release(struct slurm *slurm, const char *node)
{
    for (struct lingering *l = slurm->lingering, *next; l; l = next) {
        next = l->next;
        if (str_equal(l->shape.node, node))
            answer(l, NULL, NULL);
    }
}

bool slurm_lingers(const struct slurm *slurm, uint32_t job)
{
    for (const struct lingering *l = slurm->lingering; l; l = l->next)
        if (l->job == job)
            return true;
    return false;
}

void slurm_lingering_free(struct slurm *slurm)
{
    while (slurm->lingering)
        lingering_free(slurm->lingering);
}
