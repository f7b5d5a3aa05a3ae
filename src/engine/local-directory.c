/* local-directory.c - the server's side of STATE/attempts/ID */
#include "engine/local.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/fd.h"
#include "os/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>

#define RECORD_MAX (8 << 20)

int directory_make(int attempts, const struct task_spec *spec, struct error *err)
{
    char id[ID_TEXT_LEN + 1];
    _cleanup_free_ char *path = xasprintf("%s/spec.json", id_format(&spec->attempt, id));
    _cleanup_json_ json_t *json = NULL;

    if (mkdirat(attempts, id, 0711) < 0) {
        if (errno != EEXIST)
            return error_set(err, -errno, "attempts/%s: %s", id, strerror(errno));
        if (directory_has(attempts, id, "spec.json"))
            return 1;
    }
    /* The umask does not matter: the writable layer's parents must be passable. */
    if (fchmodat(attempts, id, 0711, 0) < 0)
        return error_set(err, -errno, "attempts/%s: %s", id, strerror(errno));
    json = task_spec_to_json(spec);
    _cleanup_free_ char *text = json_text(json);
    return file_replace(attempts, path, 0600, text, strlen(text), false, err);
}

bool directory_has(int attempts, const char *id, const char *file)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", id, file);

    return faccessat(attempts, path, F_OK, 0) == 0;
}

bool directory_is_locked(int attempts, const char *id)
{
    _cleanup_free_ char *path = xasprintf("%s/lock", id);
    _cleanup_close_ int fd = openat(attempts, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static int read_record(int attempts, const char *id, const char *file, json_t **ret,
                       struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", id, file);
    _cleanup_text_ struct text text = { 0 };

    int r = file_read(attempts, path, RECORD_MAX, &text, err);
    return r < 0 ? r : json_parse(text_str(&text), text.len, ret, err);
}

int directory_read_ready(int attempts, const char *id, struct task_ready **ret, struct error *err)
{
    _cleanup_json_ json_t *json = NULL;

    int r = read_record(attempts, id, "ready", &json, err);
    return r < 0 ? r : task_ready_from_json(json, ret, err);
}

int directory_write_peers(int attempts, const char *id, const json_t *peers, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/peers", id);
    _cleanup_free_ char *text = json_text(peers);

    return file_replace(attempts, path, 0644, text, strlen(text), false, err);
}

int directory_read_started(int attempts, const char *id, struct task_started **ret,
                           struct error *err)
{
    _cleanup_json_ json_t *json = NULL;

    int r = read_record(attempts, id, "started", &json, err);
    return r < 0 ? r : task_started_from_json(json, ret, err);
}

int directory_read_exit(int attempts, const char *id, struct task_exit **ret, struct error *err)
{
    _cleanup_json_ json_t *json = NULL;

    int r = read_record(attempts, id, "exit.json", &json, err);
    return r < 0 ? r : task_exit_from_json(json, ret, err);
}

int directory_check(int attempts, const char *id, struct error *err)
{
    _cleanup_json_ json_t *json = NULL;

    /* What is not there or is no JSON is judged when the attempt is taken up. */
    if (read_record(attempts, id, "spec.json", &json, NULL) < 0)
        return 0;
    int r = task_version_check(json_get_int(json, "version", 0), err);
    return r < 0 ? error_context(err, r, "attempts/%s/spec.json", id) : 0;
}

char *directory_account(int attempts, const char *id)
{
    _cleanup_json_ json_t *json = NULL;

    return read_record(attempts, id, "spec.json", &json, NULL) < 0
               ? NULL
               : xstrdup(json_get_str(json, "account", NULL));
}

int engine_local_check(const char *state, const struct id *attempts, size_t n, struct error *err)
{
    char name[ID_TEXT_LEN + 1];
    _cleanup_free_ char *path = xasprintf("%s/attempts", state);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? error_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;

    for (size_t i = 0; r >= 0 && i < n; i++)
        r = directory_check(fd, id_format(&attempts[i], name), err);
    return r;
}

int64_t engine_local_writing_since(const char *state, const struct id *attempts, size_t n)
{
    _cleanup_free_ char *top = xasprintf("%s/attempts", state);
    _cleanup_close_ int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int64_t since_us = INT64_MAX;

    for (size_t i = 0; i < n; i++) {
        char name[ID_TEXT_LEN + 1];
        _cleanup_free_ char *path = xasprintf("%s/collecting", id_format(&attempts[i], name));
        struct stat st;
        if (fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        int64_t us = st.st_mtim.tv_sec * US_PER_S + st.st_mtim.tv_nsec / 1000;
        since_us = us < since_us ? us : since_us;
    }
    return since_us;
}

int directory_connect(int attempts, const char *id)
{
    _cleanup_close_ int dir = openat(attempts, id, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return dir < 0 ? -errno : packet_connect(dir, "sock");
}
