/* What config.json says, and what the command sees of itself. */
#include "executor/internal.h"

#include "base/alloc.h"
#include "tests/tap.h"

/* The domain's structs own their text; these borrow it. */
#define TEXT(s) ((char *) (uintptr_t) (s))

static struct env_var variables[] = { { TEXT("RANK"), TEXT("7"), false },
                                      { TEXT("TOKEN"), TEXT("key"), true },
                                      { TEXT("BERTH_PROJECT"), TEXT("other"), false } };
static char *command[] = { TEXT("train"), TEXT("\xff"), NULL };
static struct workload_spec workload = {
    .command = command, .pids = 99, .cores = 2, .env = variables, .n_env = 3
};
static struct allocation allocation = { .node = TEXT("n"), .memory_bytes = 1 << 30 };
static struct task_spec spec = { .workload_spec = &workload,
                                 .allocation = &allocation,
                                 .project_name = TEXT("lab"),
                                 .workload_name = TEXT("job"),
                                 .number = 2,
                                 .resume = true,
                                 .uid_base = 0x70010000 };

static json_t *make(const char *seccomp)
{
    static struct image image;
    static char *env[] = { TEXT("A=b"), NULL };
    struct bundle_facts facts = { .rootfs = "/b/rootfs",
                                  .cgroup = "/berth/x",
                                  .hostname = "job",
                                  .netns = "/proc/1/fd/9",
                                  .own_ids = true,
                                  .env = env,
                                  .seccomp = seccomp,
                                  .nofile_hard = 1000 };

    cpu_set_add(&allocation.cpus, 2);
    cpu_set_add(&allocation.cpus, 3);
    cpu_set_add(&allocation.mems, 1);
    return bundle_config(&spec, &image, &facts);
}

static void is_part(const json_t *json, const char *key, const char *want)
{
    _cleanup_free_ char *got = json_text(json_object_get(json, key));

    is_str(got, want);
}

TEST(the_allocation_is_the_limit)
{
    _cleanup_json_ json_t *config = make("AAAA");
    const json_t *linux_part = json_object_get(config, "linux");

    is_part(linux_part, "resources",
            "{\"memory\":{\"limit\":1073741824},\"cpu\":{\"cpus\":\"2-3\",\"mems\":\"1\"},"
            "\"pids\":{\"limit\":99},\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]}");
    is_part(linux_part, "uidMappings",
            "[{\"containerID\":0,\"hostID\":1879113728,\"size\":65536}]");
    is_part(linux_part, "namespaces",
            "[{\"type\":\"user\"},{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},"
            "{\"type\":\"mount\"},{\"type\":\"cgroup\"},"
            "{\"type\":\"network\",\"path\":\"/proc/1/fd/9\"}]");
}

TEST(huge_pages_are_those_of_the_task)
{
    struct numa_part parts[] = { { .numa = 0, .huge_pages = { { 0, 3 } } },
                                 { .numa = 1, .huge_pages = { { 0, 5 } } } };

    allocation.parts = parts;
    allocation.n_parts = 2;
    _cleanup_json_ json_t *config = make("AAAA");
    is_part(json_object_get(json_object_get(config, "linux"), "resources"), "hugepageLimits",
            "[{\"pageSize\":\"2MB\",\"limit\":16777216}]");
    allocation.parts = NULL;
    allocation.n_parts = 0;
}

TEST(a_shared_task_has_a_share_of_the_time)
{
    allocation.shared = true;
    _cleanup_json_ json_t *config = make("AAAA");
    const json_t *resources = json_object_get(json_object_get(config, "linux"), "resources");

    is_part(resources, "cpu",
            "{\"cpus\":\"2-3\",\"mems\":\"1\",\"period\":100000,\"quota\":200000}");
    allocation.shared = false;
}

TEST(the_process_can_gain_nothing)
{
    _cleanup_json_ json_t *config = make("AAAA");
    const json_t *process = json_object_get(config, "process");

    is_part(process, "noNewPrivileges", "true");
    is_part(process, "args", "[\"train\",\"\xef\xbf\xbd\"]");
    is_part(process, "rlimits",
            "[{\"type\":\"RLIMIT_NOFILE\",\"hard\":1000,\"soft\":1000},"
            "{\"type\":\"RLIMIT_CORE\",\"hard\":0,\"soft\":0}]");
    _cleanup_free_ char *sets = json_text(json_object_get(process, "capabilities"));
    ok(!strstr(sets, "CAP_SYS_ADMIN") && !strstr(sets, "CAP_NET_RAW") && !strstr(sets, "MKNOD"));
}

TEST(without_a_compiled_filter_there_is_a_profile)
{
    _cleanup_json_ json_t *with = make("AAAA"), *without = make(NULL);

    is_part(with, "annotations", "{\"run.oci.seccomp_bpf_data\":\"AAAA\"}");
    ok(!json_object_get(json_object_get(with, "linux"), "seccomp"));
    _cleanup_free_ char *profile =
        json_text(json_object_get(json_object_get(without, "linux"), "seccomp"));
    ok(strstr(profile, "\"keyctl\"") && strstr(profile, "\"bpf\"") && strstr(profile, "\"clone\""));
}

static bool has(char **env, const char *variable)
{
    for (; *env; env++)
        if (str_equal(*env, variable))
            return true;
    return false;
}

TEST(the_job_may_say_what_its_rank_is_but_not_who_it_is)
{
    _cleanup_json_ json_t *secrets = json_pack("{s:s}", "key", "v4lue");

    char **env = environment_make(&spec, &(struct environment_facts){ .secrets = secrets });
    ok(has(env, "RANK=7") && has(env, "TOKEN=v4lue") && has(env, "BERTH_PROJECT=lab"));
    ok(has(env, "BERTH_ATTEMPT=2") && has(env, "BERTH_RESUME=1") && has(env, "WORLD_SIZE=1"));
    environment_free(env);
}

TAP_MAIN
