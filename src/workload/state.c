/* state.c - the names, and the table of transitions that is the state machine */
#include "workload/internal.h"

#include "base/text.h"

#include <string.h>

static const char *const state_names[WORKLOAD_STATE_MAX] = {
    [WORKLOAD_SUBMITTED] = "submitted", [WORKLOAD_QUEUED] = "queued",
    [WORKLOAD_STARTING] = "starting",   [WORKLOAD_RUNNING] = "running",
    [WORKLOAD_STOPPING] = "stopping",   [WORKLOAD_SUCCEEDED] = "succeeded",
    [WORKLOAD_FAILED] = "failed",       [WORKLOAD_STOPPED] = "stopped",
};

static const char *const event_names[WORKLOAD_EVENT_MAX] = {
    [EVENT_SUBMITTED] = "job.submitted",
    [EVENT_QUEUED] = "job.queued",
    [EVENT_STARTING] = "job.starting",
    [EVENT_RUNNING] = "job.running",
    [EVENT_STOP_REQUESTED] = "job.stop_requested",
    [EVENT_ENDED] = "job.ended",
    [EVENT_SUCCEEDED] = "job.succeeded",
    [EVENT_FAILED] = "job.failed",
    [EVENT_STOPPED] = "job.stopped",
    [EVENT_PINNED] = "job.pinned",
    [EVENT_UPDATED] = "job.updated",
    [EVENT_DELETED] = "job.deleted",
};

static const char *const cause_names[END_CAUSE_MAX] = {
    [END_NONE] = "none",
    [END_EXITED] = "exited",
    [END_SIGNALED] = "signaled",
    [END_OUT_OF_MEMORY] = "out_of_memory",
    [END_DISK_LIMIT] = "disk_limit",
    [END_MAX_TIME] = "max_time",
    [END_STOPPED] = "stopped",
    [END_START_FAILED] = "start_failed",
    [END_SUPERVISOR_LOST] = "supervisor_lost",
    [END_NODE_LOST] = "node_lost",
    [END_GANG] = "gang",
    [END_DEPENDENCY] = "dependency",
    [END_PREEMPTED] = "preempted",
};

const struct workload_transition workload_transitions[] = {
    { WORKLOAD_STATE_INVALID, EVENT_SUBMITTED, WORKLOAD_SUBMITTED, ATTEMPT_ANY },
    { WORKLOAD_SUBMITTED, EVENT_QUEUED, WORKLOAD_QUEUED, ATTEMPT_ANY },

    { WORKLOAD_QUEUED, EVENT_STARTING, WORKLOAD_STARTING, ATTEMPT_ANY },
    { WORKLOAD_QUEUED, EVENT_STOPPED, WORKLOAD_STOPPED, ATTEMPT_ANY },
    /* Its image came, or cannot be had. */
    { WORKLOAD_QUEUED, EVENT_PINNED, WORKLOAD_QUEUED, ATTEMPT_ANY },
    { WORKLOAD_QUEUED, EVENT_FAILED, WORKLOAD_FAILED, ATTEMPT_ANY },
    { WORKLOAD_QUEUED, EVENT_UPDATED, WORKLOAD_QUEUED, ATTEMPT_ANY },

    { WORKLOAD_STARTING, EVENT_RUNNING, WORKLOAD_RUNNING, ATTEMPT_LIVE },
    { WORKLOAD_STARTING, EVENT_STOP_REQUESTED, WORKLOAD_STOPPING, ATTEMPT_LIVE },
    { WORKLOAD_STARTING, EVENT_ENDED, WORKLOAD_STARTING, ATTEMPT_LIVE },
    { WORKLOAD_STARTING, EVENT_QUEUED, WORKLOAD_QUEUED, ATTEMPT_ENDED },
    { WORKLOAD_STARTING, EVENT_SUCCEEDED, WORKLOAD_SUCCEEDED, ATTEMPT_ENDED },
    { WORKLOAD_STARTING, EVENT_FAILED, WORKLOAD_FAILED, ATTEMPT_ENDED },
    { WORKLOAD_STARTING, EVENT_STOPPED, WORKLOAD_STOPPED, ATTEMPT_ENDED },
    { WORKLOAD_STARTING, EVENT_UPDATED, WORKLOAD_STARTING, ATTEMPT_ANY },

    { WORKLOAD_RUNNING, EVENT_STOP_REQUESTED, WORKLOAD_STOPPING, ATTEMPT_LIVE },
    { WORKLOAD_RUNNING, EVENT_ENDED, WORKLOAD_RUNNING, ATTEMPT_LIVE },
    { WORKLOAD_RUNNING, EVENT_QUEUED, WORKLOAD_QUEUED, ATTEMPT_ENDED },
    { WORKLOAD_RUNNING, EVENT_SUCCEEDED, WORKLOAD_SUCCEEDED, ATTEMPT_ENDED },
    { WORKLOAD_RUNNING, EVENT_FAILED, WORKLOAD_FAILED, ATTEMPT_ENDED },
    { WORKLOAD_RUNNING, EVENT_STOPPED, WORKLOAD_STOPPED, ATTEMPT_ENDED },
    { WORKLOAD_RUNNING, EVENT_UPDATED, WORKLOAD_RUNNING, ATTEMPT_ANY },

    /* It came to run while it was being stopped: its time and evidence are kept. */
    { WORKLOAD_STOPPING, EVENT_RUNNING, WORKLOAD_STOPPING, ATTEMPT_LIVE },
    /* Asked again: with less grace, or by somebody who will not have it retried. */
    { WORKLOAD_STOPPING, EVENT_STOP_REQUESTED, WORKLOAD_STOPPING, ATTEMPT_LIVE },
    { WORKLOAD_STOPPING, EVENT_ENDED, WORKLOAD_STOPPING, ATTEMPT_LIVE },
    /* Preempted, or a gang of which one failed: what stopped is tried again. */
    { WORKLOAD_STOPPING, EVENT_QUEUED, WORKLOAD_QUEUED, ATTEMPT_ENDED },
    { WORKLOAD_STOPPING, EVENT_SUCCEEDED, WORKLOAD_SUCCEEDED, ATTEMPT_ENDED },
    { WORKLOAD_STOPPING, EVENT_FAILED, WORKLOAD_FAILED, ATTEMPT_ENDED },
    { WORKLOAD_STOPPING, EVENT_STOPPED, WORKLOAD_STOPPED, ATTEMPT_ENDED },
    { WORKLOAD_STOPPING, EVENT_UPDATED, WORKLOAD_STOPPING, ATTEMPT_ANY },

    { WORKLOAD_SUCCEEDED, EVENT_UPDATED, WORKLOAD_SUCCEEDED, ATTEMPT_ANY },
    { WORKLOAD_FAILED, EVENT_UPDATED, WORKLOAD_FAILED, ATTEMPT_ANY },
    { WORKLOAD_STOPPED, EVENT_UPDATED, WORKLOAD_STOPPED, ATTEMPT_ANY },
    { WORKLOAD_SUCCEEDED, EVENT_DELETED, WORKLOAD_STATE_INVALID, ATTEMPT_ANY },
    { WORKLOAD_FAILED, EVENT_DELETED, WORKLOAD_STATE_INVALID, ATTEMPT_ANY },
    { WORKLOAD_STOPPED, EVENT_DELETED, WORKLOAD_STATE_INVALID, ATTEMPT_ANY },
};
const size_t workload_n_transitions = sizeof workload_transitions / sizeof *workload_transitions;

static int find_name(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (str_equal(names[i], name))
            return i;
    return -22;
}

const char *workload_state_name(enum workload_state state)
{
    return state >= 0 && state < WORKLOAD_STATE_MAX ? state_names[state] : NULL;
}

enum workload_state workload_state_parse(const char *name)
{
    return (enum workload_state) find_name(state_names, WORKLOAD_STATE_MAX, name);
}

bool workload_state_is_final(enum workload_state state)
{
    return state == WORKLOAD_SUCCEEDED || state == WORKLOAD_FAILED || state == WORKLOAD_STOPPED;
}

const char *workload_event_name(enum workload_event type)
{
    return type >= 0 && type < WORKLOAD_EVENT_MAX ? event_names[type] : NULL;
}

enum workload_event workload_event_parse(const char *name)
{
    return (enum workload_event) find_name(event_names, WORKLOAD_EVENT_MAX, name);
}

const char *end_cause_name(enum end_cause cause)
{
    return cause >= 0 && cause < END_CAUSE_MAX ? cause_names[cause] : NULL;
}

enum end_cause end_cause_parse(const char *name)
{
    return (enum end_cause) find_name(cause_names, END_CAUSE_MAX, name);
}

char *workload_transitions_diagram(void)
{
    struct text t = { 0 };
    static const char *const guards[] = {
        [ATTEMPT_ANY] = "",
        [ATTEMPT_LIVE] = " [attempt lives]",
        [ATTEMPT_ENDED] = " [attempt ended]",
    };

    text_add(&t, "stateDiagram-v2\n");
    for (size_t i = 0; i < workload_n_transitions; i++) {
        const struct workload_transition *row = &workload_transitions[i];
        const char *from = workload_state_name(row->from), *to = workload_state_name(row->to);
        text_addf(&t, "    %s --> %s: %s%s\n", from ? from : "[*]", to ? to : "[*]",
                  event_names[row->event] + strlen("job."), guards[row->guard]);
    }
    return text_take(&t);
}
