/* cgroup.c - which groups of a process are a step's own */
#include "os/cgroup.h"

#include "base/alloc.h"
#include "base/cleanup.h"
#include "tests/tap.h"

#include <stdlib.h>

TEST(groups_of_a_job_are_its_own)
{
    _cleanup_free_ char *text = xstrdup("6:freezer:/slurm_n1/uid_7/job_3/step_batch\n"
                                        "4:memory:/slurm_n1/uid_7/job_3/step_batch/task_0\n"
                                        "3:cpuset,cpu:/slurm_n1/uid_7/job_3/step_batch\n"
                                        "0::/\n");
    struct cgroups cg = { 0 };

    cgroups_parse_step(text, &cg);
    is_str(cg.step[CGROUP_MEMORY], "/slurm_n1/uid_7/job_3/step_batch/task_0");
    is_str(cg.step[CGROUP_CPUSET], "/slurm_n1/uid_7/job_3/step_batch");
    is_str(cg.step[CGROUP_CPU], "/slurm_n1/uid_7/job_3/step_batch");
    ok(!cg.step[CGROUP_PIDS]);
    cgroups_done(&cg);
}

TEST(in_version_2_one_group_has_all)
{
    _cleanup_free_ char *text =
        xstrdup("0::/system.slice/slurmstepd.scope/job_3/step_0/user/task_0\n");
    struct cgroups cg = { .unified = true };

    cgroups_parse_step(text, &cg);
    is_str(cg.step[CGROUP_MEMORY], "/system.slice/slurmstepd.scope/job_3/step_0/user/task_0");
    ok(cg.step[CGROUP_CPUSET]);
    cgroups_done(&cg);
}

TEST(groups_that_others_are_in_do_not_count)
{
    _cleanup_free_ char *text =
        xstrdup("4:memory:/system.slice/slurmd.service\n:\nnone\n3:cpuset:/\n");
    struct cgroups cg = { 0 };

    cgroups_parse_step(text, &cg);
    ok(!cg.step[CGROUP_MEMORY] && !cg.step[CGROUP_CPUSET]);
    cgroups_done(&cg);
}

TAP_MAIN
