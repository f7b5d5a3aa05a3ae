/* host.h - a state directory with a launcher of its own, and attempts that run in it */
#ifndef EXECUTOR_TEST_HOST_H
#define EXECUTOR_TEST_HOST_H

#include "executor/internal.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define UID_FIRST 0x70000000u

struct host {
    char top[32], *state, *runtime;
    int launcher;
    pid_t pid;
};

struct job {
    char name[ID_TEXT_LEN + 1], *dir;
    struct launcher_request request;
    int peer;
    json_t *started, *exit;
};

static inline json_t *read_json(const char *dir, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
    _cleanup_text_ struct text text = { 0 };
    json_t *json = NULL;

    if (file_read(AT_FDCWD, path, 1 << 20, &text, NULL) >= 0)
        (void) json_parse(text_str(&text), text.len, &json, NULL);
    return json;
}

/* Without root or crun there is nothing to test here. */
static inline void host_skip_unless_possible(void)
{
    if (geteuid() == 0 && access("/usr/bin/crun", X_OK) == 0)
        return;
    printf("1..0 # SKIP needs root and crun\n");
    exit(0);
}

static inline int host_launch(struct host *h, struct error *err)
{
    struct executor_settings settings = {
        .state = h->state, .runtime = h->runtime, .uid_first = UID_FIRST, .pool = "10.213.0.0/16"
    };
    int r = launcher_start(&settings, &h->launcher, &h->pid, err);
    if (r >= 0)
        (void) set_nonblock(h->launcher, false);
    return r;
}

static inline void host_open(struct host *h)
{
    struct error err = { 0 };

    strcpy(h->top, "/tmp/berth-x.XXXXXX");
    if (!mkdtemp(h->top) || chmod(h->top, 0711) < 0)
        abort();
    h->state = xasprintf("%s/state", h->top);
    h->runtime = xasprintf("%s/run", h->top);
    if (host_launch(h, &err) < 0) {
        printf("Bail out! %s\n", err.text);
        exit(1);
    }
}

static inline void host_end_launcher(struct host *h)
{
    h->launcher = safe_close(h->launcher);
    (void) waitpid(h->pid, NULL, 0);
}

static inline void host_close(struct host *h)
{
    host_end_launcher(h);
    (void) remove_tree(AT_FDCWD, h->top, NULL);
    free(h->state);
    free(h->runtime);
}

static inline int host_ask(struct host *h, const struct launcher_request *request, const int *fds,
                           unsigned n_fds, struct launcher_answer *ret)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = { 0 };
    struct iovec iov = { .iov_base = (void *) (uintptr_t) request, .iov_len = sizeof *request };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (n_fds) {
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    }
    if (sendmsg(h->launcher, &msg, 0) < 0 || recv(h->launcher, ret, sizeof *ret, 0) != sizeof *ret)
        return -errno;
    return ret->code;
}

/* SPEC: fields of the workload's specification that differ from a small job. */
static inline json_t *make_spec(const struct launcher_request *r, const char *spec_fields)
{
    _cleanup_json_ json_t *fields = NULL;
    char a[ID_TEXT_LEN + 1], w[ID_TEXT_LEN + 1], p[ID_TEXT_LEN + 1];
    json_t *json =
        json_pack("{s:i,s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:I,s:i,s:{s:s,s:[s],s:i,s:I,s:i},"
                  "s:{s:s,s:s,s:s,s:I,s:I,s:b},s:s,s:b,s:i,s:b}",
                  "version", 1, "attempt", id_format(&r->attempt, a), "workload",
                  id_format(&r->workload, w), "project", id_format(&r->project, p), "project_name",
                  "lab", "workload_name", "job", "number", 1, "epoch", (int) r->epoch, "uid_base",
                  (json_int_t) r->uid_base, "range", (int) r->range, "spec", "image", "host",
                  "command", "true", "cpus", 1, "memory", (json_int_t) (64 << 20), "pids", 64,
                  "allocation", "node", "here", "cpus", "0", "mems", "0", "memory",
                  (json_int_t) (64 << 20), "disk", (json_int_t) (1 << 30), "shared", 0, "network",
                  "none", "has_secrets", 0, "log_limit", 64 << 20, "resume", 0);

    if (json_parse(spec_fields, strlen(spec_fields), &fields, NULL) < 0)
        abort();
    (void) json_object_update(json_object_get(json, "spec"), fields);
    return json;
}

/* Writes spec.json; TOP_FIELDS go over the whole of it. */
static inline void job_prepare(struct host *h, struct job *job, unsigned range,
                               const char *spec_fields, const char *top_fields)
{
    _cleanup_json_ json_t *more = NULL;

    *job = (struct job){ .request = { .op = LAUNCHER_START,
                                      .attempt = id_new(),
                                      .project = { { 7, (uint8_t) range } },
                                      .workload = id_new(),
                                      .epoch = 1,
                                      .range = range,
                                      .uid_base = UID_FIRST + range * UIDS_PER_PROJECT },
                         .peer = -1 };
    id_format(&job->request.attempt, job->name);
    job->dir = xasprintf("%s/attempts/%s", h->state, job->name);
    _cleanup_json_ json_t *spec = make_spec(&job->request, spec_fields);
    if (top_fields && (json_parse(top_fields, strlen(top_fields), &more, NULL) < 0 ||
                       json_object_update_recursive(spec, more) < 0))
        abort();
    _cleanup_free_ char *text = json_text(spec), *path = xasprintf("%s/spec.json", job->dir);
    if (mkdir_all(AT_FDCWD, job->dir, 0711, NULL) < 0 ||
        file_replace(AT_FDCWD, path, 0644, text, strlen(text), false, NULL) < 0)
        abort();
}

/* After job_prepare(). */
static inline int job_launch(struct host *h, struct job *job)
{
    struct launcher_answer answer = { 0 };
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    int r = host_ask(h, &job->request, &pair[1], 1, &answer);
    if (r < 0)
        printf("# %s\n", answer.text);
    safe_close(pair[1]);
    job->peer = pair[0];
    return r;
}

static inline int job_start(struct host *h, struct job *job, unsigned range,
                            const char *spec_fields, const char *top_fields)
{
    job_prepare(h, job, range, spec_fields, top_fields);
    return job_launch(h, job);
}

/* Wait for the supervisor to say EVENT; false when it is gone without. */
static inline bool job_await(struct job *job, const char *event)
{
    _cleanup_free_ char *want = xasprintf("{\"event\":\"%s\"}", event);
    char packet[256];
    struct pollfd polled = { .fd = job->peer, .events = POLLIN };

    while (poll(&polled, 1, 60000) == 1) {
        ssize_t n = recv(job->peer, packet, sizeof packet - 1, 0);
        if (n <= 0)
            return false;
        packet[n] = '\0';
        if (str_equal(packet, want))
            return true;
    }
    return false;
}

static inline void job_tell(struct job *job, const char *order)
{
    if (send(job->peer, order, strlen(order), MSG_NOSIGNAL) < 0)
        printf("# %s\n", strerror(errno));
}

static inline void job_end(struct job *job)
{
    (void) job_await(job, "exit");
    job->started = read_json(job->dir, "started");
    job->exit = read_json(job->dir, "exit.json");
    if (!job->exit)
        printf("# %s has no exit.json\n", job->name);
}

static inline char *job_file(struct job *job, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", job->dir, name);
    struct text text = { 0 };

    (void) file_read(AT_FDCWD, path, 64 << 20, &text, NULL);
    return text_take(&text);
}

/* Wait until the log has TEXT. */
static inline bool job_await_log(struct job *job, const char *text)
{
    for (int i = 0; i < 3000; i++) {
        _cleanup_free_ char *log = job_file(job, "log");
        if (strstr(log, text))
            return true;
        (void) poll(NULL, 0, 10);
    }
    return false;
}

/* Say TEXT at 127.0.0.1:PORT and read the answer. */
static inline ssize_t job_exchange(int port, const char *text, char *answer, size_t len)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t) port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (const struct sockaddr *) &address, sizeof address) < 0 ||
        write_full(fd, text, strlen(text)) < 0)
        return -errno;
    return recv(fd, answer, len - 1, MSG_WAITALL);
}

static inline const char *job_cause(struct job *job)
{
    return json_get_str(job->exit, "cause", "?");
}
static inline int job_code(struct job *job)
{
    return (int) json_get_int(job->exit, "exit_code", -1);
}

static inline void job_free(struct job *job)
{
    safe_close(job->peer);
    json_decref(job->started);
    json_decref(job->exit);
    free(job->dir);
}

/* Run to the end; OUT (owned by the caller) is the log. */
static inline void job_run(struct host *h, struct job *job, const char *spec_fields, char **ret_log)
{
    if (job_start(h, job, 0, spec_fields, NULL) >= 0)
        job_end(job);
    if (ret_log)
        *ret_log = job_file(job, "log");
}

#endif
