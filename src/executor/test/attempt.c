/* Attempts in real containers, driven as the engine drives them. */
#include "executor/test/host.h"

#include "tests/tap.h"

static struct host host;

static void close_host(void) { host_close(&host); }

__attribute__((constructor)) static void open_host(void)
{
    host_skip_unless_possible();
    host_open(&host);
    (void) atexit(close_host);
}

TEST(a_command_runs)
{
    struct job job;
    _cleanup_free_ char *log = NULL;

    job_run(&host, &job, "{\"command\":[\"/bin/sh\",\"-c\",\"echo hello; exit 3\"]}", &log);
    is_str(log, "hello\n");
    is_str(job_cause(&job), "exited");
    ok(job_code(&job) == 3);
    if (job_code(&job) != 3)
        printf("# %s\n", json_get_str(job.exit, "reason", ""));
    job_free(&job);
}

TAP_MAIN
