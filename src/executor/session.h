/* session.h - what goes on inside of a running container besides its job: commands, copies, ports
 *
 * session.c          the channel to the server, and the bytes both ways
 * session-process.c  a process that is started for a session
 * enter.c            from the supervisor into the container: the last code of ours before the command's
 *
 * A session is one connection to `sock` (control.c) whose first order is "exec", "copy" or "forward".
 * From then on each packet is a channel byte and bytes, as a WebSocket message is (http/channel.h). It
 * ends with its connection: whoever started it has left then, and what it started is hung up.
 */
#ifndef EXECUTOR_SESSION_H
#define EXECUTOR_SESSION_H

#include "executor/internal.h"
#include "http/http.h"

struct sessions;
struct session;

/* ---- the process inside ------------------------------------------------------------------------- */

enum report_kind { REPORT_PID, REPORT_TTY, REPORT_FAILED };

/* From the process on its way in, over a SOCK_SEQPACKET pair; the end of the pair says that the command
 * runs. REPORT_TTY comes with the terminal's master. */
struct report {
    int32_t kind;
    int32_t code; /* pid, or the exit code that the failure gives */
    char text[240];
};

/* Everything is the caller's; used by the child alone. */
struct entry {
    struct supervisor *s;
    char *const *command; /* NULL: a shell */
    const char *workdir;  /* NULL: the job's */
    const char *term;     /* TERM; NULL: the job's */
    bool tty;
    unsigned rows, columns;
    int stdio[3]; /* without TTY */
    int report;
    /* Instead of a command: runs inside, on STDIO, and gives the exit code. */
    int (*body)(void *userdata);
    void *userdata;
};

/* Fork, join the container's groups and namespaces, become what config.json says, run. Waits only for
 * our own code; REPORT is the other end of ENTRY's. */
int enter_container(const struct entry *entry, int report, pid_t *ret_pid, struct error *err);

/* ---- the parent's side --------------------------------------------------------------------------- */

#define SESSION_ENDS 3

struct session {
    struct sessions *all;
    struct session *next;
    int channel; /* -1: the other side has left */
    struct watch *channel_watch;
    struct text queue;   /* packets for it that did not fit, each after its length */
    struct text backlog; /* input that was not taken yet */
    size_t backlog_at;
    bool input_ended;
    struct session_end { /* input, output, errors */
        struct session *session;
        int fd;
        struct watch *watch;
    } ends[SESSION_ENDS];
    bool half_close; /* the ends are a socket */
    struct watch *timer;
    /* of a process */
    pid_t pid;
    int report;
    struct watch *report_watch;
    bool tty, exited, failed;
    bool waited; /* after the exit, for what may still come */
    int status;
    bool closing; /* everything is said; goes when the queue is empty */
};

struct sessions *sessions_new(struct supervisor *s);
/* The container is gone. */
void sessions_free(struct sessions *all);
/* Takes FD; ORDER says what for. */
void sessions_begin(struct sessions *all, int fd, const json_t *order);
/* A child has ended; false: it was none of them. */
bool sessions_reap(struct sessions *all, pid_t pid, int status);

/* session-process.c: start the command of ORDER. */
int session_exec(struct session *session, struct supervisor *s, const json_t *order,
                 struct error *err);

/* The same for a copy by our own code. */
int session_copy(struct session *session, struct supervisor *s, const json_t *order,
                 struct error *err);

/* session.c, for session-process.c */
struct supervisor *session_supervisor(const struct session *session);
void session_add_end(struct session *session, unsigned i, int fd);
void session_say(struct session *session, json_t *json); /* on CHANNEL_CONTROL; takes JSON */
void session_fail(struct session *session, int exit_code, const char *text);
void session_resize(struct session *session, const json_t *size);
void session_step(struct session *session); /* after anything has changed */

#endif
