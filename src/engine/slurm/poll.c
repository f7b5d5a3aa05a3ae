/* poll.c - the safety net: every few seconds the list of our jobs, those of others, and the machines
 *
 * Only a list that was asked for after a task got into its phase says something about it: one that is
 * older may not have its job yet.
 */
#include "engine/slurm/slurm.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* An orphan is cancelled when it was in so many lists; what can be one of them waits no longer than that. */
enum { MARK_LEN = 16, ORPHAN_POLLS = 2, ORPHAN_WAIT_POLLS = 10 };

/* ---- why it is over ------------------------------------------------------------------------------ */

struct question {
    struct slurm *slurm;
    struct id task;
    uint32_t job;
};

/* What Slurm says of a job whose result did not come home, or whose end needs a reason. The task is gone
 * afterwards. */
static void end_as(struct slurm_task *task, const struct slurm_job *job)
{
    _cleanup_free_ char *reason = NULL;
    enum end_cause cause = slurm_judge(task, job, &reason);
    bool done = job->state == SLURM_COMPLETED || job->state == SLURM_FAILED;

    /* Nothing is placed there before the next list tells what is so. */
    if (cause == END_NODE_LOST && (job->state == SLURM_NODE_FAIL || job->state == SLURM_CANCELLED ||
                                   job->state == SLURM_COMPLETED))
        slurm_fleet_suspect(task->slurm, job->node[0] ? job->node : task->shape.node);
    if (job->state == SLURM_PENDING)
        task_cancel(task);
    if (task->ended)
        task_end_as_came(task, done ? END_NONE : cause, reason);
    else
        task_end(task, cause, task->stop_cause != END_NONE ? NULL : reason);
}

/* Its supervisor left before it heard that there is another task: one that had taken it ends with a result, or
 * in another way. */
static bool was_never_taken(const struct slurm_task *task, const struct slurm_job *job)
{
    return task->lent && !task->ended && task->stop_cause == END_NONE &&
           job->state == SLURM_COMPLETED;
}

static void submit_after_all(struct slurm_task *task)
{
    task->lent = false;
    task_set_job(task, 0);
    task_submit(task);
}

static void end_forgotten(struct slurm_task *task)
{
    _cleanup_free_ char *reason =
        xasprintf("Slurm does not know job %" PRIu32 " any more, and no result came home",
                  task->job);

    task_end(task, task->launched ? END_SUPERVISOR_LOST : END_START_FAILED,
             task->stop_cause != END_NONE ? NULL : reason);
}

/* By the second round a list of machines that was asked for since has said what became of its own. */
static bool is_in_doubt(struct slurm_task *task, const struct slurm_job *job)
{
    enum { ROUNDS = 2 };

    if (!slurm_is_doubtful(task, job))
        return false;
    if (task->doubted == 0)
        task->doubted = task->slurm->polls;
    return task->slurm->polls - task->doubted < ROUNDS;
}

static void take_answer(struct slurm_task *task, const struct slurm_job *job)
{
    if (was_never_taken(task, job))
        submit_after_all(task);
    else if (is_in_doubt(task, job))
        task_enter(task, PHASE_RUNNING); /* the next list asks again */
    else if (slurm_state_is_final(job->state) || (task->ended && job->state == SLURM_PENDING))
        end_as(task, job);
    else /* it was only ending when the list was made */
        task_enter(task, job->state == SLURM_PENDING ? PHASE_QUEUED : PHASE_RUNNING);
}

static void on_shown(void *userdata, const struct command_result *result)
{
    const struct question *q = userdata;
    struct slurm_task *task = slurm_find(q->slurm, &q->task);
    struct slurm_job job;

    if (!task || task->phase != PHASE_ASKED || task->job != q->job ||
        (!task->ended && task_look(task)))
        return;
    if (result->code == 0 &&
        slurm_parse_job(text_str(result->out), result->out->len, &job, NULL) >= 0 &&
        job.job == q->job)
        take_answer(task, &job);
    else if (!strcasestr(result->words, "invalid job id"))
        task_enter(task, PHASE_RUNNING); /* Slurm is away: the next list asks again */
    else if (task->ended)
        task_end_as_came(task, END_NONE, NULL);
    else
        end_forgotten(task);
}

void task_ask_why(struct slurm_task *task)
{
    struct question *q = xnew(struct question);
    char number[16];
    const char *argv[] = { "scontrol", "-o", "show", "job", number, NULL };
    const struct command command = {
        .argv = argv, .done = on_shown, .userdata = q, .free_userdata = free
    };

    *q = (struct question){ task->slurm, task->task, task->job };
    (void) snprintf(number, sizeof number, "%" PRIu32, task->job);
    task_enter(task, PHASE_ASKED);
    commands_run(task->slurm->commands, &command);
}

/* Its Slurm job is over, or not in the list. */
static void ask_why(struct slurm_task *task)
{
    if (task->ended || !task_look(task))
        task_ask_why(task);
}

/* ---- one job of the list ------------------------------------------------------------------------- */

/* Cancel it and let the task be over at once. */
static void give_up(struct slurm_task *task, enum end_cause cause, const char *reason)
{
    task_cancel(task);
    task_end(task, cause, reason);
}

/* It tries such a job again for ever, and what it tells nobody is as whom it could not be. */
static void give_up_unlaunched(struct slurm_task *task, const struct slurm_own *own)
{
    const char *name = task->shape.who->name;
    _cleanup_free_ char *text =
        name ? xasprintf("Slurm could not launch job %" PRIu32
                         " as account '%s': do the machines of slurmctld and node %s know it "
                         "(getent passwd %s)?",
                         own->job, name, task->shape.node, name)
             : xasprintf("Slurm could not launch job %" PRIu32
                         " on node %s and put it off: do the machine of slurmctld and the node "
                         "know uid %s?",
                         own->job, task->shape.node, task->slurm->uid);

    give_up(task, END_START_FAILED, text);
}

static bool others_of_gang_run(const struct slurm_task *task)
{
    const struct slurm_task *other;

    map_foreach(task->slurm->tasks, pos, other)
        if (id_equal(&other->gang, &task->gang) && other->phase == PHASE_RUNNING)
            return true;
    return false;
}

/* Does the rest of its gang hold machines that do nothing, for one that Slurm has given to others meanwhile? Two gangs
 * may wait so for each other, one of them being another server's: each has a patience of its own, one or two times
 * what the setting says, so that one of them gives way first. */
static bool holds_others_up(const struct slurm_task *task)
{
    int64_t wait_us = task->slurm->gang_wait_us;
    int64_t patience_us = wait_us + wait_us / 255 * task->gang.bytes[sizeof task->gang.bytes - 1];

    return !id_is_none(&task->gang) && task->phase == PHASE_QUEUED &&
           loop_now_us(task->slurm->loop) - task->phase_us > patience_us &&
           others_of_gang_run(task);
}

static bool is_held(const struct slurm_own *own) { return strncmp(own->reason, "JobHeld", 7) == 0; }

/* Why what waits in Slurm is to be placed again; owned by the caller, NULL: it may wait. */
static char *why_again(const struct slurm_task *task, const struct slurm_own *own)
{
    const char *node = task->shape.node, *fault = slurm_fleet_fault(task->slurm, node);

    /* What was not heard of may have been said to run: so Slurm calls what it could not launch, for a moment. */
    if (task->launched || task->heard || task->lent)
        return xasprintf("Slurm requeued job %" PRIu32 ", which only Berth may", own->job);
    if (strcasestr(own->reason, "launch failed"))
        return xasprintf("Slurm could not launch job %" PRIu32 " on node %s (%s)", own->job, node,
                         own->reason);
    if (fault)
        return xasprintf("node %s took no work any more before it began: %s", node, fault);
    if (!is_held(own) && holds_others_up(task))
        return xasprintf("others took the place on node %s before it began (%s)", node,
                         own->reason);
    return NULL;
}

static void see_pending(struct slurm_task *task, const struct slurm_own *own)
{
    _cleanup_free_ char *again = why_again(task, own), *text = NULL;

    if (again) {
        give_up(task, END_NODE_LOST, again);
        return;
    }
    if (str_equal(own->reason,
                  "BeginTime")) { /* nobody asked for one: Slurm tried, and put it off */
        give_up_unlaunched(task, own);
        return;
    }
    if (is_held(own))
        text = xasprintf("job %" PRIu32 " is held in Slurm (%s); `scontrol release %" PRIu32
                         "` lets it go",
                         own->job, own->reason, own->job);
    else
        text = xasprintf("job %" PRIu32 " waits in Slurm (%s)", own->job, own->reason);
    if (task->phase != PHASE_QUEUED)
        task_enter(task, PHASE_QUEUED);
    task_waits(task, text);
}

static void see_running(struct slurm_task *task, const struct slurm_own *own)
{
    _cleanup_free_ char *text =
        xasprintf("Slurm runs job %" PRIu32 " on node %s", own->job, task->shape.node);

    if (task->phase != PHASE_RUNNING)
        task_enter(task, PHASE_RUNNING);
    task_waits(task, text);
}

/* A Slurm job bears the task's name, and the task has none yet. */
static void adopt(struct slurm_task *task, const struct slurm_own *own)
{
    task_set_job(task, own->job);
    task->named = own->task;
    task_enter(task, PHASE_QUEUED);
}

static void see(struct slurm_task *task, const struct slurm_own *own)
{
    struct slurm *slurm = task->slurm;

    task->seen = slurm->polls;
    task->named = own->task;
    if (task->phase == PHASE_ASKED)
        return;
    if (slurm_state_is_final(own->state) || task->ended) {
        ask_why(task);
        return;
    }
    if (task->cancelled) /* once more: the first word may not have been heard */
        slurm_cancel_job(slurm, task->shape.who, &own->task, own->job);
    if (own->state == SLURM_PENDING)
        see_pending(task, own);
    else
        see_running(task, own);
}

/* ---- whose it is --------------------------------------------------------------------------------- */

/* A job that has just ended here may need a moment to end there; one that stays is cancelled. */
static void see_orphan(struct slurm *slurm, struct who *who, const struct slurm_own *own)
{
    who->rounds = WHO_ROUNDS;
    vec_foreach(&who->orphans, orphan) {
        if (orphan->job != own->job)
            continue;
        if (slurm->polls - orphan->seen >= ORPHAN_POLLS)
            slurm_cancel_job(slurm, who, &orphan->task, orphan->job);
        return;
    }
    vec_push(&who->orphans, ((struct orphan){ own->job, own->task, slurm->polls }));
}

static bool is_listed(const struct who *who, uint32_t job)
{
    vec_foreach(&who->jobs, listed)
        if (*listed == job)
            return true;
    return false;
}

static void forget_orphans(struct who *who)
{
    for (size_t i = who->orphans.len; i-- > 0;)
        if (!is_listed(who, who->orphans.items[i].job))
            vec_remove(&who->orphans, i);
}

/* Is this list younger than what is known of TASK? */
static bool is_news(const struct slurm_task *task, int64_t began_us)
{
    return task->phase != PHASE_SUBMIT && task->phase_us <= began_us;
}

/* Of two of one name, the one that lives. */
static void adopt_living(struct slurm *slurm, const struct who *who, const struct slurm_own *own)
{
    struct slurm_task *task = slurm_find(slurm, &own->task);

    if (task && task->shape.who == who && !task->failure && task->phase != PHASE_SUBMIT &&
        !task->job && !slurm_state_is_final(own->state))
        adopt(task, own);
}

static void take_task(struct slurm_task *task, const struct slurm_own *own)
{
    if (task->failure || task->phase == PHASE_SUBMIT)
        return;
    if (!task->job)
        adopt(task, own);
    if (task->job == own->job)
        see(task, own);
    else if (!slurm_state_is_final(own->state))
        slurm_cancel_job(task->slurm, task->shape.who, &own->task,
                         own->job); /* its name twice: this one is too much */
}

/* A name alone makes nothing a task's: it must be a job of the account that the task was submitted as. */
static void take_own(struct slurm *slurm, struct who *who, const struct slurm_own *own)
{
    struct slurm_task *task = slurm_find(slurm, &own->task);
    bool alive = !slurm_state_is_final(own->state);

    if (!task || task->shape.who != who)
        task = slurm_find_job(slurm, own->job);
    if (alive)
        vec_push(&who->jobs, own->job);
    if (task && task->shape.who == who)
        take_task(task, own);
    else if (alive && slurm->sweeps && !slurm_lingers(slurm, own->job))
        see_orphan(slurm, who, own);
}

/* Of a server before this one, whose note of the number was lost: a job that nobody knows may run it under the name
 * of the task before it. That one is about to be cancelled. */
static bool may_be_orphaned(const struct slurm_task *task)
{
    const struct slurm *slurm = task->slurm;

    vec_foreach(&task->shape.who->orphans, orphan)
        if (task->phase == PHASE_FIND && slurm->polls - orphan->seen < ORPHAN_WAIT_POLLS)
            return true;
    return false;
}

/* Nothing of the name in the list. The task may be gone afterwards. */
static void see_none(struct slurm_task *task)
{
    if (task->phase == PHASE_ASKED || (!task->ended && task_look(task)))
        return;
    if (task->job) {
        ask_why(task);
        return;
    }
    if (task->stop_cause != END_NONE) {
        task_end(task, task->stop_cause, NULL);
        return;
    }
    if (task->launched) {
        task_end(task, END_SUPERVISOR_LOST, "Slurm has no job of it");
        return;
    }
    if (!may_be_orphaned(task))
        task_submit(task);
}

struct listing {
    struct slurm *slurm;
    struct who *who;
    /* Begins each line that squeue made: people choose names, and may put line ends in them. */
    char mark[MARK_LEN + 1];
};

static bool read_line(const struct listing *listing, const char *line, size_t len,
                      struct slurm_own *ret)
{
    return len > MARK_LEN && memcmp(line, listing->mark, MARK_LEN) == 0 &&
           slurm_parse_own(line + MARK_LEN, len - MARK_LEN, listing->slurm->site.prefix, ret);
}

static void take_lines(const struct listing *listing, const struct text *text)
{
    VEC(struct slurm_own) owns = { 0 };

    listing->who->jobs.len = 0;
    for (const char *p = text_str(text), *end = p + text->len; p < end;) {
        const char *eol = memchr(p, '\n', (size_t) (end - p));
        size_t len = eol ? (size_t) (eol - p) : (size_t) (end - p);
        struct slurm_own own;
        if (read_line(listing, p, len, &own))
            vec_push(&owns, own);
        p += len + 1;
    }
    vec_foreach(&owns, own)
        adopt_living(listing->slurm, listing->who, own);
    vec_foreach(&owns, own)
        take_own(listing->slurm, listing->who, own);
    vec_done(&owns);
}

static void take_list(const struct listing *listing, const struct command_result *result)
{
    VEC(struct slurm_task *) unseen = { 0 };
    struct slurm *slurm = listing->slurm;
    struct slurm_task *task;

    take_lines(listing, result->out);
    forget_orphans(listing->who);
    map_foreach(slurm->tasks, pos, task)
        if (task->shape.who == listing->who && task->seen != slurm->polls && !task->failure &&
            is_news(task, result->began_us))
            vec_push(&unseen, task);
    vec_foreach(&unseen, one)
        see_none(*one);
    vec_done(&unseen);
}

/* ---- the round ----------------------------------------------------------------------------------- */

static void end_round(struct slurm *slurm)
{
    if (--slurm->asked > 0)
        return;
    slurm_fleet_report(slurm);
    timer_set(slurm->poll_timer, slurm->poll_soon ? 0 : slurm->poll_us);
    slurm->poll_soon = false;
}

static void on_others(void *userdata, const struct command_result *result)
{
    struct slurm *slurm = userdata;

    if (result->code == 0)
        slurm_fleet_held(slurm, result->out);
    end_round(slurm);
}

static void ask(struct slurm *slurm, const struct command *command)
{
    slurm->asked++;
    commands_run(slurm->commands, command);
}

/* A list of machines forgets what others hold on them: that is asked for after it. */
static void on_nodes(void *userdata, const struct command_result *result)
{
    static const char *const others[] = {
        "squeue", "-h", "-a", "-t", "R,S,CF,CG,SO", "-o", SLURM_OTHERS_FORMAT, NULL
    };
    struct slurm *slurm = userdata;

    if (result->code == 0)
        slurm_fleet_nodes(slurm, result->out);
    ask(slurm, &(struct command){ .argv = others, .done = on_others, .userdata = slurm });
    end_round(slurm);
}

static void ask_rest(struct slurm *slurm)
{
    static const char *const nodes[] = { "scontrol", "-o", "show", "node", NULL };

    ask(slurm, &(struct command){ .argv = nodes, .done = on_nodes, .userdata = slurm });
}

/* One account that Slurm or this machine does not know, or no more, is not Slurm's absence. */
static void on_no_list(const struct listing *listing, const char *words)
{
    if (!listing->who->name)
        slurm_set_away(listing->slurm, words[0] ? words : "squeue failed");
    else if (!listing->slurm->away && !listing->who->is_unheard)
        log_warn("Slurm does not list the jobs of an account", "account", listing->who->name,
                 "reason", words);
    listing->who->is_unheard = true;
}

static void on_list(void *userdata, const struct command_result *result)
{
    const struct listing *listing = userdata;
    struct slurm *slurm = listing->slurm;

    if (result->code != 0) {
        on_no_list(listing, result->words);
    } else {
        if (!listing->who->name)
            slurm_set_away(slurm, NULL);
        listing->who->is_unheard = false;
        take_list(listing, result);
    }
    if (--slurm->lists == 0 && !slurm->away)
        ask_rest(slurm);
    end_round(slurm);
}

static void ask_list(struct slurm *slurm, struct who *who)
{
    struct listing *listing = xnew(struct listing);
    uint8_t random[MARK_LEN / 2];

    listing->slurm = slurm;
    listing->who = who;
    random_bytes(random, sizeof random);
    hex_encode(random, sizeof random, listing->mark);
    _cleanup_free_ char *format = xasprintf("%s%s", listing->mark, SLURM_OWN_FORMAT);
    const char *argv[] = { "squeue", "-h",  "-a", "-u",   who->name ? who->name : slurm->uid,
                           "-t",     "all", "-o", format, NULL };
    slurm->lists++;
    ask(slurm, &(struct command){
                   .argv = argv, .done = on_list, .userdata = listing, .free_userdata = free });
}

void slurm_poll(struct slurm *slurm)
{
    slurm->polls++;
    vec_foreach(&slurm->everybody, it) {
        struct who *who = *it;
        if (who->tasks == 0 && who->rounds == 0 && who->name)
            continue;
        if (who->tasks == 0 && who->rounds > 0)
            who->rounds--;
        ask_list(slurm, who);
    }
}

void slurm_poll_soon(struct slurm *slurm)
{
    slurm->poll_soon = true;
    if (slurm->asked == 0 && slurm->poll_timer) {
        slurm->poll_soon = false;
        timer_set(slurm->poll_timer, 0);
    }
}
