/* cgroup-view.c - which cgroup hierarchies there are */
#include "admin/doctor.h"
#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

/* /proc/self/mounts: "device path type options 0 0", blanks inside as \040. */
static void take_mount(char *line, struct cgroup_view *ret)
{
    char *save = NULL;
    const char *device = strtok_r(line, " ", &save);
    const char *path = strtok_r(NULL, " ", &save);
    const char *type = strtok_r(NULL, " ", &save);

    if (!device || !path || !type || strlen(path) >= sizeof ret->v2_path)
        return;
    if (strcmp(type, "cgroup2") == 0) {
        ret->has_v2 = true;
        (void) snprintf(ret->v2_path, sizeof ret->v2_path, "%s", path);
    } else if (strcmp(type, "cgroup") == 0) {
        ret->has_v1 = true;
        const char *slash = strrchr(path, '/');
        size_t n = slash ? (size_t) (slash - path) : 0;
        (void) snprintf(ret->v1_base, sizeof ret->v1_base, "%.*s", (int) n, path);
    }
}

void cgroup_view_parse(const char *mounts, size_t len, struct cgroup_view *ret)
{
    _cleanup_free_ char *text = xstrndup(mounts, len);
    char *save = NULL;

    *ret = (struct cgroup_view){ 0 };
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        take_mount(line, ret);
}
