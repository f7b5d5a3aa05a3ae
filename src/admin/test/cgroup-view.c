/* Which hierarchies a machine has, from the text of its mounts. */
#include "admin/doctor.h"
#include "tests/tap.h"

static struct cgroup_view view(const char *mounts)
{
    struct cgroup_view v;

    cgroup_view_parse(mounts, strlen(mounts), &v);
    return v;
}

TEST(a_machine_has_v2_v1_or_both)
{
    struct cgroup_view v = view("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n");
    ok(v.has_v2 && !v.has_v1);
    is_str(v.v2_path, "/sys/fs/cgroup");

    v = view("tmpfs /sys/fs/cgroup tmpfs rw 0 0\n"
             "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
             "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n");
    ok(v.has_v2 && v.has_v1);
    is_str(v.v2_path, "/sys/fs/cgroup/unified");
    is_str(v.v1_base, "/sys/fs/cgroup");

    v = view("proc /proc proc rw 0 0\nbroken\n");
    ok(!v.has_v2 && !v.has_v1);
}

TEST(the_nearest_directory_is_found_where_the_state_is_not_yet)
{
    char *path = existing_parent("/tmp/berth-is-not-here/and/neither/is/this");

    is_str(path, "/tmp");
    free(path);
    path = existing_parent("/");
    is_str(path, "/");
    free(path);
}

TAP_MAIN
