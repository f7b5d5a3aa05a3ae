/* schedule.c - a pass over who waits, in the policy's order */
#include "placement/promise.h"
#include "placement/walk.h"

#include "base/alloc.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* While somebody waits, levels sink by credit: they are looked at again after so long. */
enum { RELOOK_S = 900 };

/* What a demand was refused in a pass. */
enum {
    REFUSED_SHUT = 1,    /* there is no room on the machines that are not reserved */
    REFUSED_ROOM = 2,    /* there is none on any */
    REFUSED_VICTIMS = 4, /* nor where others would be stopped */
    REFUSED_ALL = REFUSED_SHUT | REFUSED_ROOM | REFUSED_VICTIMS,
    REFUSED_TERM = 8, /* nobody knows when there will be */
    /* Not even where nobody runs, as was found: */
    REFUSED_EVER = 16,
    REFUSED_EVER_SHUT = 32, /* while reserved machines were closed */
    KNOWN_EVER = 64,
    KNOWN_EVER_SHUT = 128,
};

/* Of the pass under way: it is over; what it decided so far may be otherwise now; somebody came whom it does not see. */
static void pass_free(struct schedule *s);
static void give_up(struct schedule *s);
static void somebody_came(struct schedule *s);

struct schedule *schedule_new(const struct schedule_options *options, struct capacity *capacity)
{
    struct schedule *s = xnew(struct schedule);

    s->options = *options;
    /* Who runs for less than its restart costs does nothing else: jobs of nearly equal right would stop each other
     * for ever. Nobody who started in a pass is stopped in it. */
    if (s->options.guaranteed_us < s->options.restart_us)
        s->options.guaranteed_us = s->options.restart_us;
    if (s->options.guaranteed_us < 1)
        s->options.guaranteed_us = 1;
    if (s->options.depth == 0)
        s->options.depth = SCHEDULE_DEPTH;
    s->capacity = capacity;
    s->share = share_new(options->half_life_us);
    return s;
}

void schedule_free(struct schedule *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->by_id.n_slots; i++)
        while (s->by_id.slots[i])
            entry_free(s, link_owner(s->by_id.slots[i], struct entry, link));
    for (size_t i = 0; i < s->n_machines; i++)
        vec_done(&s->machines[i]);
    free(s->machines);
    free(s->groups_at);
    victims_done(s);
    table_done(&s->by_id);
    table_done(&s->demands);
    table_done(&s->lines);
    table_done(&s->columns);
    vec_foreach(&s->groups, columns)
        vec_done(columns);
    vec_done(&s->groups);
    vec_done(&s->apart);
    vec_done(&s->running);
    vec_done(&s->ends);
    vec_done(&s->wakes);
    free(s->places);
    pass_free(s);
    share_free(s->share);
    promises_free(s->promises);
    booked_free(s->booked);
    capacity_free(s->capacity);
    free(s);
}

struct share *schedule_shares(const struct schedule *s) { return s->share; }

size_t schedule_waiting(const struct schedule *s) { return s->n_waiting; }

void schedule_submit(struct schedule *s, const struct schedule_job *job, int64_t now_us)
{
    struct entry *entry = entry_new(s, job, now_us);

    s->n_waiting++;
    somebody_came(s);
    entry_join(s, entry);
    capacity_learn(s->capacity, &job->ask);
}

void schedule_end(struct schedule *s, uint64_t id, int64_t now_us)
{
    struct entry *entry = entry_find(s, id);

    if (!entry)
        return;
    give_up(s);
    if (entry_runs(entry))
        entry_stop(s, entry, now_us);
    entry_leave(s, entry);
    wake_clear(s, entry);
    s->n_waiting--;
    promises_forget(s, id);
    entry_free(s, entry);
}

void schedule_run(struct schedule *s, uint64_t id, struct choice *places, int64_t started_us)
{
    struct entry *entry = entry_find(s, id);

    if (!entry || entry_runs(entry))
        return;
    give_up(s);
    for (unsigned i = 0; i < entry_tasks(entry); i++)
        capacity_take(s->capacity, entry_ask(entry), &places[i]);
    entry_start(s, entry, places, started_us);
}

void schedule_requeue(struct schedule *s, uint64_t id, int64_t now_us)
{
    struct entry *entry = entry_find(s, id);

    if (!entry || !entry_runs(entry))
        return;
    give_up(s);
    entry_return(s, entry, now_us);
}

void schedule_withdraw(struct schedule *s, uint64_t id, int64_t now_us)
{
    struct entry *entry = entry_find(s, id);

    if (!entry || !entry_runs(entry))
        return;
    int64_t waits_since_us = entry->past->waits_since_us;
    entry->past->started_us = now_us;
    entry_stop(s, entry, now_us);
    entry->past->waits_since_us = waits_since_us;
    entry_join(s, entry);
}

void schedule_hold(struct schedule *s, uint64_t id, bool held)
{
    struct entry *entry = entry_find(s, id);

    if (!entry)
        return;
    entry->is_held = held;
    if (held && entry->is_ready) {
        give_up(s);
        entry_leave(s, entry);
    } else if (!held && !entry_runs(entry)) {
        somebody_came(s);
        entry_join(s, entry);
    }
}

void schedule_order(struct schedule *s, int64_t now_us, size_t limit, struct schedule_ids *ret)
{
    struct walk *walk = walk_new(s, now_us, NULL, NULL);
    struct entry *entry;

    while (limit-- > 0 && (entry = walk_next(walk))) {
        vec_push(ret, entry->id);
        if (!entry->past && entry->behind)
            walk_add(walk, entry->behind, false);
    }
    walk_free(walk);
}

/* ---- a pass ----------------------------------------------------------------------------------------- */

struct refusal {
    const struct demand *demand;
    unsigned what;
};

/* Nobody could be stopped for DEMAND of a group. */
struct group_refusal {
    const struct demand *demand;
    int64_t milli;
    size_t next; /* of the same group, from 1; 0: there is none */
};

/* Kept from slice to slice. */
struct pass {
    struct schedule *s;
    int64_t now_us;             /* when it began */
    struct schedule_acts *acts; /* of the slice */
    struct walk *walk;          /* NULL: nobody is left to be looked at */
    uint64_t changes;           /* of the capacity, at the end of the last slice */
    uint64_t booked;            /* version of the bookings then */
    bool is_promising;
    uint64_t work_end;
    bool is_late; /* somebody came since it began */
    /* Of jobs with at least the right of those that are still to be looked at: who asks for as much or more is
     * refused the same. */
    VEC(struct refusal) refusals;
    size_t n_refused_all; /* demands */
    /* Where groups go by shares: what each group was refused, and the last of it by group. */
    VEC(struct group_refusal) group_refusals;
    size_t *last_refusals;
    uint32_t n_groups;  /* when the pass began */
    unsigned n_stopped; /* for the job that is looked at */
    struct machines reserved;
    int64_t shadow_us;    /* they are reserved from then on; 0: they are not */
    bool is_kept;         /* they are kept for somebody from now on */
    bool closed;          /* the reserved machines are */
    bool has_preemptible; /* somebody who runs may be stopped */
    int *lowest;          /* by group: priority of those that may; NULL: not known yet */
    bool *
        overdue; /* by group: somebody is overdue who does not fit, so nobody of it goes past him; NULL: of none */
    bool is_booked_out; /* machines were kept from who was looked at last */
};

static void act(struct pass *pass, enum schedule_verb verb, const struct entry *entry)
{
    const struct schedule_act one = { verb, entry->id,
                                      verb == SCHEDULE_START ? entry->past->places : NULL, false };

    vec_push(pass->acts, one);
}

static void close_reserved(struct pass *pass, bool closed)
{
    if (pass->reserved.len == 0 || pass->closed == closed)
        return;
    for (size_t i = 0; i < pass->reserved.len; i++)
        capacity_close(pass->s->capacity, pass->reserved.items[i], closed);
    pass->closed = closed;
}

static void add_refused(struct pass *pass, struct demand *demand, unsigned what)
{
    unsigned before = demand->refused;

    demand->refused |= what;
    if ((before & REFUSED_ALL) != REFUSED_ALL && (demand->refused & REFUSED_ALL) == REFUSED_ALL)
        pass->n_refused_all++;
}

/* What DEMAND was refused in this pass, itself or in that somebody who asks for no more was. */
static unsigned refused(struct pass *pass, struct demand *demand)
{
    if (demand->pass != pass->s->n_passes) {
        demand->pass = pass->s->n_passes;
        demand->refused = 0;
        demand->n_read = 0;
    }
    for (; demand->n_read < pass->refusals.len; demand->n_read++) {
        const struct refusal *r = &pass->refusals.items[demand->n_read];
        if ((r->what & ~demand->refused) && r->demand->tasks <= demand->tasks &&
            wish_equal(r->demand->wish, demand->wish) && ask_covers(&demand->ask, &r->demand->ask))
            add_refused(pass, demand, r->what);
    }
    return demand->refused;
}

static void refuse(struct pass *pass, struct demand *demand, unsigned what)
{
    vec_push(&pass->refusals, ((struct refusal){ demand, what }));
    add_refused(pass, demand, what);
}

/* Who may still run when the reservation begins stays off its machines. */
static bool is_short(const struct pass *pass, const struct entry *entry)
{
    return !pass->is_kept && entry->limit_us > 0 &&
           entry->limit_us <= pass->shadow_us - pass->now_us;
}

static bool take(struct pass *pass, const struct entry *entry)
{
    struct demand *demand = entry->line->demand;
    bool shut = pass->reserved.len > 0 && !is_short(pass, entry);
    unsigned refusals = shut ? REFUSED_SHUT | REFUSED_ROOM : REFUSED_ROOM;

    pass->is_booked_out = false;
    if (refused(pass, demand) & refusals)
        return false;
    close_reserved(pass, shut);
    pass->is_booked_out = booked_close(pass->s, entry, false, pass->now_us);
    bool taken = booked_take(pass->s, entry, pass->s->places, pass->now_us) ||
                 together_take(pass->s->capacity, entry_ask(entry), entry_tasks(entry),
                               demand->wish, pass->s->places);
    booked_open(pass->s);
    /* What is kept from one may be free for the next. */
    if (!taken && !pass->is_booked_out)
        refuse(pass, demand, shut ? REFUSED_SHUT : REFUSED_SHUT | REFUSED_ROOM);
    return taken;
}

/* Those who are halted wait again, and may be looked at in this pass too. */
static void stop_all(struct pass *pass, struct entries *stopped, bool is_vacated)
{
    vec_foreach(stopped, victim) {
        entry_stop(pass->s, *victim, pass->now_us);
        (*victim)->is_held = pass->s->options.hold_stopped;
        entry_join(pass->s, *victim);
        if (!is_vacated && !(*victim)->is_held)
            walk_add(pass->walk, *victim, false);
        act(pass, SCHEDULE_STOP, *victim);
        pass->acts->items[pass->acts->len - 1].is_vacated = is_vacated;
    }
    if (pass->walk && stopped->len > 0)
        walk_renew(pass->walk);
    vec_done(stopped);
}

/* Does more than priority say who has less right than whom, and change with time? */
static bool is_by_time(const struct policy *policy) { return policy->level || policy->shares; }

/* Where groups go first, priority counts within them. */
static uint32_t group_of(const struct pass *pass, const struct entry *entry)
{
    return pass->s->options.policy->shares ? entry->line->group : SHARE_ROOT;
}

static void find_lowest(struct pass *pass)
{
    uint32_t n = pass->n_groups;

    pass->lowest = xnew_n(int, n);
    for (uint32_t group = 0; group < n; group++)
        pass->lowest[group] = INT_MAX;
    vec_foreach(&pass->s->running, entry) {
        int *lowest = &pass->lowest[group_of(pass, *entry)];
        if (!(*entry)->line->preemptible)
            continue;
        pass->has_preemptible = true;
        if ((*entry)->line->priority < *lowest)
            *lowest = (*entry)->line->priority;
    }
}

/* With ENTRY, would its group or one above it run no more than its part? Only then others may be stopped for it. */
static bool has_less_than_its_part(const struct schedule *s, const struct entry *entry)
{
    for (uint32_t g = entry->line->group; g != SHARE_ROOT; g = share_parent(s->share, g))
        if (share_over(s->share, g) + entry_milli(entry) <= 0)
            return true;
    return false;
}

/* Nobody needs to be looked for if all who run have as much right, as far as priority and groups say. */
static bool may_stop_others(struct pass *pass, const struct entry *entry)
{
    const struct policy *policy = pass->s->options.policy;

    if (!policy->preempts || policy->level)
        return policy->preempts;
    if (!pass->lowest)
        find_lowest(pass);
    /* A group that came since runs nothing. */
    uint32_t group = group_of(pass, entry);
    if (group < pass->n_groups && pass->lowest[group] < entry->line->priority)
        return true;
    return policy->shares && pass->has_preemptible && has_less_than_its_part(pass->s, entry);
}

/* Was the group of COLUMN refused victims for as little before? Whoever comes later in it has no more right. */
static bool is_refused_to_group(struct pass *pass, struct column *column, int64_t milli)
{
    const struct demand *demand = column->demand;
    size_t last = column->group < pass->n_groups ? pass->last_refusals[column->group] : 0;

    if (column->pass != pass->s->n_passes) {
        column->pass = pass->s->n_passes;
        column->no_victims = false;
        column->read = 0;
    }
    for (size_t i = last; i > column->read && !column->no_victims;) {
        const struct group_refusal *r = &pass->group_refusals.items[i - 1];
        column->no_victims = r->milli <= milli && r->demand->tasks <= demand->tasks &&
                             wish_equal(r->demand->wish, demand->wish) &&
                             ask_covers(&demand->ask, &r->demand->ask);
        i = r->next;
    }
    column->read = last;
    return column->no_victims;
}

/* Groups have more and less right for the same demand: what one was refused holds for itself. */
static bool knows_no_victims(struct pass *pass, const struct entry *entry)
{
    if (pass->s->options.policy->shares)
        return is_refused_to_group(pass, entry->line->column, entry_milli(entry));
    return refused(pass, entry->line->demand) & REFUSED_VICTIMS;
}

static void refuse_victims(struct pass *pass, const struct entry *entry)
{
    struct demand *demand = entry->line->demand;
    uint32_t group = entry->line->group;

    if (!pass->s->options.policy->shares) {
        refuse(pass, demand, REFUSED_VICTIMS);
        return;
    }
    if (group >= pass->n_groups)
        return;
    const struct group_refusal one = { demand, entry_milli(entry), pass->last_refusals[group] };
    vec_push(&pass->group_refusals, one);
    pass->last_refusals[group] = pass->group_refusals.len;
}

static bool take_from_others(struct pass *pass, struct entry *entry)
{
    struct entries stopped = { 0 };
    unsigned max = entry_stops_max(entry);
    bool taken = false, is_booked_out = false;

    if (max == 0 || knows_no_victims(pass, entry))
        return false;
    if (may_stop_others(pass, entry)) {
        capacity_worked(pass->s->capacity, capacity_len(pass->s->capacity) / 8);
        close_reserved(pass, true);
        is_booked_out = booked_close(pass->s, entry, true, pass->now_us);
        taken = victims_take(pass->s, entry, pass->now_us, max, &stopped);
        booked_open(pass->s);
    }
    if (!taken) {
        if (max == UINT_MAX && !is_booked_out)
            refuse_victims(pass, entry);
        return false;
    }
    pass->n_stopped = (unsigned) stopped.len;
    stop_all(pass, &stopped, false);
    return true;
}

/* Would all that is in service and not closed hold ENTRY? */
static bool could(struct pass *pass, const struct entry *entry)
{
    struct demand *demand = entry->line->demand;
    bool shut = pass->closed && pass->reserved.len > 0;
    unsigned known = shut ? KNOWN_EVER_SHUT : KNOWN_EVER;
    unsigned never = shut ? REFUSED_EVER_SHUT : REFUSED_EVER;

    if (!(refused(pass, demand) & known)) {
        capacity_worked(pass->s->capacity, capacity_len(pass->s->capacity) / 16);
        demand->refused |= known | (reserve_could(pass->s, entry) ? 0 : never);
    }
    return !(demand->refused & never);
}

static void reserve(struct pass *pass, const struct entry *entry)
{
    const struct schedule_options *o = &pass->s->options;
    struct demand *demand = entry->line->demand;

    if (o->policy->wait == WAIT_RESERVE && !(refused(pass, demand) & REFUSED_TERM)) {
        bool is_booked_out = booked_close(pass->s, entry, false, pass->now_us);
        pass->shadow_us = reserve_for(pass->s, entry, pass->now_us, &pass->reserved);
        booked_open(pass->s);
        if (pass->reserved.len > 0)
            return;
        if (!is_booked_out)
            refuse(pass, demand, REFUSED_TERM);
    }
    if (!entry_is_due(pass->s, entry, pass->now_us) || !could(pass, entry))
        return;
    (void) booked_close(pass->s, entry, false, pass->now_us);
    reserve_nearest(pass->s, entry, &pass->reserved);
    booked_open(pass->s);
    pass->is_kept = pass->reserved.len > 0;
}

static void need_places(struct schedule *s, unsigned tasks)
{
    if (s->n_places >= tasks)
        return;
    s->n_places = tasks;
    s->places = xrealloc(s->places, tasks * sizeof *s->places);
}

static bool starts(struct pass *pass, struct entry *entry)
{
    struct schedule *s = pass->s;
    unsigned tasks = entry_tasks(entry);

    need_places(s, tasks);
    pass->n_stopped = 0;
    if (!take(pass, entry) && !take_from_others(pass, entry))
        return false;
    entry_start(s, entry, s->places, pass->now_us);
    entry->past->stopped += pass->n_stopped;
    act(pass, SCHEDULE_START, entry);
    return true;
}

/* So many of a line are looked at at once. */
enum { LOOK_MAX = 64 };

/* The next of its line who is gone sooner: it may be let in before a booking begins. Not many are looked at. */
static void add_shorter(struct pass *pass, const struct entry *entry)
{
    struct entry *next = entry->behind;

    for (unsigned i = 0; next && next->limit_us >= entry->limit_us; i++)
        next = i == LOOK_MAX ? NULL : next->behind;
    if (next)
        walk_add(pass->walk, next, false);
}

/* Ranges of declared times of which all, or some, are over when the reservation begins. */
static uint64_t short_limits(const struct pass *pass)
{
    int64_t time_us = pass->shadow_us - pass->now_us;

    if (pass->is_kept || time_us <= 0)
        return 0;
    return UINT64_MAX >> __builtin_clzll((unsigned long long) time_us);
}

static bool may_be_short(const struct pass *pass, const struct line *line)
{
    return line->limits > 0 && (short_limits(pass) & UINT64_C(1) << (line->limits - 1));
}

/* The next of ENTRY's line who ends before the reservation begins; where he is far back, the walk comes by again on the way. */
static void add_short(struct pass *pass, const struct entry *entry)
{
    struct entry *next = entry->behind;

    if (!next || !may_be_short(pass, entry->line))
        return;
    for (unsigned i = 0; next->behind && i < LOOK_MAX && !is_short(pass, next); i++)
        next = next->behind;
    walk_add(pass->walk, next, !is_short(pass, next));
}

/* Who of ENTRY's line is to be looked at after it, though it does not start. */
static void add_next_in_line(struct pass *pass, const struct entry *entry)
{
    if (pass->is_booked_out)
        add_shorter(pass, entry);
    else if (!(refused(pass, entry->line->demand) & REFUSED_ROOM))
        add_short(pass, entry);
}

/* So that a group's small jobs do not keep it running for ever while its large one waits. */
static bool goes_past_overdue(const struct pass *pass, const struct entry *entry)
{
    return pass->overdue && pass->overdue[entry->line->group];
}

static void hold_group(struct pass *pass, const struct entry *entry)
{
    struct schedule *s = pass->s;

    if (!entry_is_overdue(s, entry, pass->now_us) || !could(pass, entry))
        return;
    if (!pass->overdue)
        pass->overdue = xnew_n(bool, share_len(s->share));
    pass->overdue[entry->line->group] = true;
    walk_drop(pass->walk, entry->line->group);
}

/* Whoever is behind ENTRY, which starts: if it was the first of its line the walk finds him itself. */
static void add_behind(struct pass *pass, struct entry *behind, bool was_first)
{
    if (behind && !was_first)
        walk_add(pass->walk, behind, false);
}

/* False: nobody after it may start. */
static bool consider(struct pass *pass, struct entry *entry)
{
    struct schedule *s = pass->s;
    struct entry *behind = entry->behind;
    bool is_apart = entry->past, is_first = entry->line->first == entry;

    if (goes_past_overdue(pass, entry))
        return true;
    bool started = starts(pass, entry);
    if (!started)
        hold_group(pass, entry);
    if (!started && pass->reserved.len == 0) {
        reserve(pass, entry);
        s->is_kept = pass->reserved.len > 0;
        s->kept_for = entry->id;
    }
    if (started && !is_apart)
        add_behind(pass, behind, is_first);
    else if (!is_apart)
        add_next_in_line(pass, entry);
    /* Who is kept out by a booking must not hold back those whom it is for, nor who could not run on what is in service. */
    return started || s->options.policy->wait != WAIT_BLOCK || pass->is_booked_out ||
           !could(pass, entry);
}

/* ---- what nothing can come of -------------------------------------------------------------------------------- */

/* Nothing comes of LINE's first but what time brings. */
static bool is_refused(struct pass *pass, const struct line *line, unsigned what)
{
    struct schedule *s = pass->s;
    bool no_room = what & REFUSED_ROOM;

    if (!no_room)
        no_room = (what & REFUSED_SHUT) && pass->reserved.len > 0 && !may_be_short(pass, line);
    if (!no_room)
        return false;
    if (s->options.policy->shares)
        return is_refused_to_group(pass, line->column, entry_milli(line->first));
    return what & REFUSED_VICTIMS;
}

/* May somebody behind LINE's first in its column be let in before the reservation begins? */
static bool has_short_behind(const struct pass *pass, const struct line *line, unsigned what)
{
    return !(what & REFUSED_ROOM) && (short_limits(pass) & line->column->limits);
}

/* Are machines kept, or is its group held, for who has waited for so long? */
static bool comes_by_time(const struct pass *pass, const struct entry *entry)
{
    return (pass->reserved.len == 0 && entry_is_due(pass->s, entry, pass->now_us)) ||
           entry_is_overdue(pass->s, entry, pass->now_us);
}

/* Does anything come of ENTRY, which is refused? */
static bool comes_of(const struct pass *pass, const struct entry *entry, unsigned what)
{
    enum policy_wait wait = pass->s->options.policy->wait;

    if (wait == WAIT_RESERVE && pass->reserved.len == 0 && !(what & REFUSED_TERM))
        return true;
    return !(what & REFUSED_EVER) && (wait == WAIT_BLOCK || comes_by_time(pass, entry));
}

/* Has nobody waited for so long, or would nothing come of it? */
static bool time_does_nothing(const struct pass *pass, unsigned what)
{
    const struct schedule *s = pass->s;

    if ((what & REFUSED_EVER) || s->options.patience_us == 0 || s->n_patient == s->n_ready)
        return true;
    return pass->reserved.len > 0 && !s->options.policy->shares;
}

/* What can come of LINE's first, if it is looked at? It cannot once it was passed over. */
static enum walk_verdict look(void *userdata, const struct line *line)
{
    struct pass *pass = userdata;

    if (pass->is_promising)
        return WALK_TAKE;
    if (goes_past_overdue(pass, line->first))
        return WALK_PASS_COLUMN;
    unsigned what = refused(pass, line->demand);
    if (!is_refused(pass, line, what) || comes_of(pass, line->first, what))
        return WALK_TAKE;
    if (has_short_behind(pass, line, what))
        return WALK_PASS_LINE;
    return time_does_nothing(pass, what) ? WALK_PASS_COLUMN : WALK_PASS_PRIORITY;
}

/* Everybody who waits asks for what was refused, and nobody has waited so long that machines are kept. */
static bool is_over(const struct pass *pass)
{
    const struct schedule *s = pass->s;

    return pass->n_refused_all == s->n_demands_ready &&
           (pass->reserved.len > 0 || s->options.patience_us == 0 || s->n_patient == s->n_ready);
}

/* ENTRY goes where others of less priority are stopped, and no promise is touched. */
static bool take_by_force(struct pass *pass, struct entry *entry)
{
    struct schedule *s = pass->s;
    struct entries stopped = { 0 };
    unsigned max = entry_stops_max(entry);

    pass->n_stopped = 0;
    if (max == 0 || !may_stop_others(pass, entry))
        return false;
    (void) booked_close(s, entry, true, pass->now_us);
    bool taken = promise_force(s, entry, s->places, pass->now_us, max, &stopped);
    booked_open(s);
    pass->n_stopped = (unsigned) stopped.len;
    stop_all(pass, &stopped, false);
    return taken;
}

static void end_walk(struct pass *pass)
{
    walk_free(pass->walk);
    pass->walk = NULL;
}

static bool is_cut(struct pass *pass)
{
    struct schedule *s = pass->s;

    s->is_cut = s->work_max && capacity_work(s->capacity) >= pass->work_end;
    return s->is_cut;
}

/* Nobody knows when there will be room for ENTRY: once it is due, machines are kept for it. */
static void keep_for_due(struct pass *pass, const struct entry *entry)
{
    struct schedule *s = pass->s;

    if (pass->is_kept || !entry_is_due(s, entry, pass->now_us) || !could(pass, entry))
        return;
    (void) booked_close(s, entry, false, pass->now_us);
    reserve_nearest(s, entry, &pass->reserved);
    booked_open(s);
    vec_foreach(&pass->reserved, node)
        promise_keep_free(s, entry, *node, pass->now_us);
    pass->is_kept = s->is_kept = pass->reserved.len > 0;
    s->kept_for = entry->id;
}

/* All who wait, in order: each starts, or is promised a time, where nothing that was promised before is touched. */
static void keep_promises(struct pass *pass)
{
    struct schedule *s = pass->s;

    while (!is_cut(pass)) {
        struct entry *entry = walk_next(pass->walk);
        if (!entry) {
            promises_finish(s);
            end_walk(pass);
            return;
        }
        struct entry *behind = entry->past ? NULL : entry->behind;
        bool is_first = entry->line->first == entry;
        need_places(s, entry_tasks(entry));
        capacity_worked(s->capacity, capacity_len(s->capacity) / 8 + 1);
        (void) booked_close(s, entry, false, pass->now_us);
        bool taken = promise_try(s, entry, s->places, pass->now_us);
        booked_open(s);
        pass->n_stopped = 0;
        if (taken || take_by_force(pass, entry)) {
            entry_start(s, entry, s->places, pass->now_us);
            entry->past->stopped += pass->n_stopped;
            act(pass, SCHEDULE_START, entry);
            add_behind(pass, behind, is_first);
        } else if (promise_time(s, entry->id) == INT64_MAX) {
            keep_for_due(pass, entry);
            if (behind)
                add_shorter(pass, entry);
        } else if (behind) {
            walk_add(pass->walk, behind, false);
        }
    }
}

int64_t schedule_promised_us(const struct schedule *s, uint64_t id) { return promise_time(s, id); }

static void pass_free(struct schedule *s)
{
    struct pass *pass = s->pass;

    if (!pass)
        return;
    vec_done(&pass->reserved);
    vec_done(&pass->refusals);
    vec_done(&pass->group_refusals);
    free(pass->last_refusals);
    free(pass->lowest);
    free(pass->overdue);
    walk_free(pass->walk);
    free(pass);
    s->pass = NULL;
}

/* What was decided so far may be otherwise now. */
static void give_up(struct schedule *s)
{
    enum { BROKEN_MAX = 20 };

    if (s->pass && s->n_broken < BROKEN_MAX)
        s->n_broken++;
    pass_free(s);
}

static void somebody_came(struct schedule *s)
{
    if (s->pass)
        s->pass->is_late = true;
}

static void begin(struct schedule *s, int64_t now_us, struct schedule_acts *ret)
{
    struct entries leaving = { 0 };

    s->pass = xnew(struct pass);
    *s->pass =
        (struct pass){ .s = s, .now_us = now_us, .n_groups = share_len(s->share), .acts = ret };
    s->pass->last_refusals = xnew_n(size_t, s->pass->n_groups);
    booked_look(s, now_us);
    booked_leave(s, now_us, &leaving);
    stop_all(s->pass, &leaving, true);
    schedule_look(s, now_us);
    s->is_kept = false;
    if (s->n_ready == 0)
        return;
    s->n_passes++;
    vec_foreach(&s->apart, entry)
        (*entry)->past->level = entry_level(s, *entry, now_us);
    s->pass->is_promising = s->options.policy->wait == WAIT_PROMISE;
    if (s->pass->is_promising)
        promises_begin(s, now_us);
    s->pass->walk = walk_new(s, now_us, look, s->pass);
}

static void go_on(struct pass *pass)
{
    struct schedule *s = pass->s;

    pass->work_end = capacity_work(s->capacity) + (s->work_max << s->n_broken);
    if (pass->is_promising && pass->walk)
        keep_promises(pass);
    while (pass->walk && !is_cut(pass)) {
        struct entry *entry = is_over(pass) ? NULL : walk_next(pass->walk);
        if (entry && walk_is_passing(pass->walk))
            add_short(pass, entry);
        else if (!entry || !consider(pass, entry))
            end_walk(pass);
    }
    close_reserved(pass, false);
}

void schedule_pass(struct schedule *s, int64_t now_us, struct schedule_acts *ret)
{
    if (s->pass &&
        (s->pass->changes != capacity_changes(s->capacity) || s->pass->booked != booked_version(s)))
        give_up(s);
    if (!s->pass)
        begin(s, now_us, ret);
    s->pass->acts = ret;
    s->is_cut = false;
    go_on(s->pass);
    s->pass->changes = capacity_changes(s->capacity);
    s->pass->booked = booked_version(s);
    if (s->is_cut)
        return;
    s->is_cut = s->pass->is_late;
    s->n_broken = 0;
    pass_free(s);
}

void schedule_limit(struct schedule *s, uint64_t work) { s->work_max = work; }

bool schedule_is_cut(const struct schedule *s) { return s->is_cut; }

bool schedule_keeps(const struct schedule *s, uint64_t *ret_id)
{
    *ret_id = s->kept_for;
    return s->is_kept;
}

int64_t schedule_next_us(const struct schedule *s, int64_t now_us)
{
    int64_t next_us = INT64_MAX;

    if (s->n_ready > 0 && s->options.policy->preempts && is_by_time(s->options.policy))
        next_us = now_us + INT64_C(1000000) * RELOOK_S;
    if (s->n_waiting > 0 && s->wakes.len > 0 && s->wakes.items[0]->past->wake_us < next_us)
        next_us = s->wakes.items[0]->past->wake_us;
    if (s->oldest && entry_waits_since(s->oldest) + s->options.patience_us < next_us)
        next_us = entry_waits_since(s->oldest) + s->options.patience_us;
    if (promises_next_us(s, now_us) < next_us)
        next_us = promises_next_us(s, now_us);
    if (booked_next_us(s, now_us) < next_us)
        next_us = booked_next_us(s, now_us);
    return next_us > now_us ? next_us : now_us;
}
