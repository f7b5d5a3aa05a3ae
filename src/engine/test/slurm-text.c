/* What Slurm's commands print: as 22.05 does, as others might, and as somebody with bad intent would like. */
#include "engine/slurm/text.h"

#include "base/alloc.h"
#include "base/text.h"
#include "tests/tap.h"

#include <errno.h>
#include <stdio.h>

#define TASK "01a1fe2a-7063-71d7-bb87-a0aecfd824c1"
#define GIB  (INT64_C(1) << 30)

static uint32_t submitted(const char *text)
{
    uint32_t job = 0;

    return slurm_parse_submitted(text, strlen(text), &job, NULL) < 0 ? 0 : job;
}

TEST(sbatch_names_the_job)
{
    struct error err = { 0 };
    uint32_t job;

    ok(submitted("123\n") == 123);
    ok(submitted("123;cluster\n") == 123);
    ok(submitted("welcome to the cluster\n4294967294\n") == 4294967294u);
    ok(submitted("Submitted batch job 7\n") == 0);
    ok(submitted("0\n") == 0 && submitted("-1\n") == 0 && submitted("99999999999\n") == 0);
    ok(submitted("") == 0);
    static const char odd[] = "sbatch: error: \033[31mno\n";
    ok(slurm_parse_submitted(odd, sizeof odd - 1, &job, &err) == -EBADMSG);
    is_str(err.text, "sbatch did not name a job: '?[31mno'");
}

TEST(states_of_all_versions)
{
    static const struct {
        const char *word;
        enum slurm_state state;
    } table[] = {
        { "PENDING", SLURM_PENDING },
        { "REQUEUE_HOLD", SLURM_PENDING },
        { "RUNNING", SLURM_RUNNING },
        { "COMPLETING", SLURM_RUNNING },
        { "CANCELLED by 1000", SLURM_CANCELLED },
        { "CANCELLED+", SLURM_CANCELLED },
        { "NODE_FAIL", SLURM_NODE_FAIL },
        { "OUT_OF_MEMORY", SLURM_OUT_OF_MEMORY },
        { "DEADLINE", SLURM_TIMEOUT },
        { "EXPEDITING", SLURM_UNKNOWN },
        { "", SLURM_UNKNOWN },
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        ok(slurm_state_parse(table[i].word, strlen(table[i].word)) == table[i].state);
    ok(!slurm_state_is_final(SLURM_UNKNOWN) && !slurm_state_is_final(SLURM_RUNNING));
    ok(slurm_state_is_final(SLURM_COMPLETED) && slurm_state_is_final(SLURM_OUT_OF_MEMORY));
}

static bool own(const char *line, struct slurm_own *ret)
{
    return slurm_parse_own(line, strlen(line), "berth", ret);
}

TEST(jobs_of_ours_are_known_by_their_name_alone)
{
    struct slurm_own job;
    char id[ID_TEXT_LEN + 1];

    ok(own("12|PENDING|JobHeldUser|berth-" TASK, &job));
    ok(job.job == 12 && job.state == SLURM_PENDING);
    is_str(job.reason, "JobHeldUser");
    is_str(id_format(&job.task, id), TASK);
    ok(own("12|PENDING|(ReqNodeNotAvail, UnavailableNodes:n[1-2])|berth-" TASK, &job));
    ok(!own("12|RUNNING|None|other-" TASK, &job));
    ok(!own("12|RUNNING|None|berth-" TASK "x", &job));
    ok(!own("12|RUNNING|None|a|berth-" TASK, &job));
    ok(!own("12|RUNNING|None|berth-01A1FE2A-7063-71d7-bb87-a0aecfd824c1", &job));
    ok(!own("x|RUNNING|None|berth-" TASK, &job) && !own("", &job) && !own("12|RUNNING", &job));
    ok(own("12|RUNNING|\033]0;x\007|berth-" TASK, &job));
    is_str(job.reason, "?]0;x?");
}

TEST(what_others_hold)
{
    struct slurm_held held;
    static const char line[] = "44|node[1-2]|2|9|1500M|gres:gpu:a100:2";

    ok(slurm_parse_held(line, sizeof line - 1, &held));
    ok(held.job == 44 && held.cpus == 5 && held.gpus == 2 && held.memory_bytes == 1500 << 20);
    ok(held.nodes_len == 9 && memcmp(held.nodes, "node[1-2]", 9) == 0);
    ok(slurm_parse_held("1|n|1|1|0|N/A", 13, &held) && held.gpus == 0 && held.memory_bytes == 0);
    ok(!slurm_parse_held("1||1|1|0|N/A", 12, &held) &&
       !slurm_parse_held("1|n|0|1|0|N/A", 13, &held));
}

static const char job_line[] =
    "JobId=3 JobName=berth-" TASK " UserId=berth(999) GroupId=berth(995) MCS_label=N/A "
    "JobState=FAILED Reason=NonZeroExitCode Dependency=(null) Requeue=0 Restarts=2 BatchFlag=1 "
    "ExitCode=3:9 NodeList=node2 BatchHost=node2 Comment=x JobState=COMPLETED\n";

TEST(a_job_shown)
{
    struct slurm_job job;
    struct error err = { 0 };

    ok(slurm_parse_job(job_line, sizeof job_line - 1, &job, &err) == 0);
    ok(job.job == 3 && job.state == SLURM_FAILED && job.exit_code == 3 && job.exit_signal == 9 &&
       job.restarts == 2);
    is_str(job.node, "node2");
    is_str(job.reason, "NonZeroExitCode");
    ok(slurm_parse_job("", 0, &job, &err) == -EBADMSG);
    /* A version that leaves things out. */
    ok(slurm_parse_job("JobId=3", 7, &job, &err) == 0 && job.state == SLURM_UNKNOWN &&
       job.exit_code == -1);
}

static int node(const char *line, struct slurm_node *ret)
{
    return slurm_parse_node(line, strlen(line), ret, NULL);
}

TEST(a_machine_as_22_05_shows_it)
{
    static const char line[] =
        "NodeName=node2 Arch=x86_64 CoresPerSocket=4  CPUAlloc=0 CPUEfctv=16 CPUTot=16 CPULoad=1.5 "
        "Gres=gpu:a100:4(S:0-1) NodeAddr=127.0.0.1 Version=22.05.8 OS=Linux 6.1.0-18 #1 SMP @0  "
        "RealMemory=4000 AllocMem=0 Sockets=2 Boards=1 MemSpecLimit=1000 State=MIXED "
        "ThreadsPerCore=2 TmpDisk=1024 Partitions=main ";
    struct slurm_node n;

    ok(node(line, &n) == 0);
    is_str(n.name, "node2");
    is_str(n.gpu_model, "a100");
    is_str(n.kernel, "6.1.0-18");
    ok(n.cpus == 16 && n.threads == 2 && n.sockets == 2 && n.gpus == 4 && n.usable);
    ok(n.memory_bytes == INT64_C(3000) << 20 && n.disk_bytes == GIB);
}

static const char *fault(const char *state, const char *reason)
{
    static struct slurm_node n;
    _cleanup_free_ char *line = xasprintf("NodeName=n CPUTot=1 State=%s%s", state, reason);

    ok(node(line, &n) == 0 && n.usable == !n.fault[0]);
    return n.fault;
}

/* Written after the manuals of those versions. */
TEST(machines_as_other_versions_show_them)
{
    struct slurm_node n;

    ok(node("NodeName=n1 Arch=x86_64 CoresPerSocket=2  CPUAlloc=2 CPUTot=8 CPULoad=0.52 "
            "AvailableFeatures=a,b ActiveFeatures=a,b Gres=gpu:tesla:2 NodeAddr=n1 NodeHostName=n1 "
            "Version=20.11.9 OS=Linux 4.18.0-305.el8 #1 SMP  RealMemory=7821 AllocMem=0 "
            "FreeMem=3000 Sockets=2 Boards=1 State=MIXED ThreadsPerCore=2 TmpDisk=100 Weight=1 "
            "Owner=N/A MCS_label=N/A Partitions=debug  BootTime=None SlurmdStartTime=None",
            &n) == 0);
    ok(n.usable && n.cpus == 8 && n.threads == 2 && n.sockets == 2 && n.gpus == 2);
    is_str(n.gpu_model, "tesla");
    ok(node("NodeName=n2 Arch=aarch64 CoresPerSocket=1 CPUAlloc=0 CPUEfctv=3 CPUTot=4 CPULoad=N/A "
            "AvailableFeatures=(null) Gres=gpu:nvidia_a100_1g.5gb:7(S:0) NodeAddr=n2 "
            "Version=23.11.4 OS=Linux 6.1.0 RealMemory=15000 AllocMem=0 Sockets=4 Boards=1 "
            "CoreSpecCount=1 CPUSpecList=3 MemSpecLimit=500 State=IDLE+DYNAMIC_NORM "
            "ThreadsPerCore=1 TmpDisk=0 Extra=x Comment=State=DOWN",
            &n) == 0);
    ok(n.usable && n.cpus == 3 && n.gpus == 7 && n.memory_bytes == INT64_C(14500) << 20);
    ok(node("NodeName=n3 CoresPerSocket=1 CPUAlloc=0 CPUEfctv=4 CPUTot=4 Gres=(null) "
            "Version=24.05.2 RealMemory=4000 Sockets=4 State=IDLE+DRAIN+INVALID_REG "
            "ThreadsPerCore=1 Reason=Low RealMemory [slurm@2026-11-21T12:00:00] "
            "TopologyPath=/a/b",
            &n) == 0);
    ok(!n.usable && n.gpus == 0);
}

TEST(jobs_as_other_versions_show_them)
{
    static const char v20[] = "JobId=7 ArrayJobId=6 ArrayTaskId=1 JobName=x UserId=a(1) "
                              "JobState=TIMEOUT Reason=TimeLimit Requeue=0 Restarts=0 "
                              "ExitCode=0:15 RunTime=00:01:02 NodeList=n1 BatchHost=n1";
    static const char v24[] = "JobId=8 JobName=x UserId=a(1) Extra=y JobState=PREEMPTED "
                              "Reason=None FailedNode=n2 Requeue=0 Restarts=0 BatchFlag=1 "
                              "ExitCode=0:0 RunTime=1-00:00:00 NodeList=n2 StepMgrEnabled=Yes";
    static const char held[] = "9|gpu-[01-02]|2|8|1000M|gres/gpu:a100:1";
    struct slurm_job job;
    struct slurm_held h;

    ok(slurm_parse_job(v20, sizeof v20 - 1, &job, NULL) == 0 && job.job == 7 &&
       job.state == SLURM_TIMEOUT && job.exit_signal == 15 && job.ran);
    ok(slurm_parse_job(v24, sizeof v24 - 1, &job, NULL) == 0 && job.state == SLURM_PREEMPTED &&
       job.ran);
    ok(slurm_parse_held(held, sizeof held - 1, &h) && h.gpus == 1 && h.cpus == 4);
    static const char few[] = "9|n1|1|1|0|gres/gpu:1,gres/shard:2";
    ok(slurm_parse_held(few, sizeof few - 1, &h) && h.gpus == 1);
}

TEST(machines_that_take_no_work_say_why)
{
    static const char reason[] = " Reason=bad dimm State=IDLE [root@2026-11-21T12:00:00]";

    is_str(fault("IDLE", ""), "");
    is_str(fault("MIXED+PLANNED", reason), "");
    is_str(fault("IDLE+CLOUD+POWERED_DOWN", ""), "");
    is_str(fault("ALLOCATED~", ""), "");
    is_str(fault("IDLE+DRAIN", reason),
           "drained in Slurm: bad dimm State=IDLE [root@2026-11-21T12:00:00]");
    is_str(fault("MIXED*", ""), "not responding in Slurm");
    is_str(fault("DOWN*+DRAIN", ""), "down in Slurm");
    is_str(fault("IDLE+MAINT+RESERVED", ""), "in maintenance in Slurm");
    is_str(fault("INVAL", ""), "registered with less than slurm.conf says in Slurm");
    is_str(fault("NAPPING", ""), "in a state that Berth does not know in Slurm");
    is_str(fault("", ""), "in a state that Berth does not know in Slurm");
}

TEST(lines_that_are_no_machines)
{
    struct slurm_node n;

    ok(node("", &n) == -EINVAL && node("No nodes in the system", &n) == -EINVAL);
    ok(node("x NodeName=n CPUTot=1 State=IDLE", &n) == -EINVAL);
    ok(node("NodeName=n CPUTot=0 State=IDLE", &n) == -EINVAL);
    ok(node("NodeName=n CPUTot=99999999 State=IDLE", &n) == -EINVAL);
    ok(node("NodeName=n CPUTot=2 RealMemory=5 MemSpecLimit=6 State=IDLE", &n) == -EINVAL);
}

static unsigned gpus(const char *text) { return slurm_parse_gpus(text, strlen(text), NULL); }

TEST(gpus_however_they_are_written)
{
    char model[64] = "";

    ok(gpus("gpu") == 1 && gpus("gpu:4") == 4 && gpus("gpu:a100:4(S:0,1)") == 4);
    ok(gpus("gres:gpu:2") == 2 && gpus("gres/gpu=3") == 3 && gpus("gres/gpu:a100=2") == 2);
    ok(gpus("gpu:a:1,gpu:b:2,shard:8") == 3);
    ok(gpus("(null)") == 0 && gpus("N/A") == 0 && gpus("") == 0 && gpus("gpus:4") == 0);
    ok(gpus("gpu:999999") == 1);
    ok(slurm_parse_gpus("gpu:nvidia_h100:8(IDX:0-7)", 26, model) == 8);
    is_str(model, "nvidia_h100");
}

static int64_t memory(const char *text) { return slurm_parse_memory(text, strlen(text)); }

TEST(memory_with_its_units)
{
    ok(memory("500M") == INT64_C(500) << 20 && memory("500") == INT64_C(500) << 20);
    ok(memory("2G") == 2 * GIB && memory("1T") == 1024 * GIB && memory("2Gc") == 2 * GIB);
    ok(memory("1.50G") == GIB && memory("0") == 0);
    ok(memory("") == -1 && memory("G") == -1 && memory("x") == -1 && memory("99999999P") == -1);
}

static void add_name(void *userdata, const char *name) { text_addf(userdata, "%s ", name); }

static const char *nodes(const char *list)
{
    static struct text text;

    text_clear(&text);
    text_add(&text, "");
    int r = slurm_each_node(list, strlen(list), 100, add_name, &text);
    if (r < 0)
        return r == -E2BIG ? "too many" : "wrong";
    return text_str(&text);
}

TEST(lists_of_nodes)
{
    is_str(nodes("login"), "login ");
    is_str(nodes("node[1-3,07],login"), "node1 node2 node3 node07 login ");
    is_str(nodes("n[08-10]-ib"), "n08-ib n09-ib n10-ib ");
    is_str(nodes(""), "");
    is_str(nodes("n[1-1000000000]"), "too many");
    is_str(nodes("n[3-1]"), "wrong");
    is_str(nodes("n[1-"), "wrong");
    is_str(nodes("n[1][2]"), "wrong");
    is_str(nodes("a,,b"), "wrong");
    is_str(nodes("n[x]"), "wrong");
}

TEST(errors_that_pass_and_errors_that_stay)
{
    char words[40];
    static const char text[] =
        "sbatch: error: Batch job submission failed: Invalid account or account/partition\n";

    ok(slurm_is_away("Unable to contact slurm controller (connect failure)"));
    ok(slurm_is_away("Batch job submission failed: Socket timed out on send/recv operation"));
    ok(slurm_is_away("If munged is up, restart with --num-threads=10"));
    ok(slurm_is_away("Protocol authentication error"));
    ok(!slurm_is_away("Batch job submission failed: Invalid node name specified"));
    ok(!slurm_is_away("Requested node configuration is not available"));
    slurm_words(text, sizeof text - 1, words, sizeof words);
    is_str(words, "Batch job submission failed: Invalid ac");
    slurm_words("\n\n", 2, words, sizeof words);
    is_str(words, "");
}

TAP_MAIN
