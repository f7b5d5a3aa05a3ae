/* session.c - messages of a session, from and to descriptors
 *
 * Input is read only while the connection takes it; output goes out at once and blocking, so that who
 * reads us slowly slows down the command and not our memory.
 */
#include "cli/session.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PIECE 16000

struct session {
    struct loop *loop;
    struct websocket *ws; /* NULL: over */
    struct session_io io;
    int input; /* -1: none, or at its end */
    struct watch *watch;
    bool paced; /* INPUT is a file: it is read by the timer */
    struct watch *timer;
    bool ended;
    int code; /* the exit code, or a negative errno with ERR */
    struct error err;
};

static void end(struct session *s, int code)
{
    if (s->ended)
        return;
    s->ended = true;
    s->code = code;
    watch_free(s->watch);
    s->watch = NULL;
    websocket_free(s->ws); /* nobody is left to wait for the other side's goodbye */
    s->ws = NULL;
    if (s->io.ended)
        s->io.ended(s->io.userdata);
}

/* ---- from the server ----------------------------------------------------------------------------- */

static void take_exit(struct session *s, const json_t *exit)
{
    const char *reason = json_get_str(exit, "reason", NULL);

    int code = (int) json_get_int(exit, "code", 125) & 255;
    if (reason && error_set(&s->err, -ECANCELED, "%s", reason) < 0)
        code = code ? code : 125;
    end(s, code);
}

static int code_of_problem(int64_t status)
{
    return status == 404   ? -ENOENT
           : status == 403 ? -EACCES
           : status == 409 ? -EBUSY
           : status == 400 ? -EINVAL
                           : -EREMOTEIO;
}

static void take_control(struct session *s, const char *bytes, size_t len)
{
    _cleanup_json_ json_t *json = NULL;

    if (json_parse(bytes, len, &json, NULL) < 0)
        return;
    const json_t *problem = json_object_get(json, "error"), *exit = json_object_get(json, "exit");
    if (exit)
        take_exit(s, exit);
    else if (problem)
        end(s, error_set(&s->err, code_of_problem(json_get_int(problem, "status", 0)), "%s",
                         json_get_str(problem, "detail", json_get_str(problem, "title", ""))));
    else if (json_get_bool(json, "started", false) && s->io.started)
        s->io.started(s->io.userdata);
}

static void on_message(void *userdata, const char *bytes, size_t len, bool binary)
{
    struct session *s = userdata;

    (void) binary;
    if (s->ended || !len)
        return;
    if (bytes[0] == CHANNEL_CONTROL) {
        take_control(s, bytes + 1, len - 1);
    } else if ((bytes[0] == CHANNEL_OUT || bytes[0] == CHANNEL_ERR) && s->io.output) {
        int r = s->io.output(s->io.userdata, (enum channel) bytes[0], bytes + 1, len - 1);
        if (r < 0)
            end(s, error_set(&s->err, r, "writing: %s", strerror(-r)));
    }
}

static void on_closed(void *userdata, unsigned code, const char *reason)
{
    struct session *s = userdata;

    s->ws = NULL;
    end(s, error_set(&s->err, -ECONNRESET,
                     "the session is over, the job goes on: the connection to the server ended%s%s",
                     *reason ? ": " : "", reason));
    (void) code;
}

/* ---- to the server ------------------------------------------------------------------------------- */

static void send_message(struct session *s, enum channel channel, const char *bytes, size_t len)
{
    _cleanup_text_ struct text t = { 0 };

    if (!s->ws)
        return;
    text_add_char(&t, (char) channel);
    text_add_bytes(&t, bytes, len);
    websocket_send(s->ws, t.data, t.len, true);
}

void session_order(struct session *s, json_t *json)
{
    _cleanup_free_ char *text = json_text(json);

    json_decref(json);
    send_message(s, CHANNEL_CONTROL, text, strlen(text));
}

void session_input(struct session *s, const char *bytes, size_t len)
{
    send_message(s, CHANNEL_IN, bytes, len);
}

bool session_is_full(const struct session *s)
{
    return s->ws && websocket_pending(s->ws) > WEBSOCKET_PENDING;
}

static void end_input(struct session *s)
{
    watch_free(s->watch);
    s->watch = NULL;
    s->input = -1;
    session_input(s, "", 0);
}

/* Nothing is read beyond what the connection takes; `drained` goes on. */
static void set_reading(struct session *s)
{
    bool room = !session_is_full(s);

    if (s->watch)
        watch_set_events(s->watch, room ? EPOLLIN : 0);
    else if (s->paced && room && s->input >= 0)
        timer_set(s->timer, 0);
}

static void read_input(struct session *s)
{
    char piece[PIECE];
    ssize_t n = read(s->input, piece, sizeof piece);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        end_input(s);
    else
        session_input(s, piece, (size_t) n);
    set_reading(s);
}

static void on_input(void *userdata, uint32_t events)
{
    (void) events;
    read_input(userdata);
}

static void on_pace(void *userdata)
{
    struct session *s = userdata;

    if (!s->ended && s->input >= 0)
        read_input(s);
}

void session_feed(struct session *s, int fd)
{
    struct stat st;

    s->input = fd;
    s->paced = fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
    if (!s->paced)
        s->watch = loop_watch(s->loop, fd, EPOLLIN, on_input, s);
    set_reading(s);
}

static void on_drained(void *userdata) { set_reading(userdata); }

/* ---- life ---------------------------------------------------------------------------------------- */

struct session *session_new(struct loop *loop, struct websocket_link *link, const json_t *first,
                            const struct session_io *io)
{
    struct session *s = xnew(struct session);

    *s = (struct session){ .loop = loop, .io = *io, .input = -1 };
    struct websocket_events events = {
        .message = on_message, .drained = on_drained, .closed = on_closed, .userdata = s
    };
    s->timer = loop_timer(loop, 0, on_pace, s);
    timer_clear(s->timer);
    s->ws = websocket_new(loop, link, NULL, &events);
    if (first)
        session_order(s, json_incref(json_mutable(first)));
    return s;
}

void session_pause(struct session *s)
{
    if (s->ws)
        websocket_pause(s->ws);
}

void session_resume(struct session *s)
{
    if (s->ws)
        websocket_resume(s->ws);
}

int session_open(struct cli *cli, struct loop *loop, const char *target, const json_t *first,
                 const struct session_io *io, struct session **ret, struct error *err)
{
    struct websocket_link link = { .fd = -1 };
    int r = remote_upgrade(cli, target, CHANNEL_PROTOCOL, &link, err);

    if (r < 0)
        return r;
    *ret = session_new(loop, &link, first, io);
    return 0;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    websocket_free(s->ws);
    watch_free(s->watch);
    watch_free(s->timer);
    free(s);
}

bool session_ended(const struct session *s, int *ret_code, struct error *err)
{
    if (s->ended) {
        *ret_code = s->code;
        *err = s->err;
    }
    return s->ended;
}
