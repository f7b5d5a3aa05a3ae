/* batch-collect.c - write the output of batch jobs as it comes
 *
 * DIR/JOB.json says what is to be done for a job or an array and how far it is: the last event that was
 * looked at, and how many bytes of which logs were written. DIR/lock is held by who works.
 */
#include "cli/batch-collect.h"

#include "cli/follow.h"

#include "base/alloc.h"
#include "base/text.h"
#include "os/fd.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum {
    EVENTS = 1000, /* of a page */
    FETCHES = 100, /* logs of a round */
    TICK_MS = 200, /* between rounds in which something came; then longer and longer */
    TICK_MAX_MS = 1000,
    RETRY_MAX_MS = 10000,
    RECORD_MAX = 1 << 20,
};

/* A job whose log grows. */
struct active {
    struct record *record;
    unsigned index; /* in its array; 0: it is alone */
    unsigned attempt;
    struct output {
        int64_t offset; /* so many bytes of its log are in the file */
        char *path;     /* NULL: it has not begun; of the second: it is not wanted */
    } outputs[2];       /* all, or stdout; stderr */
    char *node;
    bool has_ended, is_over; /* the rest of its log is to be fetched; was */
};

/* What is to be done for a job or an array. */
struct record {
    char *file; /* its name in the directory */
    json_t *json;
    int64_t seq;      /* of the last event that was looked at */
    unsigned n_left;  /* jobs that have not ended */
    struct map *jobs; /* of an array: id -> index + 1 */
    bool is_dirty;
};

struct collector {
    struct cli *cli;
    char *dir;
    VEC(struct record *) records;
    VEC(struct active *) active;
    size_t next; /* of ACTIVE */
    bool has_news;
};

/* ---- the directory --------------------------------------------------------------------------------- */

char *batch_collect_dir(const struct cli *cli)
{
    _cleanup_free_ char *state = config_state_dir();
    struct text t = { 0 };

    text_addf(&t, "%s/batch/", state);
    for (const char *p = cli->url; *p; p++)
        text_add_char(&t, isalnum((unsigned char) *p) ? *p : '-');
    text_addf(&t, "-%s", cli->project);
    return text_take(&t);
}

static char *record_path(const struct collector *c, const char *file)
{
    return xasprintf("%s/%s", c->dir, file);
}

static void active_free(struct active *a)
{
    free(a->outputs[0].path);
    free(a->outputs[1].path);
    free(a->node);
    free(a);
}

static void record_free(struct record *r)
{
    free(r->file);
    json_decref(r->json);
    map_free(r->jobs);
    free(r);
}

static void collector_done(struct collector *c)
{
    vec_foreach(&c->active, a)
        active_free(*a);
    vec_foreach(&c->records, r)
        record_free(*r);
    vec_done(&c->active);
    vec_done(&c->records);
    free(c->dir);
}

static void save(struct collector *c, struct record *r)
{
    _cleanup_free_ char *path = record_path(c, r->file);
    json_t *list = json_array();

    vec_foreach(&c->active, item) {
        const struct active *a = *item;
        if (a->record != r || a->is_over)
            continue;
        json_t *one = json_object();
        json_put_int(one, "index", a->index);
        json_put_int(one, "attempt", a->attempt);
        json_put_int(one, "offset", a->outputs[0].offset);
        json_put_str(one, "path", a->outputs[0].path);
        json_put_int(one, "error_offset", a->outputs[1].offset);
        json_put_str(one, "error_path", a->outputs[1].path);
        json_put_str(one, "node", a->node);
        json_put(one, "has_ended", json_boolean(a->has_ended));
        (void) json_array_append_new(list, one);
    }
    json_put(r->json, "active", list);
    json_put_int(r->json, "seq", r->seq);
    json_put_int(r->json, "left", r->n_left);
    _cleanup_free_ char *text = json_text(r->json);
    (void) file_replace(AT_FDCWD, path, 0600, text, strlen(text), false, NULL);
    r->is_dirty = false;
}

static int read_record(struct collector *c, const char *file, struct record **ret,
                       struct error *err)
{
    _cleanup_free_ char *path = record_path(c, file);
    _cleanup_text_ struct text text = { 0 };
    json_t *json = NULL;
    int r = file_read(AT_FDCWD, path, RECORD_MAX, &text, err);

    if (r >= 0)
        r = json_parse(text_str(&text), text.len, &json, err);
    if (r < 0)
        return r;
    *ret = xnew(struct record);
    **ret = (struct record){ .file = xstrdup(file),
                             .json = json,
                             .seq = json_get_int(json, "seq", 0),
                             .n_left = (unsigned) json_get_int(json, "left", 1) };
    return 0;
}

static void restore_active(struct collector *c, struct record *r)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(r->json, "active"), i, one) {
        struct active *a = xnew(struct active);
        *a = (struct active){ .record = r,
                              .index = (unsigned) json_get_int(one, "index", 0),
                              .attempt = (unsigned) json_get_int(one, "attempt", 1),
                              .outputs = { { json_get_int(one, "offset", 0),
                                             xstrdup(json_get_str(one, "path", NULL)) },
                                           { json_get_int(one, "error_offset", 0),
                                             xstrdup(json_get_str(one, "error_path", NULL)) } },
                              .node = xstrdup(json_get_str(one, "node", NULL)),
                              .has_ended = json_get_bool(one, "has_ended", false) };
        vec_push(&c->active, a);
    }
}

/* Which job of an array is which. */
static int list_jobs(struct collector *c, struct record *r, struct error *err)
{
    _cleanup_json_ json_t *jobs = NULL;
    const json_t *job;
    size_t i;

    if (!json_get_bool(r->json, "array", false))
        return 0;
    int code = array_jobs(c->cli, json_get_str(r->json, "job", ""), &jobs, err);
    if (code < 0)
        return code;
    r->jobs = map_new();
    json_array_foreach(jobs, i, job) {
        uintptr_t index = (uintptr_t) json_get_int(json_object_get(job, "array"), "index", 0) + 1;
        map_set_str(r->jobs, json_get_str(job, "id", ""), (void *) index);
    }
    return 0;
}

static bool is_known(const struct collector *c, const char *file)
{
    vec_foreach(&c->records, r)
        if (str_equal((*r)->file, file))
            return true;
    return false;
}

static void forget_file(const struct collector *c, const char *file)
{
    _cleanup_free_ char *path = record_path(c, file);

    (void) unlink(path);
}

static int add_record(struct collector *c, const char *file, struct error *err)
{
    struct record *record = NULL;
    int r = read_record(c, file, &record, err);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    r = list_jobs(c, record, err);
    if (r < 0) {
        if (r == -ENOENT) /* it was deleted */
            forget_file(c, file);
        record_free(record);
        return r == -ENOENT ? 0 : r;
    }
    vec_push(&c->records, record);
    restore_active(c, record);
    c->has_news = true;
    return 0;
}

/* -ENOENT: the directory is gone, and nobody wants anything any more. */
static int scan(struct collector *c, struct error *err)
{
    DIR *dir = opendir(c->dir);
    const struct dirent *entry;
    int r = 0;

    if (!dir)
        return error_set(err, -ENOENT, "%s: %s", c->dir, strerror(errno));
    while (r >= 0 && (entry = readdir(dir)) != NULL) {
        const char *end = strrchr(entry->d_name, '.');
        if (str_equal(end, ".json") && !is_known(c, entry->d_name))
            r = add_record(c, entry->d_name, err);
    }
    (void) closedir(dir);
    return r;
}

/* ---- events ----------------------------------------------------------------------------------------- */

/* The job of RECORD that SUBJECT is; false: none. */
static bool find_job(const struct record *r, const char *subject, unsigned *ret_index)
{
    *ret_index = 0;
    if (!r->jobs)
        return str_equal(json_get_str(r->json, "job", ""), subject);
    uintptr_t index = (uintptr_t) map_get_str(r->jobs, subject);
    *ret_index = (unsigned) index - 1;
    return index != 0;
}

static struct active *find_active(const struct collector *c, const struct record *r, unsigned index)
{
    vec_foreach(&c->active, a)
        if ((*a)->record == r && (*a)->index == index && !(*a)->is_over)
            return *a;
    return NULL;
}

static void take_event(struct collector *c, struct record *r, unsigned index, const json_t *event)
{
    const char *type = json_get_str(event, "type", "");
    const json_t *data = json_object_get(event, "data");
    struct active *a = find_active(c, r, index);

    if (str_equal(type, "job.starting")) {
        struct active *new = xnew(struct active);
        if (a)
            a->is_over = true;
        *new = (struct active){ .record = r,
                                .index = index,
                                .attempt = (unsigned) json_get_int(data, "number", 1),
                                .node = xstrdup(json_get_str(json_object_get(data, "allocation"),
                                                             "node", NULL)) };
        vec_push(&c->active, new);
    } else if (str_equal(type, "job.running") && a) {
        char number[16];
        const struct passwd *user = getpwuid(geteuid());
        (void) snprintf(number, sizeof number, "%u", index);
        const struct batch_names names = { .job = json_get_str(event, "subject", ""),
                                           .array =
                                               r->jobs ? json_get_str(r->json, "job", "") : NULL,
                                           .index = r->jobs ? number : NULL,
                                           .name = json_get_str(r->json, "name", ""),
                                           .node = a->node,
                                           .user = user ? user->pw_name : "nobody" };
        free(a->outputs[0].path);
        free(a->outputs[1].path);
        a->outputs[0].path = batch_output_path(r->json, &names);
        a->outputs[1].path = batch_error_path(r->json, &names);
    } else if (str_equal(type, "job.ended") && a) {
        a->has_ended = true;
    } else if (str_equal(type, "job.succeeded") || str_equal(type, "job.failed") ||
               str_equal(type, "job.stopped")) {
        r->n_left -= r->n_left > 0;
    }
    r->is_dirty = true;
}

static void take_page(struct collector *c, const json_t *items)
{
    const json_t *event;
    size_t i;

    json_array_foreach(items, i, event) {
        int64_t seq = json_get_int(event, "seq", 0);
        vec_foreach(&c->records, item) {
            struct record *r = *item;
            unsigned index;
            if (seq <= r->seq)
                continue;
            r->seq = seq;
            c->has_news = true;
            if (find_job(r, json_get_str(event, "subject", ""), &index))
                take_event(c, r, index, event);
        }
    }
}

static int read_events(struct collector *c, struct error *err)
{
    _cleanup_free_ char *path = project_path(c->cli, "events", NULL);
    size_t n = EVENTS;

    while (n == EVENTS && c->records.len > 0) {
        _cleanup_json_ json_t *page = NULL;
        int64_t since = INT64_MAX;
        vec_foreach(&c->records, r)
            since = (*r)->seq < since ? (*r)->seq : since;
        _cleanup_free_ char *target =
            xasprintf("%s?limit=%d&cursor=%lld", path, EVENTS, (long long) since);
        int r = remote_get(c->cli, target, &page, err);
        if (r < 0)
            return r;
        const json_t *items = json_object_get(page, "items");
        n = json_array_size(items);
        take_page(c, items);
    }
    return 0;
}

/* ---- logs -------------------------------------------------------------------------------------------- */

struct sink {
    struct output *output;
    int fd;
};

static int write_bytes(void *userdata, const char *bytes, size_t n)
{
    struct sink *s = userdata;
    int r = write_full(s->fd, bytes, n);

    if (r >= 0)
        s->output->offset += (int64_t) n;
    return r;
}

/* The file is made with its first byte of this attempt, or without any when the job begins. */
static int open_output(const struct active *a, const struct output *o)
{
    bool append = o->offset > 0 || json_get_bool(a->record->json, "append", false);
    int fd =
        open(o->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND | (append ? 0 : O_TRUNC), 0666);

    return fd < 0 ? -errno : fd;
}

static const char *stream_of(const struct active *a, const struct output *o)
{
    return !a->outputs[1].path ? "" : o == a->outputs ? "&stream=stdout" : "&stream=stderr";
}

static int fetch_output(struct collector *c, struct active *a, struct output *o, struct error *err)
{
    const char *id = json_get_str(a->record->json, "job", "");
    _cleanup_free_ char *job = a->record->jobs ? xasprintf("%s_%u", id, a->index) : xstrdup(id);
    _cleanup_free_ char *path = project_path(c->cli, "jobs", job, "logs", NULL);
    _cleanup_free_ char *target = xasprintf("%s?attempt=%u&offset=%lld%s", path, a->attempt,
                                            (long long) o->offset, stream_of(a, o));
    int64_t before = o->offset;
    struct sink sink = { o, open_output(a, o) };
    const struct remote_call call = { .method = "GET",
                                      .target = target,
                                      .accept = "text/plain",
                                      .on_body = write_bytes,
                                      .userdata = &sink };

    if (sink.fd < 0) {
        print_note(c->cli, "writing %s: %s", o->path, strerror(-sink.fd));
        return 0;
    }
    int r = remote_call(c->cli, &call, NULL, err);
    safe_close(sink.fd);
    if (o->offset != before)
        a->record->is_dirty = c->has_news = true;
    return r;
}

static int fetch(struct collector *c, struct active *a, struct error *err)
{
    bool has_ended = a->has_ended;
    int r = 0;

    for (size_t i = 0; i < 2 && r >= 0; i++)
        if (a->outputs[i].path)
            r = fetch_output(c, a, &a->outputs[i], err);
    if (has_ended)
        a->record->is_dirty = c->has_news = true;
    if (r == -ENOENT || (r >= 0 && has_ended))
        a->is_over = true;
    return r == -ENOENT ? 0 : r;
}

static int fetch_some(struct collector *c, struct error *err)
{
    size_t n = c->active.len < FETCHES ? c->active.len : FETCHES;
    int r = 0;

    for (size_t i = 0; i < n && r >= 0; i++) {
        struct active *a = c->active.items[c->next++ % c->active.len];
        if (a->outputs[0].path && !a->is_over)
            r = fetch(c, a, err);
        else if (a->has_ended)
            a->is_over = true; /* it never ran */
    }
    return r;
}

/* ---- rounds -------------------------------------------------------------------------------------------- */

static bool has_active(const struct collector *c, const struct record *r)
{
    vec_foreach(&c->active, a)
        if ((*a)->record == r)
            return true;
    return false;
}

/* Keep how far it is; who is whole is forgotten. */
static void settle(struct collector *c)
{
    for (size_t i = c->active.len; i-- > 0;)
        if (c->active.items[i]->is_over) {
            c->active.items[i]->record->is_dirty = true;
            active_free(c->active.items[i]);
            vec_remove(&c->active, i);
        }
    for (size_t i = c->records.len; i-- > 0;) {
        struct record *r = c->records.items[i];
        if (r->n_left == 0 && !has_active(c, r)) {
            forget_file(c, r->file);
            record_free(r);
            vec_remove(&c->records, i);
        } else if (r->is_dirty) {
            save(c, r);
        }
    }
}

static int round_once(struct collector *c, struct error *err)
{
    int r = scan(c, err);

    if (r >= 0)
        r = read_events(c, err);
    if (r >= 0)
        r = fetch_some(c, err);
    settle(c);
    return r;
}

/* Until nothing is left, over restarts of the server. */
static int work(struct collector *c, struct error *err)
{
    int wait_ms = TICK_MS;

    for (;;) {
        c->has_news = false;
        int r = round_once(c, err);
        if (r < 0 && !is_passing(r))
            return r;
        if (r >= 0 && c->records.len == 0)
            return 0;
        int most = r < 0 ? RETRY_MAX_MS : TICK_MAX_MS;
        wait_ms = c->has_news ? TICK_MS : wait_ms * 3 / 2 < most ? wait_ms * 3 / 2 : most;
        if (r < 0) {
            http_client_free(c->cli->client);
            c->cli->client = NULL;
        }
        (void) poll(NULL, 0, wait_ms);
        if (interrupt_count())
            return error_set(err, -EINTR, "interrupted");
    }
}

static int lock(const char *dir, int *ret, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/lock", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        safe_close(fd);
        return 1;
    }
    char pid[16];
    int n = snprintf(pid, sizeof pid, "%d\n", (int) getpid());
    if (ftruncate(fd, 0) == 0)
        (void) write_full(fd, pid, (size_t) n);
    *ret = fd;
    return 0;
}

/* Somebody may have come between the last look and the end of the lock. */
static bool is_empty(const char *dir)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;
    bool found = false;

    while (d && !found && (entry = readdir(d)) != NULL)
        found = str_equal(strrchr(entry->d_name, '.'), ".json");
    if (d)
        (void) closedir(d);
    return !found;
}

int batch_collect_run(struct cli *cli, struct error *err)
{
    int r, fd = -1;

    interrupt_catch();
    do {
        struct collector c = { .cli = cli, .dir = batch_collect_dir(cli) };
        r = mkdir_all(AT_FDCWD, c.dir, 0700, err);
        if (r >= 0)
            r = lock(c.dir, &fd, err);
        if (r == 0)
            r = work(&c, err);
        fd = safe_close(fd);
        bool again = r == 0 && !is_empty(c.dir);
        collector_done(&c);
        if (!again)
            break;
    } while (true);
    interrupt_release();
    return r;
}
