/* logs.c - berth logs */
#include "cli/commands.h"
#include "cli/follow.h"

#include <errno.h>
#include <limits.h>

static const struct cli_flag flags[] = {
    { "follow", "f", NULL, "go on as more comes, until the job has ended" },
    { "tail", NULL, "N", "only the last N lines" },
    { "since-line", NULL, "N", "from line N on, the first is 0" },
    { "lines", NULL, "N", "at most N lines" },
    { "raw", NULL, NULL, "escape sequences as they came, also to a terminal" },
    { "attempt", NULL, "N", "of attempt N; the last when left out" },
    RANK_FLAG,
    { "stream", NULL, "NAME", "what was printed to stdout, or to stderr, alone" },
    { "search", NULL, "TEXT",
      "only the lines that have TEXT, each with its number; exits with 1 when none has" },
    { NULL },
};

static int number(const struct args *args, const char *flag, int64_t least, int64_t *ret,
                  struct error *err)
{
    const char *value = args_get(args, flag);
    long long n;

    if (!value)
        return 0;
    if (str_to_i64(value, least, INT_MAX, &n) < 0)
        return error_set(err, -EINVAL, "--%s %.40s: not a number of %lld or more", flag, value,
                         (long long) least);
    *ret = n;
    return 0;
}

static int print(struct cli *cli, struct log_request *q, const char *wanted, struct error *err)
{
    struct error refusal = { 0 };
    _cleanup_json_ json_t *job = NULL;
    int r = wanted ? log_print_matches(cli, q, wanted, err) : log_print(cli, q, err);

    /* More than one is meant: is it because it is an array? */
    if (r == -EEXIST && job_get(cli, q->job, &job, &refusal) >= 0 && is_whole_array(job)) {
        *err = (struct error){ 0 };
        r = array_logs(cli, q, wanted, err);
    }
    return r;
}

/* Has JOB many tasks, of which none was named? What is wrong with the job, reading its log tells. */
static bool has_many(struct cli *cli, const char *job)
{
    _cleanup_json_ json_t *found = NULL;
    struct error err = { 0 };

    return job_get(cli, job, &found, &err) >= 0 &&
           json_array_size(json_object_get(json_object_get(found, "attempt"), "tasks")) > 1;
}

static int stream_of(struct cli *cli, const struct args *args, struct log_request *q,
                     struct error *err)
{
    q->stream = args_get(args, "stream");
    if (!q->stream)
        return 0;
    if (!str_equal(q->stream, "stdout") && !str_equal(q->stream, "stderr"))
        return error_set(err, -EINVAL, "--stream %.40s: stdout or stderr", q->stream);
    if (q->rank < 0 && has_many(cli, q->job))
        return error_set(err, -EINVAL,
                         "--stream: the job has many tasks; say of which one with --rank");
    return 0;
}

static int request_of(struct cli *cli, const struct args *args, struct log_request *q,
                      struct error *err)
{
    int64_t attempt = 0;
    int r = number(args, "tail", 0, &q->tail, err);

    if (r == 0)
        r = number(args, "since-line", 0, &q->from, err);
    if (r == 0)
        r = number(args, "lines", 1, &q->lines, err);
    if (r == 0)
        r = number(args, "attempt", 1, &attempt, err);
    if (r == 0)
        r = rank_of(args, &q->rank, err);
    if (r == 0)
        r = stream_of(cli, args, q, err);
    q->attempt = (int) attempt;
    if (r == 0 && args_has(args, "search") && (q->follow || q->tail >= 0))
        r = error_set(err, -EINVAL, "--search looks at what is there; not with --follow or --tail");
    return r;
}

static int run(struct cli *cli, const struct args *args, struct error *err)
{
    struct log_request q = { .job = args_operand(args, 0),
                             .from = -1,
                             .tail = -1,
                             .lines = -1,
                             .follow = args_has(args, "follow") || cli->wait,
                             .raw = args_has(args, "raw") };
    int r = request_of(cli, args, &q, err);

    if (r < 0)
        return r;
    bool whole = q.rank < 0 && !args_has(args, "search");
    q.merged = whole && !q.stream && (q.follow || has_many(cli, q.job));
    interrupt_catch();
    r = print(cli, &q, args_get(args, "search"), err);
    interrupt_release();
    free(q.last_line);
    return r == -EINTR ? 130 : r;
}

const struct command command_logs = {
    .verb = "logs",
    .operands = "JOB",
    .summary = "Print what a job printed; of an array, each of its jobs in turn",
    .examples =
        "berth logs tiny-gpt\n"
        "berth logs -f tiny-gpt          follow it, over lost connections\n"
        "berth logs --tail 20 tiny-gpt\n"
        "berth logs --attempt 1 tiny-gpt\n"
        "berth logs --rank 2 pair        one task of many; without it all, after their ranks\n"
        "berth logs sweep_3              one job of the array sweep\n"
        "berth logs --stream stderr tiny-gpt\n"
        "berth logs --search Traceback tiny-gpt",
    .flags = flags,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
