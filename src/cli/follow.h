/* follow.h - live with a job: its states with their reasons, its log, its end */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include "cli/internal.h"

struct log_request {
    const char *job; /* name or id */
    int attempt;     /* 0: the last */
    int rank;        /* of a task; -1: not given */
    int64_t from;    /* first line; -1: the beginning, or as TAIL says */
    int64_t tail;    /* -1: all */
    int64_t lines;   /* at most; -1: all */
    bool follow;
    bool merged;        /* all tasks of a job that has many, each line after its rank */
    const char *stream; /* "stdout", "stderr"; NULL: both */
    bool raw;           /* a terminal gets what steers it, too */
    char *last_line;    /* id of the last line printed, to resume after it; owned; NULL */
    /* Followed: the job changed its state ({"state","attempt","reason","exit_code"}); or something, maybe
     * only a sign of life, came. Both may be NULL. */
    void (*on_state)(void *userdata, const json_t *state);
    void (*on_beat)(void *userdata);
    void *userdata;
};

/* The log to stdout. Followed: until the job has ended, also over its next attempts, lost connections
 * and restarts of the server, each line once. -EINTR after Ctrl-C. */
int log_print(struct cli *cli, struct log_request *q, struct error *err);

/* Print the lines that have WANTED; 1 when none has (log-search.c). */
int log_print_matches(struct cli *cli, const struct log_request *q, const char *wanted,
                      struct error *err);

/* What `berth run` does after the submit: until the job has ended. Returns its exit code (125 when it
 * has none), 130 after Ctrl-C. */
int follow_job(struct cli *cli, const char *id, const char *name, struct error *err);
/* The same for a run that a change at CHANGED_US (boot clock; 0: none) made necessary: says how long that took. */
int follow_changed(struct cli *cli, const char *id, const char *name, int64_t changed_us,
                   struct error *err);
/* Wait for the end without the log, telling states; RET is the job. */
int wait_for_end(struct cli *cli, const char *id, json_t **ret, struct error *err);
/* The exit code that `berth run` gives for a job that has ended. */
int job_exit_code(const json_t *job);
/* "succeeded  in 1m 2s …" on stderr. */
void print_end(const struct cli *cli, const json_t *job);
/* What `berth run --array` does after the submit: as follow_job(), with states for the log. */
int follow_array(struct cli *cli, const char *id, const char *name, struct error *err);
/* Is this answer of the API an array as a whole? */
bool is_whole_array(const json_t *job);
/* The jobs of an array, by index; RET is the caller's (array.c). */
int array_jobs(struct cli *cli, const char *array, json_t **ret, struct error *err);
/* "sweep_[3-7,9]" to the names of those jobs, added to NAMES; any other name as it is. -EINVAL. */
int array_names(const char *text, json_t *names, struct error *err);
/* The exit code of an array that has ended: the greatest of its jobs. */
int array_exit_code(struct cli *cli, const json_t *array, struct error *err);
/* The logs of the jobs of an array one after the other, each after its name. WANTED (NULL: everything) as for
 * log_print_matches(). */
int array_logs(struct cli *cli, const struct log_request *q, const char *wanted, struct error *err);
/* GET the job. */
int job_get(struct cli *cli, const char *name_or_id, json_t **ret, struct error *err);

/* Is this failure of a call one that passes (a server that restarts, a connection that was cut)? */
bool is_passing(int code);
/* Wait a little before the next try; -EINTR after Ctrl-C, CODE after a minute without a server. */
int wait_for_server(struct cli *cli, int code, int64_t *since_us, struct error *err);

#endif
