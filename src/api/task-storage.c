/* task-storage.c - /storage of a project for a task on a node that does not share it
 *
 * The keeper reads what belongs to the project's users (storage/keeper.h). Tasks that begin while a list is made
 * wait for the next one, all for the same: what was written before they asked is in it.
 */
#include "api/internal.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "storage/storage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Of one project. */
struct storage_look {
    struct storage_look *next;
    struct api *api;
    struct keeper_project project;
    int socket;
    struct watch *watch;
    struct storage_wait *now, *later; /* who gets this list, and the next one */
};

struct storage_wait {
    struct storage_wait *next, **link;
    struct call *call;
    struct storage_look *look; /* of a file: its own */
    int socket;
    struct watch *watch;
};

static void wait_free(void *state)
{
    struct storage_wait *w = state;

    if (w->link) {
        *w->link = w->next;
        if (w->next)
            w->next->link = w->link;
    }
    watch_free(w->watch);
    safe_close(w->socket);
    free(w);
}

static struct storage_wait *wait_new(struct call *call)
{
    struct storage_wait *w = xnew(struct storage_wait);

    w->call = call;
    w->socket = -1;
    call->state = w;
    call->free_state = wait_free;
    return w;
}

static void wait_join(struct storage_wait *w, struct storage_wait **list)
{
    w->next = *list;
    w->link = list;
    if (w->next)
        w->next->link = &w->next;
    *list = w;
}

/* FD is taken. */
static void respond(struct call *call, const char *media, int fd)
{
    struct stat st;
    struct api *api = call->api;

    if (fstat(fd, &st) < 0) {
        safe_close(fd);
        call_refuse(call, -EIO, "the content cannot be read: %s", strerror(errno));
        return;
    }
    api->answers[2]++;
    http_respond_file(call_take_request(call), 200, media, fd, 0, st.st_size);
}

/* ---- the list ------------------------------------------------------------------------------------------- */

static void look_begin(struct storage_look *look);

static void look_drop(struct storage_look *look)
{
    for (struct storage_look **p = &look->api->storage_looks; *p; p = &(*p)->next)
        if (*p == look) {
            *p = look->next;
            break;
        }
    watch_free(look->watch);
    safe_close(look->socket);
    free(look);
}

static void answer_one(struct call *call, int r, int fd, const struct storage_counts *counts,
                       const struct error *err)
{
    struct lifecycle_task task;
    char has[32], limit[32];

    if (r < 0) {
        call_fail(call, r, err);
    } else if (counts->bytes > call->api->options.storage_push_limit) {
        call_refuse(call, -EFBIG,
                    "/storage of the project has %s, and more than %s is not sent to a node: "
                    "declare a file system that the nodes share (setting storage), or raise "
                    "storage_push_limit",
                    bytes_to_str(counts->bytes, has),
                    bytes_to_str(call->api->options.storage_push_limit, limit));
    } else if (task_of_call(call, &task)) {
        int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (own < 0)
            call_refuse(call, -EAGAIN, "too many files are open");
        else
            respond(call, "text/plain", own);
    }
}

static void on_list(void *userdata, uint32_t events)
{
    struct storage_look *look = userdata;
    struct storage_counts counts = { 0 };
    struct error err = { 0 };
    int fd = -1;

    (void) events;
    watch_free(look->watch);
    look->watch = NULL;
    int r = keeper_answer(look->socket, &fd, &counts, &err);
    look->socket = safe_close(look->socket);
    if (r >= 0 && fd < 0)
        r = error_set(&err, -EIO, "the keeper of /storage gave no list");
    while (look->now)
        answer_one(look->now->call, r, fd, &counts, &err);
    safe_close(fd);
    if (!look->later) {
        look_drop(look);
        return;
    }
    look->now = look->later;
    look->now->link = &look->now;
    look->later = NULL;
    look_begin(look);
}

static void look_begin(struct storage_look *look)
{
    struct error err = { 0 };

    look->socket = keeper_ask_list(look->api->options.keeper, &look->project, &err);
    if (look->socket >= 0) {
        look->watch = loop_watch(look->api->options.loop, look->socket, EPOLLIN, on_list, look);
        return;
    }
    while (look->now)
        call_fail(look->now->call, look->socket, &err);
    look_drop(look);
}

static struct storage_look *find_look(const struct api *api, const struct id *project)
{
    struct storage_look *look = api->storage_looks;

    while (look && !id_equal(&look->project.project, project))
        look = look->next;
    return look;
}

static bool is_sent(struct call *call, const struct lifecycle_task *task)
{
    if (task->is_away && call->api->options.keeper >= 0)
        return true;
    call_refuse(call, -EPERM, "/storage is not sent to tasks of this server");
    return false;
}

/* As that of most small jobs is: no process is asked then. One that this account may not look into is asked for. */
static bool is_empty(const struct api *api, const struct id *project)
{
    char id[ID_TEXT_LEN + 1];
    _cleanup_free_ char *path =
        xasprintf("%s/projects/%s/storage", api->options.state, id_format(project, id));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    unsigned n = 0;

    if (!dir) {
        bool is_absent = fd < 0 && errno == ENOENT;
        safe_close(fd);
        return is_absent;
    }
    while (n < 3 && readdir(dir))
        n++;
    (void) closedir(dir);
    return n < 3;
}

void task_storage_get(struct call *call)
{
    struct lifecycle_task task;
    struct api *api = call->api;

    if (!task_of_call(call, &task) || !is_sent(call, &task))
        return;
    if (is_empty(api, &task.project)) {
        api->answers[2]++;
        http_respond(call_take_request(call), 200, "text/plain", "", 0);
        return;
    }
    struct storage_wait *w = wait_new(call);
    struct storage_look *look = find_look(api, &task.project);
    if (look) {
        wait_join(w, &look->later);
        return;
    }
    look = xnew(struct storage_look);
    *look = (struct storage_look){ .next = api->storage_looks,
                                   .api = api,
                                   .project = { task.project, task.uid_base },
                                   .socket = -1 };
    api->storage_looks = look;
    wait_join(w, &look->now);
    look_begin(look);
}

void storage_looks_end(struct api *api)
{
    while (api->storage_looks) {
        struct storage_look *look = api->storage_looks;
        while (look->now)
            call_refuse(look->now->call, -EAGAIN, "the server ends");
        while (look->later)
            call_refuse(look->later->call, -EAGAIN, "the server ends");
        look_drop(look);
    }
}

/* ---- a file --------------------------------------------------------------------------------------------- */

static void on_file(void *userdata, uint32_t events)
{
    struct storage_wait *w = userdata;
    struct call *call = w->call;
    struct error err = { 0 };
    int fd = -1;

    (void) events;
    int r = keeper_answer(w->socket, &fd, NULL, &err);
    if (r < 0 || fd < 0)
        call_fail(call, r < 0 ? r : -EIO, &err);
    else
        respond(call, "application/octet-stream", fd);
}

void task_storage_file_get(struct call *call)
{
    struct lifecycle_task task;
    struct error err = { 0 };

    if (!task_of_call(call, &task) || !is_sent(call, &task))
        return;
    const struct keeper_project project = { task.project, task.uid_base };
    struct storage_wait *w = wait_new(call);
    w->socket =
        keeper_ask_file(call->api->options.keeper, &project, call_param(call, "path"), &err);
    if (w->socket < 0)
        call_fail(call, w->socket, &err);
    else
        w->watch = loop_watch(call->api->options.loop, w->socket, EPOLLIN, on_file, w);
}
