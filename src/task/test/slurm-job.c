/* What Slurm is told of a task, and whom jobs may be. */
#include "task/task.h"

#include "base/alloc.h"
#include "base/text.h"
#include "tests/tap.h"

#include <errno.h>
#include <stdio.h>

enum { SERVICE = 998, UID_FIRST = 1879048192 };

static struct slurm_job_order order(void)
{
    struct slurm_job_order order = { .account = "alice",
                                     .node = "node1",
                                     .cpus = 2,
                                     .memory_bytes = INT64_C(3) << 20,
                                     .limit_s = 60 };

    (void) id_parse("01a1fe2a-7063-71d7-bb87-a0aecfd824c1", &order.task);
    order.project = order.task;
    memset(order.token, 'a', TASK_TOKEN_LEN);
    return order;
}

static bool is_refused(const struct slurm_job_order *order)
{
    return slurm_job_order_check(order, NULL) < 0;
}

TEST(orders_hold_values_and_no_more)
{
    struct slurm_job_order o = order();

    ok(!is_refused(&o));
    (void) snprintf(o.node, sizeof o.node, "n --uid=0");
    ok(is_refused(&o));
    (void) snprintf(o.node, sizeof o.node, "-n");
    ok(is_refused(&o));
    memset(o.node, 'n', sizeof o.node); /* without an end */
    ok(is_refused(&o));
    o = order();
    o.token[3] = '\n';
    ok(is_refused(&o));
    o = order();
    memset(o.account, 'a', sizeof o.account);
    ok(is_refused(&o));
    o = order();
    (void) snprintf(o.account, sizeof o.account, "0");
    ok(is_refused(&o));
    o = order();
    o.task = id_none;
    ok(is_refused(&o));
    o = order();
    o.memory_bytes = 0;
    ok(is_refused(&o));
}

static int allow(uint32_t uid, bool is_member)
{
    const struct slurm_account account = { uid, is_member };

    return slurm_account_allow("x", &account, SERVICE, UID_FIRST, "tenants", NULL);
}

TEST(jobs_may_be_people_of_the_group)
{
    ok(allow(1000, true) == 0 && allow(59999, true) == 0 && allow(200000, true) == 0);
    ok(allow(1000, false) == -EPERM);
    ok(allow(0, true) == -EPERM && allow(999, true) == -EPERM && allow(SERVICE, true) == -EPERM);
    ok(allow(60000, true) == -EPERM && allow(65534, true) == -EPERM);
    ok(allow(UID_FIRST, true) == -EPERM && allow(UID_FIRST + 70000u, true) == -EPERM);
    ok(allow(LAYERS_UID, true) == -EPERM && allow(UINT32_MAX, true) == -EPERM);
}

static char *joined(char **words)
{
    struct text text = { 0 };

    for (char **word = words; *word; word++)
        text_addf(&text, "%s%s", text.len ? " " : "", *word);
    slurm_words_free(words);
    return text_take(&text);
}

TEST(commands_are_made_of_them)
{
    const struct slurm_site site = { .prefix = "berth",
                                     .program = "/it's/berth",
                                     .home_url = "http://h:1" };
    const struct slurm_site private = { .program = "/b",
                                        .home_url = "https://h",
                                        .home_ca = "/o'k" };
    struct slurm_job_order o = order();
    _cleanup_free_ char *sbatch = joined(slurm_job_arguments(&site, &o));
    _cleanup_free_ char *script = slurm_job_script(&site, &o);

    is_str(sbatch, "sbatch --parsable --job-name=berth-01a1fe2a-7063-71d7-bb87-a0aecfd824c1 "
                   "--nodelist=node1 --nodes=1 --ntasks=1 --time=6 --cpus-per-task=2 --mem=3M "
                   "--no-requeue --chdir=/ --output=/dev/null --error=/dev/null");
    ok(strstr(script, "exec '/it'\\''s/berth' supervise --home 'http://h:1' --task 01a1fe2a-"));
    ok(!strstr(sbatch, o.token) && !strstr(script, "SSL_CERT_FILE"));
    _cleanup_free_ char *trusting = slurm_job_script(&private, &o);
    ok(strstr(trusting,
              "\nexport SSL_CERT_FILE='/o'\\''k'\nexec '/b' supervise --home 'https://h'"));
    o.job = 7;
    _cleanup_free_ char *scancel = joined(slurm_job_arguments(&site, &o));
    is_str(scancel, "scancel --name=berth-01a1fe2a-7063-71d7-bb87-a0aecfd824c1 7");
}

TAP_MAIN
