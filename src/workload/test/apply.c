/* The state machine by property: over random events, the table is what happens and nothing else. */
#include "workload/workload.h"

#include "base/alloc.h"
#include "tests/random.h"
#include "tests/tap.h"

#include <errno.h>

static struct id id_of(unsigned n)
{
    struct id id = { { 1, 2, 3, 4, 5, 6, 0x70, 8, 0x80 } };
    memcpy(id.bytes + 12, &n, sizeof n);
    return id;
}

static json_t *spec_json(void)
{
    return json_pack("{s:[s,s], s:i, s:i, s:{s:i}}", "command", "sleep", "1", "cpus", 1, "memory",
                     1048576, "retries", "max", 2);
}

/* A gang of three in every other attempt. */
static json_t *with_tasks(json_t *data, unsigned epoch)
{
    char id[ID_TEXT_LEN + 1];
    json_t *tasks = json_array();

    for (unsigned rank = 0; rank < 3 && epoch % 2; rank++) {
        struct id task = id_of(2000 + 10 * epoch + rank);
        (void) json_array_append_new(tasks,
                                     json_pack("{s:i, s:s, s:i, s:s, s:{s:s, s:s, s:s}}", "rank",
                                               rank, "id", id_format(&task, id), "local_rank", rank,
                                               "role", "worker", "allocation", "node", "n1", "cpus",
                                               "0", "mems", "0"));
    }
    json_put(data, "tasks", tasks);
    return data;
}

/* Something new of one of them, if there are any. */
static json_t *with_news(const struct workload *w, json_t *data)
{
    unsigned rank = random_below(3);

    if (!w || !w->attempt || !w->attempt->n_tasks)
        return data;
    json_put(data, "tasks",
             json_pack("[{s:i, s:s, s:s, s:i, s:s}]", "rank", rank, "started",
                       "2026-01-01T00:00:00Z", "cause", "exited", "exit_code", random_below(3),
                       "ended", "2026-01-01T00:00:09Z"));
    json_put_int(data, "failed_rank", rank);
    return data;
}

/* Data that fits the state of W, so that only the table decides. */
static json_t *data_for(const struct workload *w, enum workload_event type, int64_t now)
{
    char id[ID_TEXT_LEN + 1];
    struct id attempt = id_of(1000 + (unsigned) now);
    enum end_cause cause = (enum end_cause)(1 + random_below(END_CAUSE_MAX - 1));
    unsigned epoch;

    switch ((int) type) {
    case EVENT_SUBMITTED:
        return json_pack("{s:s, s:o, s:{s:s}, s:i}", "name", "x", "spec", spec_json(), "tags", "a",
                         "b", "priority", 3);
    case EVENT_QUEUED:
        return json_pack("{s:I}", "eligible_us", (json_int_t) now + 5);
    case EVENT_STARTING:
        epoch = w && w->attempt ? w->attempt->epoch + 1 + random_below(3) : 1;
        return with_tasks(json_pack("{s:s, s:i, s:i, s:{s:s, s:s, s:s}, s:{s:s}}", "attempt",
                                    id_format(&attempt, id), "number", w ? w->attempts + 1 : 1,
                                    "epoch", epoch, "allocation", "node", "n1", "cpus", "0-1",
                                    "mems", "0", "record", "flavor", "cpu.1"),
                          epoch);
    case EVENT_RUNNING:
        return json_pack("{s:I, s:{s:s}}", "started_us", (json_int_t) now, "evidence",
                         "image_digest", "sha256:1");
    case EVENT_STOP_REQUESTED:
        return with_news(w, json_pack("{s:s}", "cause", end_cause_name(cause)));
    case EVENT_ENDED:
        return json_pack("{s:s, s:i, s:s, s:I, s:{s:i}}", "cause", end_cause_name(cause),
                         "exit_code", random_below(3), "reason", "because", "ended_us",
                         (json_int_t) now, "usage", "log_lines", 1);
    case EVENT_PINNED:
        return json_pack("{s:s}", "image_digest",
                         "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae");
    case EVENT_UPDATED:
        return json_pack("{s:{s:i}, s:i}", "tags", "n", (int) now, "priority", random_below(9));
    default:
        return json_object();
    }
}

static struct event *make_event(const struct workload *w, enum workload_event type, int64_t now)
{
    struct event *event = xnew(struct event);

    event->time_us = now;
    event->project = id_of(1);
    event->subject = id_of(2);
    event->subject_kind = "job";
    event->type = workload_event_name(type);
    event->version = 1;
    event->data = data_for(w, type, now);
    return event;
}

static char *picture(const struct workload *w)
{
    if (!w)
        return xstrdup("none");
    _cleanup_json_ json_t *json = workload_to_json(w, true);
    _cleanup_free_ char *text = json_canonical(json);
    return xasprintf("%s %d %d %lld", text, w->stop_cause, w->exit_code,
                     (long long) w->eligible_us);
}

static const struct workload_transition *row_for(const struct workload *w, enum workload_event type)
{
    for (size_t i = 0; i < workload_n_transitions; i++) {
        const struct workload_transition *row = &workload_transitions[i];
        bool live = w && workload_has_live_attempt(w);
        if (row->from == (w ? w->state : WORKLOAD_STATE_INVALID) && row->event == type &&
            (row->guard == ATTEMPT_ANY || live == (row->guard == ATTEMPT_LIVE)))
            return row;
    }
    return NULL;
}

struct history {
    struct event *events[64];
    size_t n;
};

/* One random life; checks each step against the table and keeps the events that were folded. */
static struct workload *live(struct history *history)
{
    struct workload *w = NULL;

    for (int step = 0; step < 400 && history->n < 64; step++) {
        enum workload_event type = (enum workload_event) random_below(WORKLOAD_EVENT_MAX);
        if (type == EVENT_DELETED && random_below(4))
            continue;
        struct event *event = make_event(w, type, 1000 + step);
        const struct workload_transition *row = row_for(w, type);
        _cleanup_free_ char *before = picture(w);
        uint64_t version = w ? w->version : 0;
        struct error err = { 0 };
        int r = workload_apply(&w, event, &err);

        if (!row) {
            _cleanup_free_ char *after = picture(w);
            ok(r == -EPROTO && err.code != 0);
            is_str(after, before);
            event_free(event);
            continue;
        }
        ok(r == 0);
        ok(w ? w->state == row->to && w->version == version + 1
             : row->to == WORKLOAD_STATE_INVALID);
        history->events[history->n++] = event;
        if (!w)
            break;
    }
    return w;
}

TEST(random_lives_follow_the_table_and_fold_again_to_the_same)
{
    unsigned ends = 0;

    for (int life = 0; life < 300; life++) {
        struct history history = { 0 };
        _cleanup_(workload_freep) struct workload *w = live(&history), *again = NULL;

        for (size_t i = 0; i < history.n; i++) {
            ok(workload_apply(&again, history.events[i], NULL) == 0);
            event_free(history.events[i]);
        }
        _cleanup_free_ char *one = picture(w), *two = picture(again);
        is_str(two, one);
        ends += !w || workload_state_is_final(w->state);
    }
    ok(ends > 100);
}

static void must(struct workload **w, enum workload_event type, json_t *data, int64_t now)
{
    _cleanup_(event_freep) struct event *event = make_event(*w, type, now);
    struct error err = { 0 };

    if (data) {
        json_decref(event->data);
        event->data = data;
    }
    ok(workload_apply(w, event, &err) == 0);
    is_str(err.text, "");
}

TEST(a_failed_attempt_is_retried_as_a_new_one)
{
    _cleanup_(workload_freep) struct workload *w = NULL;
    int64_t backoff = 0;

    must(&w, EVENT_SUBMITTED, NULL, 1);
    must(&w, EVENT_QUEUED, NULL, 1);
    must(&w, EVENT_STARTING, NULL, 2);
    must(&w, EVENT_RUNNING, NULL, 3);
    is_str(json_get_str(w->attempt->record, "image_digest", ""), "sha256:1");
    ok(workload_may_retry(w, END_EXITED, &backoff) && backoff == 10);
    must(&w, EVENT_ENDED, json_pack("{s:s,s:i}", "cause", "exited", "exit_code", 3), 9);
    ok(w->state == WORKLOAD_RUNNING && !workload_has_live_attempt(w) &&
       w->attempt->state == WORKLOAD_FAILED);
    must(&w, EVENT_QUEUED, NULL, 9);
    ok(w->started_us == 0 && w->exit_code == 3 && w->eligible_us == 14);
    must(&w, EVENT_STARTING, NULL, 20);
    ok(w->attempts == 2 && w->attempt->epoch > 1);
    ok(workload_may_retry(w, END_NODE_LOST, &backoff) && backoff == 20);
    ok(!workload_may_retry(w, END_MAX_TIME, &backoff) &&
       !workload_may_retry(w, END_STOPPED, &backoff));
    must(&w, EVENT_STOP_REQUESTED, json_pack("{s:s,s:i}", "cause", "stopped", "grace_s", 7), 21);
    ok(w->stop_grace_s == 7);
    ok(!workload_may_retry(w, END_SIGNALED, &backoff));
    ok(workload_outcome(w, END_SIGNALED, 143) == EVENT_STOPPED);
    ok(workload_outcome(w, END_EXITED, 0) == EVENT_SUCCEEDED);
}

TEST(who_makes_room_uses_up_no_retry)
{
    _cleanup_(workload_freep) struct workload *w = NULL;
    int64_t backoff = 0;

    must(&w, EVENT_SUBMITTED, NULL, 1);
    must(&w, EVENT_QUEUED, NULL, 1);
    must(&w, EVENT_STARTING, NULL, 2);
    must(&w, EVENT_RUNNING, NULL, 3);
    /* Not ours: a site's, of a job that must not be. */
    ok(!workload_is_preempted(w, END_PREEMPTED) && !workload_is_preempted(w, END_NODE_LOST));
    must(&w, EVENT_STOP_REQUESTED, json_pack("{s:s}", "cause", "preempted"), 4);
    ok(workload_is_preempted(w, END_PREEMPTED) && workload_is_preempted(w, END_NODE_LOST) &&
       workload_is_preempted(w, END_SUPERVISOR_LOST));
    ok(!workload_is_preempted(w, END_EXITED) && !workload_is_preempted(w, END_OUT_OF_MEMORY));
    ok(workload_may_retry(w, END_EXITED, &backoff)); /* it failed by itself */
    must(&w, EVENT_ENDED, json_pack("{s:s,s:i}", "cause", "preempted", "exit_code", 0), 9);
    ok(w->preemptions == 1 && w->attempt->state == WORKLOAD_STOPPED && w->ran_us == 6);
    must(&w, EVENT_QUEUED, NULL, 9);
    ok(!w->stop_requested && w->cause == END_PREEMPTED && w->queued_us == 9 &&
       w->stop_grace_s == 0);
    must(&w, EVENT_STARTING, NULL, 20);
    ok(workload_may_retry(w, END_EXITED, &backoff) && backoff == 10); /* as of the first attempt */
    must(&w, EVENT_STOP_REQUESTED, json_pack("{s:s}", "cause", "preempted"), 21);
    must(&w, EVENT_STOP_REQUESTED, json_pack("{s:s}", "cause", "stopped"), 22);
    must(&w, EVENT_ENDED, json_pack("{s:s}", "cause", "preempted"), 23);
    ok(w->cause == END_STOPPED && w->preemptions == 1 &&
       workload_outcome(w, w->cause, -1) == EVENT_STOPPED);
}

static json_t *starting_data(const struct workload *w, int stopped)
{
    json_t *data = data_for(w, EVENT_STARTING, 1);

    json_put_int(data, "stopped", stopped);
    return data;
}

TEST(who_fails_over_and_over_is_known_until_it_runs_for_long)
{
    _cleanup_(workload_freep) struct workload *w = NULL;
    int64_t at_us = 10;

    must(&w, EVENT_SUBMITTED, NULL, 1);
    must(&w, EVENT_QUEUED, NULL, 1);
    for (unsigned i = 0; i < 3; i++) {
        must(&w, EVENT_STARTING, starting_data(w, 2), at_us);
        ok(w->returns == i && w->stops == 2 * (i + 1));
        must(&w, EVENT_RUNNING, json_pack("{s:I}", "started_us", (json_int_t) at_us), at_us);
        must(&w, EVENT_ENDED,
             json_pack("{s:s,s:i,s:I}", "cause", "exited", "exit_code", 3, "ended_us",
                       (json_int_t) at_us + 5),
             at_us + 5);
        must(&w, EVENT_QUEUED, NULL, at_us + 5);
        at_us += 10;
    }
    must(&w, EVENT_STARTING, starting_data(w, 0), at_us);
    must(&w, EVENT_RUNNING, json_pack("{s:I}", "started_us", (json_int_t) at_us), at_us);
    at_us += WORKLOAD_STEADY_US;
    must(&w, EVENT_ENDED,
         json_pack("{s:s,s:i,s:I}", "cause", "exited", "exit_code", 3, "ended_us",
                   (json_int_t) at_us),
         at_us);
    ok(w->returns == 0 && w->stops == 0);
    must(&w, EVENT_QUEUED, NULL, at_us);
    ok(w->returns == 1);
}

TEST(an_event_that_is_not_understood_changes_nothing)
{
    _cleanup_(workload_freep) struct workload *w = NULL;
    must(&w, EVENT_SUBMITTED, NULL, 1);
    must(&w, EVENT_QUEUED, NULL, 1);
    _cleanup_(event_freep) struct event *event = make_event(w, EVENT_STARTING, 2);

    json_put_int(event->data, "number", 7);
    ok(workload_apply(&w, event, NULL) == -EPROTO && w->version == 2 && !w->attempt);
    json_put_int(event->data, "number", 1);
    event->version = 2;
    ok(workload_apply(&w, event, NULL) == -EPROTO && w->version == 2);
    event->version = 1;
    event->subject = id_of(77);
    ok(workload_apply(&w, event, NULL) == -EPROTO && w->version == 2);
}

TEST(names_go_both_ways)
{
    for (int i = 0; i < WORKLOAD_EVENT_MAX; i++)
        ok(workload_event_parse(workload_event_name((enum workload_event) i)) ==
           (enum workload_event) i);
    for (int i = 0; i < WORKLOAD_STATE_MAX; i++)
        ok(workload_state_parse(workload_state_name((enum workload_state) i)) ==
           (enum workload_state) i);
    for (int i = 0; i < END_CAUSE_MAX; i++)
        ok(end_cause_parse(end_cause_name((enum end_cause) i)) == (enum end_cause) i);
}

TEST(the_table_prints_as_a_diagram)
{
    _cleanup_free_ char *text = workload_transitions_diagram();
    ok(strstr(text, "    [*] --> submitted: submitted\n") != NULL);
    ok(strstr(text, "    starting --> running: running [attempt lives]\n") != NULL);
    ok(strstr(text, "    failed --> [*]: deleted\n") != NULL);
}

TEST(the_docs_show_the_table_as_it_is)
{
    const char *source = getenv("BERTH_SOURCE");
    if (!source) {
        printf("# BERTH_SOURCE is not set: not compared\n");
        return;
    }
    _cleanup_free_ char *path = xasprintf("%s/docs/job-states.md", source);
    _cleanup_free_ char *page = xnew_n(char, 65536), *want = workload_transitions_diagram();
    FILE *file = fopen(path, "re");
    ok(file && fread(page, 1, 65535, file) > 0);
    if (file)
        (void) fclose(file);
    if (!strstr(page, want))
        printf("# docs/job-states.md must hold:\n%s", want);
    ok(strstr(page, want) != NULL);
}

TEST(an_end_has_words)
{
    _cleanup_free_ char *a = workload_end_text(END_EXITED, 3, NULL),
                        *b = workload_end_text(END_SIGNALED, 139, "oops");
    _cleanup_free_ char *c =
        workload_end_text(END_SUPERVISOR_LOST, -1,
                          "supervisor lost: it ended without leaving a result");
    is_str(c, "supervisor lost: it ended without leaving a result");
    is_str(a, "the command ended with exit code 3");
    is_str(b, "the command was killed by signal 11: oops");
}

TAP_MAIN
