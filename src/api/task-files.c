/* task-files.c - files of a task that runs elsewhere come home into its directory
 *
 * They lie there as if a supervisor of this machine had written them, so that whoever follows logs and
 * charts does not know the difference. The lock on a file makes one piece follow the other: of two that
 * begin at the same place one finds another size. Who may write is asked when a request begins and again
 * when all of it is here, so that nothing is written after a task was given up, however slowly it is sent.
 */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/vec.h"
#include "os/fd.h"
#include "task/task.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

struct arrival {
    struct call *call;
    enum home_file file;
    struct id task;
    unsigned epoch;
    char *directory;
    int64_t offset, limit;
    const char *bytes; /* the request's */
    size_t len;
    int64_t size;             /* of the file now */
    VEC(struct sha256) trees; /* that exit.json names; looked at from the last */
    int r;
    struct error err;
};

static void arrival_free(void *state)
{
    struct arrival *a = state;

    free(a->directory);
    vec_done(&a->trees);
    free(a);
}

/* ---- answers -------------------------------------------------------------------------------------- */

static void answer_size(struct arrival *a)
{
    json_t *answer = json_object();

    json_put_int(answer, "size", a->size);
    call_answer(a->call, 200, answer);
}

/* The problem, and where to go on. */
static void answer_elsewhere(struct arrival *a)
{
    int status;
    struct text t = { 0 };
    struct api *api = a->call->api;
    _cleanup_free_ char *problem = problem_text(-ESPIPE, a->err.text, &status);

    text_addf(&t, "%.*s,\"size\":%lld}", (int) strlen(problem) - 1, problem, (long long) a->size);
    struct http_request *req = call_take_request(a->call);
    api->answers[status / 100]++;
    http_respond(req, status, "application/problem+json", text_str(&t), t.len);
    text_done(&t);
}

/* ---- a piece of a file that grows -------------------------------------------------------------------- */

static int write_at(int fd, const char *bytes, size_t len, int64_t offset)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, bytes, len, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes += n;
        len -= (size_t) n;
        offset += n;
    }
    return 0;
}

static int append(struct arrival *a, int fd)
{
    struct stat st;

    if (flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
        return error_set(&a->err, -errno, "%s: %s", home_file_name(a->file), strerror(errno));
    a->size = st.st_size;
    if (a->size != a->offset)
        return error_set(&a->err, -ESPIPE, "offset: %lld bytes are here", (long long) a->size);
    ssize_t n = home_piece_check(a->file, a->bytes, a->len, &a->err);
    if (n < 0)
        return (int) n;
    if (n > a->limit - a->size)
        return error_set(&a->err, -EFBIG, "%s has at most %lld bytes", home_file_name(a->file),
                         (long long) a->limit);
    int r = write_at(fd, a->bytes, (size_t) n, a->size);
    if (r < 0) {
        if (ftruncate(fd, a->size) < 0) /* what there is more was checked too */
            r = -EIO;
        return error_set(&a->err, r, "%s: %s", home_file_name(a->file), strerror(-r));
    }
    a->size += n;
    return 0;
}

static void append_work(void *item)
{
    struct arrival *a = item;
    _cleanup_close_ int dir = open(a->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd = -1;

    if (dir >= 0)
        fd = open_beneath_nosymlink(dir, home_file_name(a->file), O_RDWR | O_CREAT, 0640);
    if (dir < 0 || fd < 0)
        a->r = error_set(&a->err, -EAGAIN, "the task has no directory yet");
    else
        a->r = append(a, fd);
}

static void append_worked(void *item)
{
    struct arrival *a = item;

    if (a->r == -ESPIPE)
        answer_elsewhere(a);
    else if (a->r < 0)
        call_fail(a->call, a->r, &a->err);
    else
        answer_size(a);
}

/* ---- a file that is replaced --------------------------------------------------------------------------- */

static void replace_work(void *item)
{
    struct arrival *a = item;
    _cleanup_close_ int dir = open(a->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    a->size = (int64_t) a->len;
    if (dir < 0)
        a->r = error_set(&a->err, -EAGAIN, "the task has no directory yet");
    else
        a->r = file_replace(dir, home_file_name(a->file), 0640, a->bytes, a->len,
                            a->file == HOME_EXIT, &a->err);
}

static void replace_worked(void *item)
{
    struct arrival *a = item;
    struct lifecycle *lc = a->call->api->options.lifecycle;
    struct id task = a->task;

    if (a->r < 0) {
        call_fail(a->call, a->r, &a->err);
        return;
    }
    bool lingers = a->file == HOME_EXIT && json_is_true(json_object_get(a->call->query, "next")) &&
                   lifecycle_task_linger(lc, &task);
    if (lingers)
        next_wait(a->call, &task, a->size);
    else
        answer_size(a);
    lifecycle_task_news(lc, &task);
}

static void replace(struct arrival *a)
{
    pool_submit(a->call->api->options.pool, replace_work, replace_worked, a);
}

/* ---- exit.json: what it names must be here, and be this project's ---------------------------------------- */

static int add_tree(struct arrival *a, const json_t *json)
{
    const char *hex = json_get_str(json, "manifest", NULL);
    struct sha256 sum;

    if (!hex)
        return 0;
    if (sha256_parse(hex, &sum) < 0)
        return error_set(&a->err, -EINVAL, "artifacts.manifest: is not a SHA-256 in hexadecimal");
    vec_push(&a->trees, sum);
    return 0;
}

static int list_trees(struct arrival *a)
{
    _cleanup_json_ json_t *json = NULL;

    int r = json_parse(a->bytes, a->len, &json, &a->err);
    if (r < 0)
        return r;
    const json_t *artifacts = json_object_get(json, "artifacts");
    const json_t *outputs = json_object_get(artifacts, "outputs");
    r = add_tree(a, artifacts);
    for (size_t i = 0; r >= 0 && i < json_array_size(outputs); i++)
        r = add_tree(a, json_array_get(outputs, i));
    if (r >= 0)
        r = add_tree(a, json_object_get(json, "storage"));
    return r;
}

static void next_tree(struct arrival *a);

static void tree_checked(void *userdata, int r, const struct tree_size *size,
                         const struct error *err)
{
    struct arrival *a = userdata;
    struct lifecycle_task task;

    (void) size;
    if (r < 0) {
        call_fail(a->call, r, err);
        return;
    }
    /* That may have taken a while. */
    if (task_of_call(a->call, &task))
        next_tree(a);
}

static void next_tree(struct arrival *a)
{
    struct call *call = a->call;

    if (a->trees.len > 0) {
        struct sha256 tree = a->trees.items[--a->trees.len];
        tree_check(call->api, &call->project, &tree, tree_checked, a);
    } else {
        replace(a);
    }
}

static void take_record(struct arrival *a)
{
    int r = home_record_check(a->file, a->bytes, a->len, a->epoch, &a->err);

    if (r >= 0 && a->file == HOME_EXIT)
        r = list_trees(a);
    if (r < 0)
        call_fail(a->call, r, &a->err);
    else
        next_tree(a);
}

/* ---- requests ------------------------------------------------------------------------------------------- */

static void arrived(void *userdata, struct http_request *req, int r, const char *bytes, size_t len)
{
    struct arrival *a = userdata;
    struct lifecycle_task task;
    struct error err = { 0 };

    if (r < 0) {
        call_refuse(a->call, r, "the content could not be read; at most %d bytes are taken",
                    HOME_PIECE_MAX);
        return;
    }
    if (!task_of_call(a->call, &task))
        return;
    a->bytes = bytes;
    a->len = len;
    a->epoch = task.epoch;
    a->limit = home_file_limit(a->file, task.log_limit_bytes);
    if (!home_file_grows(a->file)) {
        take_record(a);
        return;
    }
    r = len ? upload_check_room(a->call, &err) : 0;
    if (r < 0)
        call_fail(a->call, r, &err);
    else
        pool_submit(a->call->api->options.pool, append_work, append_worked, a);
}

static int check_request(const struct call *call, const struct lifecycle_task *task,
                         enum home_file file, struct error *err)
{
    bool has_offset = json_object_get(call->query, "offset") != NULL;

    if (!task->is_away)
        return error_set(err, -EPERM, "the task is on this machine, where its files lie");
    if (home_file_grows(file) && !has_offset)
        return error_set(err, -EINVAL, "offset: is needed; the answer to another one says which");
    if (!home_file_grows(file) && has_offset)
        return error_set(err, -EINVAL, "offset: %s is replaced as a whole", home_file_name(file));
    return 0;
}

void task_file_put(struct call *call)
{
    struct lifecycle_task task;
    struct error err = { 0 };
    enum home_file file = HOME_LOG;

    if (!task_of_call(call, &task))
        return;
    (void) home_file_of(call_param(call, "task_file_name"), &file); /* checked */
    int r = check_request(call, &task, file, &err);
    if (r < 0) {
        call_fail(call, r, &err);
        return;
    }
    struct arrival *a = xnew(struct arrival);
    a->call = call;
    a->file = file;
    a->task = task.task;
    a->offset = json_get_int(call->query, "offset", 0);
    a->directory = attempt_path(call->api, &task.task, ".");
    call->state = a;
    call->free_state = arrival_free;
    http_read_body(call->req, HOME_PIECE_MAX, arrived, a);
}
