/* What the end of a Slurm job means for its task. */
#include "engine/slurm/slurm.h"

#include "base/alloc.h"
#include "tests/tap.h"

#include <string.h>

/* As 22.05 shows a job whose script slurmstepd could not start: "Slurmd could not execve job". */
static const char unstarted[] =
    "JobId=7 JobName=berth-x UserId=berth(999) JobState=COMPLETED Reason=None Requeue=0 Restarts=0 "
    "BatchFlag=1 Reboot=0 ExitCode=0:0 RunTime=00:00:00 Partition=main NodeList=node1 "
    "BatchHost=node1 NumNodes=1\n";

static struct slurm_job job_of(const char *line)
{
    struct slurm_job job = { 0 };

    ok(slurm_parse_job(line, strlen(line), &job, NULL) == 0);
    return job;
}

static enum end_cause judge(const struct slurm_task *task, const struct slurm_job *job,
                            const char *reason)
{
    _cleanup_free_ char *said = NULL;
    enum end_cause cause = slurm_judge(task, job, &said);

    is_str(said, reason);
    return cause;
}

/* A node with a full spool, as 22.05 shows it. */
static const char drained[] =
    "NodeName=node1 CoresPerSocket=4 CPUTot=4 RealMemory=4000 Sockets=1 State=IDLE+DRAIN "
    "ThreadsPerCore=1 BootTime=2026-11-21T10:00:00 Reason=SlurmdSpoolDir is full [root@2026-11-21T10:00:00]\n";

TEST(a_job_that_slurm_cancelled_before_anybody_heard_of_it_is_the_node_s_fault)
{
    struct slurm slurm = { .fleet = slurm_fleet_new() };
    struct slurm_task task = { .slurm = &slurm };
    struct slurm_job job = job_of("JobId=9 JobState=CANCELLED Reason=None ExitCode=0:0 "
                                  "RunTime=00:00:00 NodeList=node1 BatchHost=node1\n");
    _cleanup_text_ struct text nodes = { 0 };

    ok(judge(&task, &job, "Slurm could not launch job 9 on node node1") == END_NODE_LOST);
    /* Later it may have been anybody, until the node is taken out of service. */
    job.ran = true;
    ok(slurm_is_doubtful(&task, &job));
    ok(judge(&task, &job, "Slurm job 9 was cancelled in Slurm, not by Berth") == END_STOPPED);
    text_add(&nodes, drained);
    slurm_fleet_nodes(&slurm, &nodes);
    ok(!slurm_is_doubtful(&task, &job));
    ok(judge(&task, &job, "Slurm could not launch job 9 on node node1") == END_NODE_LOST);
    task.heard = true;
    ok(judge(&task, &job, "Slurm job 9 was cancelled in Slurm, not by Berth") == END_STOPPED);
    slurm_fleet_free(slurm.fleet);
}

TEST(a_script_that_was_not_started_is_the_node_s_fault)
{
    struct slurm_task task = { 0 };
    struct slurm_job job = job_of(unstarted);

    ok(judge(&task, &job, "Slurm could not start the script of job 7 on node node1") ==
       END_NODE_LOST);
    /* A supervisor that began and told nothing at its end is lost. */
    task.launched = true;
    ok(judge(&task, &job,
             "Slurm job 7 ended on node node1 with exit code 0, signal 0 (None) and no result") ==
       END_SUPERVISOR_LOST);
    task.launched = false;
    job.exit_code = 1;
    ok(judge(&task, &job,
             "Slurm job 7 ended on node node1 with exit code 1, signal 0 (None) and no result") ==
       END_START_FAILED);
}

TEST(want_of_memory_is_said)
{
    struct slurm_task task = { .launched = true };
    struct slurm_job job = job_of("JobId=8 JobState=OUT_OF_MEMORY Reason=OutOfMemory "
                                  "ExitCode=0:125 RunTime=00:00:02 BatchHost=node2 ");

    ok(judge(&task, &job, "Slurm ended job 8 on node node2") == END_OUT_OF_MEMORY);
    task.launched = false;
    ok(judge(&task, &job, "Slurm ended job 8 on node node2") == END_OUT_OF_MEMORY);
}

TAP_MAIN
