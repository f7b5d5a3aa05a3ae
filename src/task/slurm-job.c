/* slurm-job.c - one Slurm job a task: its script goes to sbatch's stdin, for it holds the task's token
 *
 * Slurm is never asked to requeue: whether a task runs again is Berth's to say. A job that was requeued
 * nevertheless ends at once by itself.
 */
#include "task/slurm-job.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/vec.h"
#include "task/layers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

enum { TIME_MARGIN_S = 300 };

#define MIB (INT64_C(1) << 20)

/* Below are the system's accounts (Debian, Red Hat); from 60000 on those that Debian gives to packages, that systemd
 * makes up for services, nobody, and what 16 bits cannot tell from it. */
enum { UID_PEOPLE_MIN = 1000, UID_OTHERS_MIN = 60000, UID_OTHERS_MAX = 65535 };

/* ---- is it of its form? ----------------------------------------------------------------------------- */

static bool is_word(const char *s, size_t size)
{
    size_t len = strnlen(s, size);

    if (len == 0 || len == size || s[0] == '-' || s[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", s[i]))
            return false;
    return true;
}

int slurm_account_check(const char *field, const char *name, struct error *err)
{
    if (is_word(name, SLURM_ACCOUNT_MAX + 1) && !(name[0] >= '0' && name[0] <= '9'))
        return 0;
    return error_set(err, -EINVAL,
                     "%s: '%.40s' is no name of an account: up to %d letters, digits, '_', '.' and "
                     "'-', a letter first",
                     field, name, SLURM_ACCOUNT_MAX);
}

static bool is_token(const char token[TASK_TOKEN_LEN + 1])
{
    return strnlen(token, TASK_TOKEN_LEN + 1) == TASK_TOKEN_LEN &&
           strspn(token, "0123456789abcdef") == TASK_TOKEN_LEN;
}

static int check_amounts(const struct slurm_job_order *order, struct error *err)
{
    if (order->cpus == 0 || order->memory_bytes <= 0 || order->memory_bytes > INT64_MAX - MIB ||
        order->limit_s < 0 || order->limit_s > INT32_MAX || order->grace_s < 0 ||
        order->grace_s > INT32_MAX)
        return error_set(err, -EINVAL, "order: cores, memory or times are none");
    return 0;
}

int slurm_job_order_check(const struct slurm_job_order *order, struct error *err)
{
    if (!memchr(order->account, '\0', sizeof order->account))
        return error_set(err, -EINVAL, "order: the account has no end");
    int r = order->account[0] ? slurm_account_check("order", order->account, err) : 0;
    if (r < 0)
        return r;
    if (id_is_none(&order->task))
        return error_set(err, -EINVAL, "order: the task is missing");
    if (order->job != 0)
        return 0;
    if (id_is_none(&order->project))
        return error_set(err, -EINVAL, "order: the project is missing");
    if (!is_word(order->node, sizeof order->node))
        return error_set(err, -EINVAL, "order: the node's name is none");
    if (!is_token(order->token))
        return error_set(err, -EINVAL, "order: the token is none");
    return check_amounts(order, err);
}

/* ---- commands --------------------------------------------------------------------------------------- */

struct words {
    VEC(char *) items;
};

__attribute__((format(printf, 2, 3))) static void add(struct words *words, const char *fmt, ...)
{
    struct text text = { 0 };
    va_list ap;

    va_start(ap, fmt);
    text_addv(&text, fmt, ap);
    va_end(ap);
    vec_push(&words->items, text_take(&text));
}

static char **take(struct words *words)
{
    vec_push(&words->items, NULL);
    return words->items.items;
}

void slurm_words_free(char **words)
{
    for (char **word = words; word && *word; word++)
        free(*word);
    free(words);
}

char **slurm_environment(const char *conf, const char *bin)
{
    struct words words = { 0 };

    add(&words, "PATH=%s%s/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        bin ? bin : "", bin ? ":" : "");
    add(&words, "LC_ALL=C.UTF-8");
    add(&words, "TZ=UTC");
    if (conf)
        add(&words, "SLURM_CONF=%s", conf);
    return take(&words);
}

static void add_limits(struct words *args, const struct slurm_job_order *order)
{
    int64_t grace_s = order->grace_s > 0 ? order->grace_s : 0;

    /* Berth's own limit comes first; Slurm's is for when nobody hears it. Without one the partition's holds,
     * and a word comes before. */
    if (order->limit_s > 0)
        add(args, "--time=%" PRId64, (order->limit_s + grace_s + TIME_MARGIN_S + 59) / 60);
    else
        add(args, "--signal=B:TERM@%" PRId64, grace_s + 60 < 65535 ? grace_s + 60 : 65535);
    add(args, "--cpus-per-task=%" PRIu32, order->cpus);
    add(args, "--mem=%" PRId64 "M", (order->memory_bytes + MIB - 1) / MIB);
    if (order->gpus > 0)
        add(args, "--gres=gpu:%" PRIu32, order->gpus);
}

static void add_submission(struct words *args, const struct slurm_site *site,
                           const struct slurm_job_order *order, const char *task)
{
    add(args, "sbatch");
    add(args, "--parsable");
    add(args, "--job-name=%s-%s", site->prefix, task);
    add(args, "--nodelist=%s", order->node);
    add(args, "--nodes=1");
    add(args, "--ntasks=1");
    add_limits(args, order);
    add(args, "--no-requeue");
    add(args, "--chdir=/");
    add(args, "--output=/dev/null");
    add(args, "--error=/dev/null");
    if (site->partition)
        add(args, "--partition=%s", site->partition);
    if (site->account)
        add(args, "--account=%s", site->account);
}

char **slurm_job_arguments(const struct slurm_site *site, const struct slurm_job_order *order)
{
    struct words args = { 0 };
    char task[ID_TEXT_LEN + 1];

    id_format(&order->task, task);
    if (order->job == 0) {
        add_submission(&args, site, order, task);
        return take(&args);
    }
    add(&args, "scancel");
    if (order->account[0]) /* of all jobs of that account, this one alone */
        add(&args, "--name=%s-%s", site->prefix, task);
    add(&args, "%" PRIu32, order->job);
    return take(&args);
}

/* S in single quotes. */
static void add_quoted(struct text *text, const char *s)
{
    text_add_char(text, '\'');
    for (; *s; s++)
        if (*s == '\'')
            text_add(text, "'\\''");
        else
            text_add_char(text, *s);
    text_add_char(text, '\'');
}

char *slurm_job_script(const struct slurm_site *site, const struct slurm_job_order *order)
{
    struct text text = { 0 };
    char task[ID_TEXT_LEN + 1];

    text_addf(&text,
              "#!/bin/sh\n"
              "# A task of Berth; `berth job list` knows it.\n"
              "[ \"${SLURM_RESTART_COUNT:-0}\" = 0 ] || exit %d\n"
              "BERTH_TASK_TOKEN=%s BERTH_TASK_NEXT=%d\n"
              "export BERTH_TASK_TOKEN BERTH_TASK_NEXT\n",
              SLURM_REQUEUED_CODE, order->token, site->takes_next);
    if (site->home_ca) {
        text_add(&text, "export SSL_CERT_FILE=");
        add_quoted(&text, site->home_ca);
        text_add_char(&text, '\n');
    }
    text_add(&text, "exec ");
    add_quoted(&text, site->program);
    text_add(&text, " supervise --home ");
    add_quoted(&text, site->home_url);
    text_addf(&text, " --task %s\n", id_format(&order->task, task));
    return text_take(&text);
}

/* ---- whom jobs may be ------------------------------------------------------------------------------ */

int slurm_account_allow(const char *name, const struct slurm_account *account, uint32_t service,
                        uint32_t uid_first, const char *group, struct error *err)
{
    uint32_t uid = account->uid;

    if (uid == service)
        return error_set(err, -EPERM, "account '%s' is the server's own, which is no tenant's",
                         name);
    if (uid < UID_PEOPLE_MIN || (uid >= UID_OTHERS_MIN && uid <= UID_OTHERS_MAX))
        return error_set(err, -EPERM, "account '%s' is one of the system's (uid %" PRIu32 ")", name,
                         uid);
    if (uid >= uid_first || uid >= LAYERS_UID)
        return error_set(err, -EPERM, "account '%s' has uid %" PRIu32 ", which is a container's",
                         name, uid);
    if (!account->is_member)
        return error_set(err, -EPERM,
                         "account '%s' is not in group '%s', whose members jobs may be; as root: "
                         "usermod -aG %s %s",
                         name, group, group, name);
    return 0;
}
