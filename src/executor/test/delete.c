/* What was deleted is removed by the launcher, and nothing else is. */
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

static int delete (const struct job *job, bool results)
{
    struct launcher_answer answer = { 0 };
    struct launcher_request request = { .op = LAUNCHER_DELETE,
                                        .project = job->request.project,
                                        .workload = job->request.workload };

    if (!results)
        request.attempt = job->request.attempt;
    int r = host_ask(&host, &request, NULL, 0, &answer);
    if (r < 0)
        printf("# %s\n", answer.text);
    return r;
}

static char *results_of(const struct job *job)
{
    char project[ID_TEXT_LEN + 1], workload[ID_TEXT_LEN + 1];

    return xasprintf("%s/projects/%s/artifacts/%s", host.state,
                     id_format(&job->request.project, project),
                     id_format(&job->request.workload, workload));
}

/* The files themselves go in the background. */
static bool await_empty_trash(void)
{
    _cleanup_free_ char *trash = xasprintf("%s/trash", host.state);

    for (int i = 0; i < 3000; i++) {
        _cleanup_close_ int fd = open(trash, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat st;
        if (fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 2)
            return true;
        (void) poll(NULL, 0, 10);
    }
    return false;
}

TEST(an_attempt_and_its_results_go)
{
    struct job job;

    job_run(
        &host, &job,
        "{\"command\":[\"sh\",\"-c\",\"cd /artifacts && echo 1 >a && "
        "for i in 1 2 3 4 5 6 7 8 9; do mkdir -p d/d/d/d/d/d/d/d/d/d && cd d/d/d/d/d/d/d/d/d/d; "
        "done; echo 2 >deep; ln -s / /artifacts/root\"]}",
        NULL);
    ok(job_code(&job) == 0);
    _cleanup_free_ char *results = results_of(&job);
    ok(access(results, F_OK) == 0);
    (void) job_await(&job, "nothing more"); /* until the supervisor is gone */
    ok(delete (&job, false) == 0 && delete (&job, true) == 0);
    ok(access(job.dir, F_OK) < 0);
    ok(access(results, F_OK) < 0);
    ok(await_empty_trash());
    ok(delete (&job, false) == 0 && delete (&job, true) == 0);
    job_free(&job);
}

TEST(what_runs_stays)
{
    struct job job;

    ok(job_start(&host, &job, 0, "{\"command\":[\"sleep\",\"1000\"]}", NULL) == 0);
    ok(job_await(&job, "started"));
    ok(delete (&job, false) == -EBUSY);
    ok(access(job.dir, F_OK) == 0);
    job_tell(&job, "{\"op\":\"signal\",\"signal\":9}");
    job_end(&job);
    job_free(&job);
}

TEST(a_link_on_the_way_is_not_followed)
{
    struct job job;

    job_prepare(&host, &job, 3, "{}", NULL);
    _cleanup_free_ char *results = results_of(&job), *outside = xasprintf("%s/outside", host.top);
    char *slash = strrchr(results, '/');
    _cleanup_free_ char *victim = xasprintf("%s%s", outside, slash);
    ok(mkdir_all(AT_FDCWD, victim, 0755, NULL) == 0);
    *slash = '\0';
    ok(mkdir_all(AT_FDCWD, results, 0755, NULL) == 0 && rmdir(results) == 0);
    ok(symlink(outside, results) == 0);
    ok(delete (&job, true) == -ELOOP);
    ok(access(victim, F_OK) == 0);
    job_free(&job);
}

TEST(what_a_launcher_left_in_the_trash_is_removed_by_the_next)
{
    _cleanup_free_ char *left = xasprintf("%s/trash/0/a/b", host.state);
    struct error err = { 0 };

    host_end_launcher(&host); /* which may still be looking through the trash */
    ok(mkdir_all(AT_FDCWD, left, 0700, NULL) == 0);
    ok(host_launch(&host, &err) == 0);
    ok(await_empty_trash());
}

TAP_MAIN
