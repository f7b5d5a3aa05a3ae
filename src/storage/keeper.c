/* keeper.c - see keeper.h
 *
 * One packet a request, with a socket for its answer. Files are opened at once; what takes long is done by a child,
 * one at a time for changes of a project.
 */

#include "base/alloc.h"
#include "os/fd.h"
#include "os/packet.h"
#include "os/process.h"
#include "storage/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define TOLD_MAX (1 << 20)

enum keeper_op { KEEPER_LIST = 1, KEEPER_OPEN, KEEPER_LAND };

struct keeper_request {
    uint32_t op, uid_base;
    struct id project;
    struct sha256 changes;
    char name[64];
    char path[STORAGE_PATH_MAX + 1];
};

struct keeper_answer {
    int32_t code;
    char text[232];
    struct storage_counts counts;
};

struct keeper {
    const char *state;
    int state_fd, socket, other; /* OTHER: the server's end */
    uint32_t uid_first;
};

/* ---- the directory of a project ------------------------------------------------------------------------- */

static int make_directory(int above, const char *name, uid_t owner, mode_t mode, int *ret)
{
    bool made = mkdirat(above, name, 0700) == 0;

    if (!made && errno != EEXIST)
        return -errno;
    _cleanup_close_ int fd = directory_open(above, name);
    int r = fd < 0 ? fd : 0;
    if (r < 0)
        return r;
    if (made && (fchown(fd, owner, owner) < 0 || fchmod(fd, mode) < 0))
        return -errno;
    *ret = take_fd(&fd);
    return 0;
}

/* STATE/projects/ID and its storage/, made as the first task of a machine of ours makes them. */
static int open_project(const struct keeper *k, const struct keeper_request *request,
                        int *ret_project, int *ret_storage)
{
    char id[ID_TEXT_LEN + 1];
    _cleanup_close_ int projects = -1, project = -1;
    int r = make_directory(k->state_fd, "projects", 0, 0711, &projects);

    if (r >= 0)
        r = make_directory(projects, id_format(&request->project, id), 0, 0711, &project);
    if (r >= 0)
        r = make_directory(project, "storage", request->uid_base, 0755, ret_storage);
    if (r >= 0 && ret_project)
        *ret_project = take_fd(&project);
    return r;
}

/* ---- requests ------------------------------------------------------------------------------------------- */

static int list(const struct keeper *k, const struct keeper_request *request,
                struct keeper_answer *answer, int *ret_fd, struct error *err)
{
    char fresh[64];
    _cleanup_close_ int project = -1, storage = -1;
    int r = open_project(k, request, &project, &storage);

    if (r < 0)
        return error_set(err, r, "/storage: %s", strerror(-r));
    (void) snprintf(fresh, sizeof fresh, "storage.index-%d", (int) getpid());
    _cleanup_close_ int index = openat(project, "storage.index", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_close_ int new_index =
        openat(project, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    _cleanup_close_ int out = file_unnamed(project, ".");
    const struct storage_scan scan = { .root = storage,
                                       .uid_base = request->uid_base,
                                       .index = index,
                                       .new_index = new_index,
                                       .out = out };
    r = out < 0 ? error_set(err, out, "a list of /storage: %s", strerror(-out))
                : storage_scan(&scan, &answer->counts, err);
    if (r < 0 || new_index < 0 || renameat(project, fresh, project, "storage.index") < 0)
        (void) unlinkat(project, fresh, 0);
    if (r >= 0 && lseek(out, 0, SEEK_SET) < 0)
        r = error_set(err, -errno, "a list of /storage: %s", strerror(errno));
    if (r >= 0)
        *ret_fd = take_fd(&out);
    return r;
}

static int open_file(const struct keeper *k, const struct keeper_request *request, int *ret_fd,
                     struct error *err)
{
    _cleanup_close_ int storage = -1;
    struct stat st;
    int r = storage_path_check(request->path, err);

    if (r >= 0)
        r = open_project(k, request, NULL, &storage);
    if (r < 0)
        return r;
    _cleanup_close_ int fd =
        open_beneath_nosymlink(storage, request->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return error_set(err, -ENOENT, "/storage/%.120s is no file any more", request->path);
    *ret_fd = take_fd(&fd);
    return 0;
}

static int open_told(const struct text *told, struct error *err)
{
    size_t len = told->len < TOLD_MAX ? told->len : TOLD_MAX;
    _cleanup_close_ int fd = memfd_create("berth-told", MFD_CLOEXEC);
    int r = fd < 0 ? -errno : write_full(fd, text_str(told), len);

    if (r >= 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = -errno;
    return r < 0 ? error_set(err, r, "what is to be said: %s", strerror(-r)) : take_fd(&fd);
}

static int land_list(const struct keeper *k, const struct keeper_request *request, int storage,
                     struct storage_land *land, struct text *told, struct error *err)
{
    struct storage_list changes = { 0 };
    struct storage_counts counts;
    _cleanup_close_ int fd = blob_open(land->blobs, &request->changes, NULL);
    int r = fd < 0 ? error_set(err, fd, "its changes: %s", strerror(-fd))
                   : storage_list_open(fd, &changes, err);

    land->root = storage;
    land->changes = &changes;
    if (r >= 0)
        r = storage_land(land, told, &counts, err);
    storage_list_done(&changes);
    return r;
}

static int land(const struct keeper *k, const struct keeper_request *request, int *ret_fd,
                struct error *err)
{
    _cleanup_(blob_store_closep) struct blob_store *blobs = NULL;
    _cleanup_close_ int project = -1, storage = -1;
    struct text told = { 0 };
    int r = open_project(k, request, &project, &storage);

    if (r < 0)
        return error_set(err, r, "/storage: %s", strerror(-r));
    (void) flock(project, LOCK_EX);
    r = blob_store_open(k->state, &blobs, err);
    struct storage_land one = {
        .uid_base = request->uid_base, .own_ids = true, .name = request->name, .blobs = blobs
    };
    if (r >= 0)
        r = land_list(k, request, storage, &one, &told, err);
    if (r >= 0 && told.len) {
        *ret_fd = open_told(&told, err);
        r = *ret_fd;
    }
    text_done(&told);
    return r;
}

static int check(const struct keeper *k, const struct keeper_request *request, struct error *err)
{
    if (request->uid_base < k->uid_first ||
        (request->uid_base - k->uid_first) % STORAGE_UIDS != 0 ||
        request->uid_base > UINT32_MAX - STORAGE_UIDS)
        return error_set(err, -EPERM, "uid %" PRIu32 " begins no project's range",
                         request->uid_base);
    if (!memchr(request->name, '\0', sizeof request->name) ||
        !memchr(request->path, '\0', sizeof request->path) || strchr(request->name, '/'))
        return error_set(err, -EINVAL, "the request is malformed");
    return 0;
}

/* ---- answers -------------------------------------------------------------------------------------------- */

static void reply(int socket, struct keeper_answer *answer, int code, const struct error *err,
                  int fd)
{
    answer->code = code < 0 ? code : 0;
    if (code < 0)
        (void) snprintf(answer->text, sizeof answer->text, "%s",
                        err->text[0] ? err->text : strerror(-code));
    if (fd >= 0)
        (void) packet_send(socket, answer, sizeof *answer, &fd, 1);
    else
        (void) !send(socket, answer, sizeof *answer, MSG_NOSIGNAL);
}

struct work {
    const struct keeper *keeper;
    const struct keeper_request *request;
    int socket;
};

static int work(void *userdata)
{
    const struct work *w = userdata;
    struct keeper_answer answer = { 0 };
    struct error err = { 0 };
    int fd = -1;
    int r = w->request->op == KEEPER_LIST ? list(w->keeper, w->request, &answer, &fd, &err)
                                          : land(w->keeper, w->request, &fd, &err);

    reply(w->socket, &answer, r, &err, fd);
    return 0;
}

/* The answer is the child's; when it dies the socket says so. */
static int begin(const struct keeper *k, const struct keeper_request *request, int socket,
                 struct error *err)
{
    struct work w = { k, request, socket };
    struct process child = { .pidfd = -1 };
    int r = process_fork(work, &w, &child, err);

    safe_close(child.pidfd);
    return r;
}

static void obey(const struct keeper *k, const struct keeper_request *request, int socket)
{
    struct keeper_answer answer = { 0 };
    struct error err = { 0 };
    int fd = -1, r = check(k, request, &err);

    if (r >= 0 && request->op == KEEPER_OPEN) {
        r = open_file(k, request, &fd, &err);
    } else if (r >= 0 && (request->op == KEEPER_LIST || request->op == KEEPER_LAND)) {
        r = begin(k, request, socket, &err);
        if (r >= 0)
            return;
    } else if (r >= 0) {
        r = error_set(&err, -EINVAL, "there is no request %u", request->op);
    }
    reply(socket, &answer, r, &err, fd);
    safe_close(fd);
}

static void serve(const struct keeper *k)
{
    struct keeper_request *request = xnew(struct keeper_request);

    for (;;) {
        int socket = -1;
        int r = packet_receive(k->socket, request, sizeof *request, &socket, 1);
        if (r == 0 || r == -ECONNRESET)
            break;
        if (r > 0 && socket >= 0)
            obey(k, request, socket);
        safe_close(socket);
    }
    free(request);
}

/* Files of any project are its business, and nothing else of root's is. */
static void drop_privileges(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
    uint32_t kept =
        1U << CAP_CHOWN | 1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH | 1U << CAP_FOWNER;

    data[0].effective = data[0].permitted = kept;
    (void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void) syscall(SYS_capset, &head, data);
}

static int keeper_main(void *userdata)
{
    const struct keeper *k = userdata;

    (void) setsid();
    (void) umask(022);
    (void) prctl(PR_SET_NAME, "berth-storage", 0, 0, 0);
    (void) signal(SIGPIPE, SIG_IGN);
    (void) signal(SIGCHLD, SIG_IGN); /* nobody waits for children */
    safe_close(k->other);
    drop_privileges();
    serve(k);
    return 0;
}

int keeper_start(const char *state, uint32_t uid_first, int *ret_fd, int *ret_pidfd,
                 struct error *err)
{
    struct keeper k = { .state = state, .uid_first = uid_first };
    struct process process = { .pidfd = -1 };
    int pair[2];
    _cleanup_close_ int dir = k.state_fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return error_set(err, -errno, "%s: %s", state, strerror(errno));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set(err, -errno, "the keeper of /storage: %s", strerror(errno));
    _cleanup_close_ int ours = pair[0];
    k.socket = pair[1];
    k.other = pair[0];
    int r = process_fork(keeper_main, &k, &process, err);
    safe_close(pair[1]);
    if (r >= 0)
        r = set_nonblock(ours, true);
    if (r < 0) {
        safe_close(process.pidfd);
        return error_context(err, r, "the keeper of /storage");
    }
    *ret_fd = take_fd(&ours);
    *ret_pidfd = process.pidfd;
    return 0;
}

/* ---- who asks ------------------------------------------------------------------------------------------- */

static struct keeper_request *request_new(enum keeper_op op, const struct keeper_project *project)
{
    struct keeper_request *request = xnew(struct keeper_request);

    request->op = op;
    request->project = project->project;
    request->uid_base = project->uid_base;
    return request;
}

static int ask(int keeper, const struct keeper_request *request, struct error *err)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set(err, -errno, "asking the keeper of /storage: %s", strerror(errno));
    int r = packet_send(keeper, request, sizeof *request, &pair[1], 1);
    safe_close(pair[1]);
    if (r >= 0)
        return pair[0];
    safe_close(pair[0]);
    return error_set(err, r, "asking the keeper of /storage: %s", strerror(-r));
}

int keeper_ask_list(int keeper, const struct keeper_project *project, struct error *err)
{
    _cleanup_free_ struct keeper_request *request = request_new(KEEPER_LIST, project);

    return ask(keeper, request, err);
}

int keeper_ask_file(int keeper, const struct keeper_project *project, const char *path,
                    struct error *err)
{
    _cleanup_free_ struct keeper_request *request = request_new(KEEPER_OPEN, project);

    (void) snprintf(request->path, sizeof request->path, "%s", path);
    return ask(keeper, request, err);
}

int keeper_ask_land(int keeper, const struct keeper_project *project, const char *name,
                    const struct sha256 *changes, struct error *err)
{
    _cleanup_free_ struct keeper_request *request = request_new(KEEPER_LAND, project);

    request->changes = *changes;
    (void) snprintf(request->name, sizeof request->name, "%s", name);
    return ask(keeper, request, err);
}

int keeper_answer(int socket, int *ret_fd, struct storage_counts *ret, struct error *err)
{
    struct keeper_answer answer = { 0 };
    _cleanup_close_ int fd = -1;
    int r = packet_receive(socket, &answer, sizeof answer, &fd, 1);

    *ret_fd = -1;
    if (r <= 0)
        return error_set(err, r < 0 ? r : -EPIPE, "the keeper of /storage does not answer");
    if (answer.code < 0)
        return error_set(err, answer.code, "%s", answer.text);
    if (ret)
        *ret = answer.counts;
    *ret_fd = take_fd(&fd);
    return 0;
}
