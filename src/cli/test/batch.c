#include "cli/batch.h"

#include "base/alloc.h"
#include "base/text.h"
#include "tests/tap.h"

#include <errno.h>
#include <stdlib.h>

static int parse(const char *script, struct batch *b, struct error *err)
{
    batch_options options = { 0 };
    int r = batch_script_parse(script, strlen(script), &options, err);

    if (r >= 0)
        r = batch_read(&options, b, err);
    batch_options_done(&options);
    return r;
}

/* The request of a script with these lines after #!, or why it is refused. */
static char *request(const char *lines)
{
    _cleanup_free_ char *script = xasprintf("#!/bin/sh\n%strue\n#SBATCH --oops\n", lines);
    const struct batch_script about = { .name = "Job.sh", .text = "x" };
    struct batch b = { 0 };
    struct error err = { 0 };
    int r = parse(script, &b, &err);

    if (r >= 0)
        batch_request(&b, &about);
    if (r >= 0) {
        (void) json_object_del(b.request, "command");
        (void) json_object_del(json_object_get(b.request, "env"), "SLURM_SBATCH_SCRIPT");
        (void) json_object_del(json_object_get(b.request, "env"), "SLURM_JOB_NAME");
        (void) json_object_del(json_object_get(b.request, "env"), "SLURM_NPROCS");
        (void) json_object_del(json_object_get(b.request, "env"), "SLURM_TASKS_PER_NODE");
    }
    char *text = r < 0 ? xstrdup(err.text) : json_canonical(b.request);
    batch_done(&b);
    return text;
}

#define PLAIN "{\"cpus\":1,\"env\":{\"SLURM_NTASKS\":\"1\"},\"name\":\"job.sh\"}"

TEST(directives_become_a_request)
{
    static const struct {
        const char *lines, *means;
    } cases[] = {
        { "", PLAIN },
        { "# a comment\n\n#SBATCH\n##SBATCH --mem=1\n #SBATCH --mem=1\n", PLAIN },
        { "#SBATCH -n4 -c 2 --mem-per-cpu=1G # and more\n",
          "{\"cpus\":8,\"env\":{\"SLURM_CPUS_PER_TASK\":\"2\",\"SLURM_MEM_PER_CPU\":\"1024\","
          "\"SLURM_NTASKS\":\"4\"},\"memory\":8589934592,\"name\":\"job.sh\"}" },
        { "#SBATCH --gres=gpu:a100:2\n#SBATCH --time=1-02:03:04\n",
          "{\"env\":{\"SLURM_NTASKS\":\"1\"},\"gpu_model\":\"a100\",\"gpus\":2,\"max_time\":93784,"
          "\"name\":\"job.sh\"}" },
        { "#SBATCH -a 0-15:4%2 -d afterok:12:13,afterany:x,singleton\n",
          "{\"after\":[\"afterok:12\",\"afterok:13\",\"afterany:x\",\"singleton\"],"
          "\"array\":\"0-15:4%2\",\"cpus\":1,\"env\":{\"SLURM_NTASKS\":\"1\"},\"name\":\"job.sh\"}" },
        { "#SBATCH --job-name \"My  Job\" --mem 500\n",
          "{\"cpus\":1,\"env\":{\"SLURM_NTASKS\":\"1\"},\"memory\":524288000,\"name\":\"my-job\"}" },
        { "#SBATCH --export=A=1,ALL -t 10 --signal=B:USR1@120\n",
          "{\"checkpoint\":{\"signal\":\"USR1\"},\"cpus\":1,\"env\":{\"A\":\"1\",\"SLURM_NTASKS\":"
          "\"1\",\"SLURM_SIGNAL\":\"USR1\",\"SLURM_SIGNAL_AFTER\":\"480\",\"SLURM_SIGNAL_SCRIPT\":"
          "\"1\"},\"max_time\":600,\"name\":\"job.sh\"}" },
        { "#SBATCH -N1 --ntasks-per-node=2 --requeue --kill-on-invalid-dep=no\n",
          "{\"cpus\":2,\"env\":{\"SLURM_NTASKS\":\"2\",\"SLURM_NTASKS_PER_NODE\":\"2\"},"
          "\"name\":\"job.sh\",\"preemptible\":true,\"when_never\":\"hold\"}" },
        { "#SBATCH --reservation=x\n",
          "line 2: option '--reservation=x' cannot be kept here: there "
          "are no reservations; name machines with --nodelist" },
        { "#SBATCH -H\n",
          "line 2: option '-H' cannot be kept here: there is no hold; use --begin or --dependency" },
        { "#SBATCH --begin=now -C 'a&(b|c)' -x n3 --exclusive --nice=7 --comment 'a b' --tmp=1G\n",
          "{\"cpus\":1,\"disk\":1073741824,\"env\":{\"SLURM_NTASKS\":\"1\"},\"exclusive\":true,"
          "\"name\":\"job.sh\",\"node_tags\":[\"a\",\"b|c\"],\"not_nodes\":[\"n3\"],\"priority\":-7,"
          "\"tags\":{\"comment\":\"a b\"}}" },
        { "#SBATCH -w n[1-2] --nice -d 'after:3+5?afterany:4'\n",
          "{\"after\":[\"after:3+5m\",\"afterany:4\"],\"after_mode\":\"any\",\"cpus\":1,\"env\":{"
          "\"SLURM_NTASKS\":\"2\"},\"mpi\":true,\"name\":\"job.sh\",\"nodes\":2,\"on_nodes\":[\"n1\","
          "\"n2\"],\"priority\":-100,\"tasks_per_node\":1}" },
        { "#SBATCH -w n1 -N 2\n",
          "--nodelist: names 1 of 2 machines (--nodes): name all that it may "
          "run on" },
        { "#SBATCH --gpus=2 --cpus-per-gpu=4\n",
          "{\"cpus\":8,\"env\":{\"SLURM_NTASKS\":\"1\"},\"gpus\":2,\"name\":\"job.sh\"}" },
        { "#SBATCH -d aftercorr:9_1:10\n",
          "{\"after\":[\"aftercorr:9_1\",\"aftercorr:10\"],\"cpus\":1,\"env\":{\"SLURM_NTASKS\":"
          "\"1\"},\"name\":\"job.sh\"}" },
        { "#SBATCH -d afterok:1+5\n",
          "line 2: --dependency: '1+5': only after:JOB takes +MINUTES" },
        { "#SBATCH -C 'a*2'\n",
          "line 2: --constraint: must be tags of machines with & between, of which one may be "
          "(A|B); counts and [ ] are not known: name machines with --nodelist" },
        { "# x\n#SBATCH -n 2 --frob\n", "line 3: option '--frob' is not known to berth sbatch" },
        { "#SBATCH -n\n", "line 2: --ntasks needs a value: N" },
        { "#SBATCH -n none\n", "line 2: --ntasks: must be a number of 1 or more" },
        { "#SBATCH --mem=lots\n", "line 2: --mem: must be a size such as 500 (MiB), 4G or 512M" },
        { "#SBATCH --time=1:2:3:4\n",
          "line 2: --time: must be a time such as 90 (minutes), 1:30:00 or 2-12:00:00" },
        { "#SBATCH -d afterok\n",
          "line 2: --dependency: must be afterok, afterany, afternotok, aftercorr or after with "
          ":JOB, or singleton; several with ',' (all) or '?' (any)" },
        { "#SBATCH -d 'afterok:1?afterok:2,afterok:3'\n",
          "line 2: --dependency: ',' (all) and '?' (any) do not go together" },
        { "#SBATCH --gres=fpga:1\n",
          "line 2: --gres: 'fpga:1': only GPUs are known here, such as gpu:2" },
        { "#SBATCH --job-name='open\n", "line 2: a quote is open, or a word is too long" },
        { "#SBATCH train\n", "line 2: 'train' is no option: -X or --NAME" },
        { "#SBATCH --nodes=2 --ntasks-per-node=4 --mem=4G --gpus-per-node=8 -c2\n",
          "{\"cpus\":2,\"env\":{\"SLURM_CPUS_PER_TASK\":\"2\",\"SLURM_NTASKS\":\"8\","
          "\"SLURM_NTASKS_PER_NODE\":\"4\"},\"gpus\":2,\"memory\":1073741824,\"mpi\":true,"
          "\"name\":\"job.sh\",\"nodes\":2,\"tasks_per_node\":4}" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_free_ char *got = request(cases[i].lines);
        is_str(got, cases[i].means);
    }
}

TEST(what_is_no_script_is_refused)
{
    struct error err = { 0 };
    struct batch b = { 0 };

    ok(parse("echo hi\n", &b, &err) == -EINVAL && strstr(err.text, "begins with #!"));
    ok(parse("#!/bin/sh\r\necho\r\n", &b, &err) == -EINVAL && strstr(err.text, "dos2unix"));
    ok(parse("", &b, &err) == -EINVAL);
    batch_done(&b);
}

TEST(times_and_sizes_have_slurms_forms)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } times[] = { { "90", 5400 },     { "1:30", 90 },     { "1:00:00", 3600 },
                  { "2-12", 216000 }, { "1-1:1", 90060 }, { "1-02:03:04", 93784 },
                  { "UNLIMITED", 0 }, { "", -1 },         { "1-", -1 },
                  { "1:2:3:4", -1 },  { "x", -1 },        { "1-2-3", -1 } };
    static const struct {
        const char *text;
        int64_t bytes;
    } sizes[] = { { "500", 500 << 20 },
                  { "4G", INT64_C(4) << 30 },
                  { "512K", 512 << 10 },
                  { "1TB", INT64_C(1) << 40 },
                  { "0", 0 },
                  { "", -1 },
                  { "4X", -1 },
                  { "1GG", -1 },
                  { "99999999999999T", -1 } };
    int64_t n;

    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        ok(batch_time_parse(times[i].text, &n) < 0 ? times[i].seconds == -1
                                                   : n == times[i].seconds);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        ok(batch_size_parse(sizes[i].text, &n) < 0 ? sizes[i].bytes == -1 : n == sizes[i].bytes);
}

TEST(a_job_begins_when_slurm_would_begin_it)
{
    /* 2026-11-21 12:00:00 in a zone without summer time. */
    const int64_t now = 1795262400;
    static const struct {
        const char *text;
        int64_t after; /* now; -1: refused */
    } cases[] = {
        { "now", 0 },
        { "now+60", 60 },
        { "now+2hours", 7200 },
        { "now+1day", 86400 },
        { "16:00", 4 * 3600 },
        { "11:00", 23 * 3600 },
        { "4:30PM", 4 * 3600 + 1800 },
        { "12:00AM", 12 * 3600 },
        { "teatime", 4 * 3600 },
        { "midnight", 12 * 3600 },
        { "tomorrow", 86400 },
        { "2026-11-22", 12 * 3600 },
        { "2026-11-22T06:30:15", 18 * 3600 + 1815 },
        { "11/23/26-01:00", 37 * 3600 },
        { "soon", -1 },
        { "now+", -1 },
        { "now+1year", -1 },
        { "25:00", -1 },
        { "13:00PM", -1 },
        { "2026-13-01", -1 },
        { "", -1 },
    };
    int64_t at;

    ok(setenv("TZ", "UTC", 1) == 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int r = batch_begin_parse(cases[i].text, now, &at);
        ok(r < 0 ? cases[i].after == -1 : at == now + cases[i].after);
    }
}

TEST(lists_of_machines_have_slurms_forms)
{
    static const struct {
        const char *text, *names;
    } cases[] = { { "n1", "[\"n1\"]" },
                  { "n[08-10],m", "[\"n08\",\"n09\",\"n10\",\"m\"]" },
                  { "n[1,3]-ib", "[\"n1-ib\",\"n3-ib\"]" },
                  { "n[1-", "" },
                  { "n[2-1]", "" },
                  { "n[1-999]", "" },
                  { "n[1][2]", "" },
                  { "", "" },
                  { "n1,,n2", "" } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_json_ json_t *list = json_array();
        struct error err = { 0 };
        int r = batch_hosts_parse(cases[i].text, list, &err);
        _cleanup_free_ char *text = json_text(list);
        is_str(r < 0 ? "" : text, cases[i].names);
    }
}

TEST(patterns_name_files)
{
    const struct batch_names names = {
        .job = "12", .array = "10", .index = "3", .name = "sweep", .node = "n1", .user = "ada"
    };
    const struct batch_names alone = { .job = "12", .name = "x", .node = "n1", .user = "ada" };
    static const struct {
        const char *pattern, *path;
    } cases[] = { { "slurm-%A_%a.out", "slurm-10_3.out" },
                  { "%x-%j-%N-%u", "sweep-12-n1-ada" },
                  { "%4a.%%%q", "0003.%%q" },
                  { "logs/%x%", "logs/sweep%" },
                  { "\\%j", "%j" },
                  { "", "" } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_free_ char *got = batch_pattern(cases[i].pattern, &names);
        is_str(got, cases[i].path);
    }
    _cleanup_free_ char *got = batch_pattern("%A_%a", &alone);
    is_str(got, "12_4294967294");
}

TAP_MAIN
