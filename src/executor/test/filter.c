/* Containers have a system call filter also where crun does not take a compiled one. */
#include "executor/test/host.h"

#include "tests/tap.h"

static struct host host;
static char *dir;

static void remove_dir(void)
{
    (void) remove_tree(AT_FDCWD, dir, NULL);
    free(dir);
}

__attribute__((constructor)) static void make_dir(void)
{
    host_skip_unless_possible();
    if (mkdir_temporary("/tmp", "berth-crun", &dir, NULL) < 0)
        abort();
    (void) atexit(remove_dir);
}

/* A crun first in PATH that does not know the annotation; with CLAIMS its file has the name still. */
static void make_crun(bool claims)
{
    static const char name[] = "run.oci.seccomp_bpf_data";
    _cleanup_text_ struct text bytes = { 0 };
    _cleanup_free_ char *path = xasprintf("%s/crun", dir);
    _cleanup_free_ char *search = xasprintf("%s:/usr/sbin:/usr/bin:/sbin:/bin", dir);
    char *at;

    ok(file_read(AT_FDCWD, "/usr/bin/crun", 64 << 20, &bytes, NULL) >= 0);
    while ((at = memmem(bytes.data, bytes.len, name, sizeof name - 1)))
        *at = 'x';
    if (claims)
        text_add_bytes(&bytes, name, sizeof name);
    ok(file_replace(AT_FDCWD, path, 0755, bytes.data, bytes.len, false, NULL) >= 0);
    ok(setenv("PATH", search, 1) == 0);
}

static void is_filtered(const char *expected)
{
    struct job job;
    _cleanup_free_ char *log = NULL;

    job_run(&host, &job,
            "{\"command\":[\"sh\",\"-c\",\"grep -q 'Seccomp:.0' /proc/self/status && sleep 1000; "
            "grep Seccomp: /proc/self/status; "
            "unshare -U true 2>/dev/null || echo refused\"]}",
            &log);
    is_str(job_cause(&job), "exited");
    ok(job_code(&job) == 0);
    ok(strlen(log) >= strlen(expected) &&
       str_equal(log + strlen(log) - strlen(expected), expected));
    ok(json_get_int(json_object_get(job.started, "evidence"), "seccomp", 0) == 2);
    if (tap_failures)
        printf("# %s: %s\n", log, json_get_str(job.exit, "reason", ""));
    job_free(&job);
}

TEST(a_crun_without_compiled_filters_gets_the_plain_profile)
{
    make_crun(false);
    host_open(&host);
    is_filtered("Seccomp:\t2\nrefused\n");
    host_close(&host);
}

TEST(a_crun_that_sets_no_filter_is_asked_again_with_the_plain_profile)
{
    make_crun(true);
    host_open(&host);
    is_filtered("Seccomp:\t2\nrefused\n");
    for (int i = 0; i < 2; i++) {
        struct job job;
        _cleanup_free_ char *log = NULL;
        job_run(&host, &job, "{\"command\":[\"grep\",\"Seccomp:\",\"/proc/self/status\"]}", &log);
        is_str(log, "Seccomp:\t2\n");
        job_free(&job);
    }
    host_close(&host);
}

TAP_MAIN
