/* carry.c - what the supervisor has written goes home, in the order in which readers need it */
#include "courier/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE      (1 << 20)
#define RECORD_MAX (8 << 20)

/* Those that grow. The index says of which stream bytes of the log are, so it comes first. */
enum { INDEX, LOG, CHARTS };
static const char *const grown[CARRIED] = {
    [INDEX] = "log.idx", [LOG] = "log", [CHARTS] = "charts"
};

/* Home's size is the truth: what it has beyond ours is of another run of the task. */
static int take_size(struct carrier *c, int i, const json_t *answer, int64_t most,
                     struct error *err)
{
    int64_t size = json_get_int(answer, "size", -1);

    if (size < 0)
        return error_set(err, -EPROTO, "home does not say the size of %s", grown[i]);
    if (size > most)
        return error_set(err, -ESTALE,
                         "home has more of %s than was written here: the task ran before",
                         grown[i]);
    c->sent[i] = size;
    return 0;
}

/* 0: all of it up to END is home, or home does not take the rest yet. */
static int send_grown(struct carrier *c, int i, int fd, int64_t end, struct error *err)
{
    char *piece = c->piece = c->piece ? c->piece : xnew_n(char, PIECE);

    for (int conflicts = 0; conflicts < 3;) {
        int64_t from = c->sent[i];
        size_t most = end - from < PIECE ? (size_t) (end > from ? end - from : 0) : PIECE;
        ssize_t n = pread(fd, piece, most, from);
        if (n < 0)
            return error_set(err, -errno, "%s: %s", grown[i], strerror(errno));
        if (n == 0)
            return 0;
        _cleanup_free_ char *target = xasprintf("files/%s?offset=%lld", grown[i], (long long) from);
        const struct home_request request = {
            .method = "PUT", .target = target, .body = piece, .body_len = (size_t) n
        };
        _cleanup_json_ json_t *answer = NULL;
        int r = home_call_json(c->home, &request, &answer, err);
        if (r < 0 && r != -EEXIST)
            return r;
        conflicts += r == -EEXIST;
        r = take_size(c, i, answer, from + n, err);
        if (r < 0 || c->sent[i] == from)
            return r;
    }
    return error_set(err, -EAGAIN, "home does not agree on the size of %s", grown[i]);
}

static int carry_file(struct carrier *c, int i, int64_t end, struct error *err)
{
    _cleanup_close_ int fd = openat(c->dir, grown[i], O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? 0 : error_set(err, -errno, "%s: %s", grown[i], strerror(errno));
    return send_grown(c, i, fd, end, err);
}

/* Of the log what is there before the index is read: records of all of it go ahead. */
static int carry_grown(struct carrier *c, struct error *err)
{
    struct stat st = { 0 };

    (void) fstatat(c->dir, grown[LOG], &st, AT_SYMLINK_NOFOLLOW);
    int r = carry_file(c, INDEX, INT64_MAX, err);
    if (r >= 0)
        r = carry_file(c, LOG, st.st_size, err);
    return r < 0 ? r : carry_file(c, CHARTS, INT64_MAX, err);
}

static int put_whole(struct carrier *c, const char *name, const struct text *text, json_t **ret,
                     struct error *err)
{
    _cleanup_free_ char *target = xasprintf("files/%s", name);
    const struct home_request request = {
        .method = "PUT", .target = target, .body = text->data, .body_len = text->len
    };

    return home_call_json(c->home, &request, ret, err);
}

void courier_next_done(struct courier_next *next)
{
    if (next->token)
        explicit_bzero(next->token, strlen(next->token));
    free(next->token);
    free(next->task);
    *next = (struct courier_next){ 0 };
}

static void take_next(struct carrier *c, const json_t *answer)
{
    const json_t *next = json_object_get(answer, "next");
    const char *task = json_get_str(next, "task", NULL), *token = json_get_str(next, "token", NULL);

    if (task && token)
        c->next = (struct courier_next){ xstrdup(task), xstrdup(token) };
}

/* 1: it is not there yet. */
static int read_record(struct carrier *c, const char *name, struct text *ret, struct error *err)
{
    if (faccessat(c->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return 1;
    return file_read(c->dir, name, RECORD_MAX, ret, err);
}

static int carry_record(struct carrier *c, const char *name, bool *done, struct error *err)
{
    _cleanup_text_ struct text text = { 0 };
    _cleanup_json_ json_t *answer = NULL;

    if (*done)
        return 0;
    int r = read_record(c, name, &text, err);
    if (r == 0)
        r = put_whole(c, name, &text, &answer, err);
    *done = r == 0;
    return r > 0 ? 0 : r;
}

/* Figures are no results: of those that home does not want nothing more is said. */
static int carry_points(struct carrier *c, struct error *err)
{
    const struct home_request request = {
        .method = "POST", .target = "metrics", .body = c->points.data, .body_len = c->points.len
    };
    _cleanup_json_ json_t *answer = NULL;

    if (!c->points.len)
        return 0;
    int r = home_call_json(c->home, &request, &answer, err);
    if (r == -EAGAIN || r == -ESTALE)
        return r;
    text_clear(&c->points);
    c->points_wait_s = json_get_int(answer, "wait", 0);
    return 0;
}

/* The last word: everything that it speaks of is home. */
static int carry_end(struct carrier *c, const struct text *text, struct error *err)
{
    _cleanup_json_ json_t *json = NULL, *answer = NULL;
    int r = json_parse(text_str(text), text->len, &json, err);

    if (r >= 0 && !c->results)
        r = results_send(c, json, err);
    if (r < 0)
        return r;
    bool said_before = c->said_end;
    c->results = c->said_end = true;
    r = put_whole(c, c->goes_on ? "exit.json?next=true" : "exit.json", text, &answer, err);
    take_next(c, answer);
    /* An answer that was lost: the task is over there too. */
    if (r == -ESTALE && said_before)
        r = 0;
    c->over = r == 0;
    return r;
}

int carry(struct carrier *c, struct error *err)
{
    _cleanup_text_ struct text end = { 0 };
    /* Before the rest is read: after it nothing more is written. */
    int ended = read_record(c, "exit.json", &end, err);
    int r = ended < 0 ? ended : 0;

    if (c->over)
        return 0;
    if (r >= 0)
        r = carry_record(c, "ready", &c->ready, err);
    if (r >= 0)
        r = carry_record(c, "started", &c->started, err);
    if (r >= 0)
        r = carry_grown(c, err);
    if (r >= 0)
        r = carry_points(c, err);
    if (r >= 0 && ended == 0)
        r = carry_end(c, &end, err);
    return r;
}
