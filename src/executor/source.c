/* source.c - a git URL as workspace: git runs in the job's own container, before the command */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

/* The URL and the ref come as arguments, never as part of the script. A server may redirect only to
 * what a spec may name itself; nothing of the machine's configuration, no hooks, no submodules. */
static const char script[] =
    "cd /workspace && export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1 "
    "GIT_ALLOW_PROTOCOL=${GIT_ALLOW_PROTOCOL:-https:http:git:ssh} && "
    "git init -q --template= . && git config core.hooksPath /dev/null && "
    "git remote add origin -- \"$1\" && "
    "timeout -k 5 900 git fetch -q --no-recurse-submodules --depth 1 origin -- \"$2\" && "
    "git checkout -q FETCH_HEAD && "
    "git config --unset core.hooksPath && git rev-parse HEAD >.git/berth-commit";

int container_clone_source(struct supervisor *s, struct error *err)
{
    const struct workload_spec *spec = s->spec->workload_spec;
    const char *ref = spec->git_ref ? spec->git_ref : "HEAD";
    const char *command[] = { "/bin/sh", "-c", script, "clone", spec->git_url, ref, NULL };
    _cleanup_free_ char *path = xasprintf("%s/rootfs/workspace/.git/berth-commit", s->x->bundle);
    _cleanup_text_ struct text commit = { 0 };

    int code = container_run(s, &(struct container_step){ .command = command }, err);
    if (code < 0)
        return error_context(err, code, "cloning %s", spec->git_url);
    if (code > 0)
        return error_set(err, -EIO, "cloning %s at %s: git ended with code %d; the log says why",
                         spec->git_url, ref, code);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    char bytes[64];
    ssize_t n = fd < 0 ? 0 : read(fd, bytes, sizeof bytes);
    text_add_bytes(&commit, bytes, n > 0 ? strcspn((bytes[n - 1] = '\0', bytes), "\n") : 0);
    if (commit.len)
        s->git_commit = text_take(&commit);
    return 0;
}
