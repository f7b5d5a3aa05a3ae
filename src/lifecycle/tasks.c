/* tasks.c - tasks away from the server prove who they are, and hear what they are to do
 *
 * A token is a keyed hash of the task's id and epoch: it is not stored, the same after a restart, and
 * worth nothing from the moment at which its attempt is over here, whatever runs elsewhere.
 */
#include "lifecycle/internal.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* Of a task that was started anew: so many tokens before its own are told from others' tokens. */
enum { EPOCHS_KNOWN = 64 };

/* Takes the same time wherever the two differ. */
static bool tokens_equal(const char *a, const char *b)
{
    unsigned differ = 0;

    for (size_t i = 0; i < TASK_TOKEN_LEN; i++)
        differ |= (unsigned char) a[i] ^ (unsigned char) b[i];
    return differ == 0;
}

static bool is_token_of(const struct lifecycle *lc, const struct id *task, unsigned epoch,
                        const char *token)
{
    char expected[TASK_TOKEN_LEN + 1];

    lc->sources.token(lc->sources.userdata, task, epoch, expected);
    bool is_right = tokens_equal(expected, token);
    explicit_bzero(expected, sizeof expected);
    return is_right;
}

static bool is_well_formed(const char *token)
{
    size_t n = 0;

    while (isxdigit((unsigned char) token[n]))
        n++;
    return n == TASK_TOKEN_LEN && !token[n];
}

static int refuse_token(const struct lifecycle *lc, const struct id *task, unsigned epoch,
                        const char *token, struct error *err)
{
    for (unsigned past = 1; past <= EPOCHS_KNOWN && past < epoch; past++)
        if (is_token_of(lc, task, epoch - past, token))
            return error_set(err, -EKEYREVOKED, "the task was given up and started anew");
    return error_set(err, -EPERM, "the token is not this task's");
}

bool lifecycle_is_away(const struct lifecycle *lc) { return lc->engine->ops->orders != NULL; }

bool lifecycle_task_lives(const struct lifecycle *lc, const struct id *task, unsigned epoch)
{
    size_t rank = 0;
    const struct job *job = live_task(lc, task, &rank);

    return job && (!job->gang || gang_lives(job, rank)) && job->w->attempt->epoch == epoch;
}

int lifecycle_task_open(struct lifecycle *lc, const struct id *id, const char *token,
                        struct lifecycle_task *ret, struct error *err)
{
    size_t rank = 0;
    const struct job *job = live_task(lc, id, &rank);

    if (!is_well_formed(token))
        return error_set(err, -EKEYREJECTED, "the token is no task's");
    /* What never was and what is over look the same to whoever asks. */
    if (!job || job->ashore || (job->gang && !gang_lives(job, rank)))
        return error_set(err, -EKEYREVOKED, "the task is over");
    const struct attempt *attempt = job->w->attempt;
    if (!is_token_of(lc, id, attempt->epoch, token))
        return refuse_token(lc, id, attempt->epoch, token, err);
    if (!job->launched)
        return error_set(err, -EAGAIN, "the task is not taken up yet");
    *ret = (struct lifecycle_task){ .task = *id,
                                    .attempt = attempt->id,
                                    .project = job->w->project,
                                    .workload = job->w->id,
                                    .uid_base = job_uid_base(lc, job),
                                    .epoch = attempt->epoch,
                                    .is_away = lifecycle_is_away(lc),
                                    .log_limit_bytes = lc->settings.log_limit_bytes,
                                    .spec = job->w->spec };
    return 0;
}

void lifecycle_task_news(struct lifecycle *lc, const struct id *task)
{
    if (lc->engine->ops->news)
        lc->engine->ops->news(lc->engine, task);
}

json_t *lifecycle_task_orders(struct lifecycle *lc, const struct id *task, int64_t after)
{
    return lc->engine->ops->orders ? lc->engine->ops->orders(lc->engine, task, after)
                                   : json_array();
}

void lifecycle_task_connect(struct lifecycle *lc, const struct id *task, const char *stream)
{
    if (lc->engine->ops->connect)
        lc->engine->ops->connect(lc->engine, task, stream);
}

bool lifecycle_task_linger(struct lifecycle *lc, const struct id *task)
{
    return lc->engine->ops->linger && lc->engine->ops->linger(lc->engine, task);
}

void lifecycle_on_task(struct lifecycle *lc, const struct lifecycle_task_listener *listener)
{
    lc->task_listener = listener ? *listener : (struct lifecycle_task_listener){ 0 };
}

void task_changed(const struct lifecycle *lc, const struct id *task)
{
    if (lc->task_listener.changed)
        lc->task_listener.changed(lc->task_listener.userdata, task);
}

void task_next(const struct lifecycle *lc, const struct id *task, const struct id *next,
               const char *token)
{
    if (lc->task_listener.next)
        lc->task_listener.next(lc->task_listener.userdata, task, next, token);
}
