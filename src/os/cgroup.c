/* cgroup.c - find the control groups' hierarchies among the mounts */
#include "os/cgroup.h"

#include "base/alloc.h"
#include "base/text.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static const char *const controller_names[CGROUP_N] = {
    [CGROUP_CPUSET] = "cpuset",   [CGROUP_MEMORY] = "memory",   [CGROUP_PIDS] = "pids",
    [CGROUP_CPU] = "cpu",         [CGROUP_CPUACCT] = "cpuacct", [CGROUP_IO] = "blkio",
    [CGROUP_DEVICES] = "devices", [CGROUP_HUGETLB] = "hugetlb",
};

const char *cgroup_controller_name(enum cgroup_controller controller)
{
    return controller_names[controller];
}

static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);

    for (const char *p = list; p && *p; p = strchr(p, ','), p = p ? p + 1 : NULL)
        if (strncmp(p, word, len) == 0 && (p[len] == ',' || !p[len]))
            return true;
    return false;
}

/* "31 23 0:28 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu" */
static void take_mount(struct cgroups *cg, char *line)
{
    char *fields[5] = { 0 }, *rest = strstr(line, " - "), *save = NULL;
    if (!rest)
        return;
    *rest = '\0';
    int n = 0;
    for (char *word = strtok_r(line, " ", &save); word && n < 5; word = strtok_r(NULL, " ", &save))
        fields[n++] = word;
    char *kind = strtok_r(rest + 3, " ", &save);
    (void) strtok_r(NULL, " ", &save);
    char *options = strtok_r(NULL, " \n", &save);
    if (n < 5 || !kind || !options)
        return;
    if (str_equal(kind, "cgroup2") && !cg->v2)
        cg->v2 = xstrdup(fields[4]);
    if (!str_equal(kind, "cgroup"))
        return;
    vec_push(&cg->hierarchies, xstrdup(fields[4]));
    for (int i = 0; i < CGROUP_N; i++)
        if (!cg->roots[i] && has_word(options, controller_names[i]))
            cg->roots[i] = xstrdup(fields[4]);
}

void cgroups_parse(char *mountinfo, struct cgroups *ret)
{
    char *save = NULL;

    *ret = (struct cgroups){ 0 };
    for (char *line = strtok_r(mountinfo, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        take_mount(ret, line);
    ret->unified = ret->hierarchies.len == 0 && ret->v2;
    if (!ret->unified)
        return;
    vec_push(&ret->hierarchies, xstrdup(ret->v2));
    for (int i = 0; i < CGROUP_N; i++)
        ret->roots[i] = xstrdup(ret->v2);
}

int cgroups_find(struct cgroups *ret, struct error *err)
{
    _cleanup_text_ struct text text = { 0 };

    *ret = (struct cgroups){ 0 };
    int r = file_read(AT_FDCWD, "/proc/self/mountinfo", 16 << 20, &text, err);
    if (r < 0)
        return r;
    if (text.data)
        cgroups_parse(text.data, ret);
    return ret->hierarchies.len == 0 ? error_set(err, -ENOENT, "no control groups are mounted") : 0;
}

bool cgroups_has(const struct cgroups *cg, enum cgroup_controller controller)
{
    _cleanup_text_ struct text text = { 0 };
    char *save = NULL;

    if (!cg->unified)
        return cg->roots[controller];
    _cleanup_free_ char *path = xasprintf("%s/cgroup.controllers", cg->v2);
    if (file_read(AT_FDCWD, path, 4096, &text, NULL) < 0 || text.len == 0)
        return false;
    for (char *word = strtok_r(text.data, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
        if (str_equal(word, controller_names[controller]))
            return true;
    return false;
}

/* "4:memory:/slurm/uid_1000/job_7/step_0", or "0::/system.slice/…/job_7/step_0" in version 2 */
void cgroups_parse_step(char *membership, struct cgroups *cg)
{
    char *save = NULL;

    for (char *line = strtok_r(membership, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path || !strstr(path, "/job_"))
            continue;
        *path++ = '\0';
        controllers++;
        for (int i = 0; i < CGROUP_N; i++)
            if (!cg->step[i] &&
                (cg->unified ? !*controllers : has_word(controllers, controller_names[i])))
                cg->step[i] = xstrdup(path);
    }
}

int cgroup_step_open(const struct cgroups *cg, enum cgroup_controller controller, const char *file)
{
    _cleanup_free_ char *group = xstrdup(cg->step[controller]);
    int fd = -1;

    while (fd < 0 && group && cg->roots[controller] && strstr(group, "/job_")) {
        _cleanup_free_ char *path = xasprintf("%s%s/%s", cg->roots[controller], group, file);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        *strrchr(group, '/') = '\0';
    }
    return fd < 0 ? -ENOENT : fd;
}

void cgroups_done(struct cgroups *cg)
{
    for (int i = 0; i < CGROUP_N; i++)
        free(cg->roots[i]);
    for (int i = 0; i < CGROUP_N; i++)
        free(cg->step[i]);
    vec_foreach(&cg->hierarchies, path)
        free(*path);
    vec_done(&cg->hierarchies);
    free(cg->v2);
}
