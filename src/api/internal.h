/* internal.h - what the files of api/ share: one call from its head to its answer
 *
 * A call is made for each request after routing, checks the key and the declared parts, and lives until
 * call_answer(), call_fail() or one of their kind, which free it. Handlers are called on the state loop's
 * thread and stay thin: what they decide lies in lifecycle/.
 */
#ifndef API_INTERNAL_H
#define API_INTERNAL_H

#include "api/api.h"
#include "api/line-file.h"
#include "base/map.h"
#include "base/vec.h"
#include "declare/declare.h"
#include "http/http.h"

#include <errno.h>

struct call;
struct follower;
struct file_watches;
struct tickets;
struct session;
struct away;

typedef void (*handler_f)(struct call *call);

struct api_route {
    const char *name; /* of the endpoint */
    handler_f handle;
};

/* Somebody who uses a port of an attempt, and has been put on record for it. */
struct port_use {
    struct sha256 what; /* attempt, port, actor */
    int64_t until_us;
};

struct metrics_stream;

struct api {
    struct api_options options;
    struct http_server *server;
    char **addresses;      /* as bound; NULL-terminated */
    handler_f *handlers;   /* in the order of declare_endpoints */
    struct map *under_way; /* scopes of POSTs with an Idempotency-Key that are not answered yet */
    struct file_watches *watches;
    struct follower *followers; /* streams that wait for events */
    struct metrics_stream *metrics_streams;
    struct watch *beat;                 /* keeps streams alive */
    struct session *sessions;           /* newest first; each frees itself */
    struct away *reaches;               /* ways into tasks elsewhere, newest first */
    struct tickets *tickets;            /* of sessions; NULL before the first */
    VEC(struct port_use) port_uses;     /* oldest first */
    struct order_wait *order_waits;     /* newest first */
    struct node_wait *node_waits;       /* of machines, newest first */
    struct next_wait *next_waits;       /* newest first */
    struct blob_sets *blob_sets;        /* NULL before the first */
    struct storage_look *storage_looks; /* under way */
    struct ahead *ahead;                /* NULL before the first who asks */
    uint64_t answers[6];                /* by hundreds of the status */

    uint64_t n_beats;
};

struct call {
    struct api *api;
    struct http_request *req;
    const struct declare_endpoint *endpoint;
    char *params[DECLARE_MAX_PARAMS]; /* decoded, in the order of endpoint->params */
    json_t *query;                    /* checked; never NULL */
    json_t *body;                     /* checked; NULL: none declared */
    struct id project;                /* of the path; id_none: none */
    /* who asks */
    char actor[80]; /* "key:NAME", "user:UID" */
    enum key_role role;
    struct id key_project; /* id_none: the whole cloud */
    struct id ticket_job;  /* the one that a ticket is for; id_none: a key was shown */
    /* a POST with an Idempotency-Key */
    char *scope;
    struct sha256 request_sum;
    /* of the handler's own, freed with the call by FREE_STATE */
    void *state;
    void (*free_state)(void *state);
};

/* ---- answers: each ends and frees the call ----------------------------------------------------- */

void call_free(struct call *call);
/* JSON text, copied. */
void call_answer_text(struct call *call, int status, const char *json, size_t len);
/* Takes JSON. */
void call_answer(struct call *call, int status, json_t *json);
/* 204. */
void call_answer_empty(struct call *call);
/* The problem that ERR describes; CODE is what the function returned. */
void call_fail(struct call *call, int code, const struct error *err);
__attribute__((format(printf, 3, 4))) void call_refuse(struct call *call, int code, const char *fmt,
                                                       ...);
/* Give the request away to a stream of its own and free the call. */
struct http_request *call_take_request(struct call *call);

/* ---- parts of a call ---------------------------------------------------------------------------- */

/* Decoded path parameter; NULL: the path has none of that name. */
const char *call_param(const struct call *call, const char *name);
/* Does the key of this call see PROJECT? */
bool call_sees(const struct call *call, const struct id *project);
/* The answer to a POST with an Idempotency-Key that is stored besides another commit; NULL: none was
 * asked for. Owned by the caller; body is NULL. */
struct idempotent_answer *call_idempotent_answer(struct call *call, int status);
/* Store the answer of a POST in a commit of its own, then send it. Takes JSON. */
void call_answer_once(struct call *call, int status, json_t *json);

/* ---- problems ------------------------------------------------------------------------------------ */

/* The only table from errno to HTTP (problem.c). */
int problem_status(int code);
/* Owned by the caller. */
char *problem_text(int code, const char *detail, int *ret_status);
void problem_respond(struct api *api, struct http_request *req, int code, const char *detail);

/* ---- auth ----------------------------------------------------------------------------------------- */

/* Who asks and may they? 0, -EKEYREJECTED (no valid key), -EPERM (role), -ENOENT (another's project). */
int auth_check(struct call *call, struct error *err);
/* Of a public endpoint that is for one kind of key: 0, -EKEYREJECTED, -EPERM. */
int auth_machine(struct call *call, enum key_role role, struct error *err);
/* The same, with the key of the node that the path names. */
int auth_node(struct call *call, struct error *err);

/* ---- idempotency ---------------------------------------------------------------------------------- */

/* Calls GO now or later, unless the answer is there already or being made. */
void idempotency_begin(struct call *call, const char *body, size_t len, handler_f go);
void idempotency_end(struct call *call);
void idempotency_sweep(struct api *api);

/* ---- jobs ----------------------------------------------------------------------------------------- */

typedef void (*job_found_f)(struct call *call, const struct workload *w);
/* Find the job of the path, live or stored; answers 404 or 409 itself. W is valid during FOUND. */
void job_find(struct call *call, job_found_f found);
/* The same, where the path may mean an array: then ARRAY gets the job that heads it as the store has it,
 * with its states. job_find() answers that one of its jobs must be named. */
void job_find_any(struct call *call, job_found_f found, job_found_f array);
/* The same for a name that is part of CALL. */
void job_find_any_named(struct call *call, const char *name, job_found_f found, job_found_f array);
/* Read an array again: ARRAY gets it as it is after all that is under way. */
void job_array_again(struct call *call, const struct id *id, job_found_f array);
/* The same for a name that is part of CALL. */
void job_find_named(struct call *call, const char *name, job_found_f found);
/* An array as one (arrays.c). */
void array_why(struct call *call, const struct workload *w);
/* The job of an array that goes first of those that wait; NULL: none does. */
const struct workload *array_next(const struct api *api, const struct id *array);
void array_remove(struct call *call, const struct workload *w);
typedef void (*attempt_found_f)(struct call *call, const struct workload *w,
                                const struct attempt *attempt);
/* The same, and the attempt that the query's `attempt` names (the last without one); ATTEMPT is NULL when
 * there is none yet. */
void attempt_find(struct call *call, attempt_found_f found);

/* ---- eta ------------------------------------------------------------------------------------------- */

/* Adds "eta", if W waits and something is foretold of it. */
void eta_put(const struct api *api, const struct workload *w, json_t *json);
/* The same of a job that is planned. */
void eta_put_planned(const struct expectation *expectation, const struct id *job, json_t *json);

/* ---- datasets ------------------------------------------------------------------------------------- */

/* What is shown of it; V NULL: the newest version. */
json_t *dataset_json(const struct dataset *d, const struct dataset_version *v);
/* What TEXT (NAME, NAME@VERSION, …) means in the call's project; *RET_VERSION is NULL when it names none. */
int dataset_find(struct call *call, const char *text, const struct dataset **ret,
                 const struct dataset_version **ret_version, struct error *err);
/* The one of the path; answers 404 or 409 itself, and gives NULL then. */
const struct dataset *dataset_of_path(struct call *call,
                                      const struct dataset_version **ret_version);
void dataset_add(struct call *call);
void dataset_verify(struct call *call);
extern const struct api_route dataset_file_routes[], rerun_routes[], submit_routes[], tag_routes[];

/* The bytes of a blob, or the range of them that was asked for. Takes FD. */
void answer_file(struct call *call, const struct sha256 *digest, int fd, int64_t size);

/* ---- tags ------------------------------------------------------------------------------------------ */

/* Are TAGS what the query's `tag` (KEY or KEY=VALUE; none fits all) asks for? */
bool tags_fit(const struct call *call, const json_t *tags);
/* JSON with the tags of SUBJECT, whose record has none; given back. */
json_t *with_tags(const struct call *call, const struct id *subject, json_t *json);
/* The same into a list, if they fit. Takes JSON. */
void add_tagged(const struct call *call, json_t *items, const struct id *subject, json_t *json);

/* ---- machines ------------------------------------------------------------------------------------- */

/* The one of the path; answers 404 itself, and gives NULL then. */
const struct node *node_of_path(struct call *call);
/* Without its tags. */
json_t *booking_json(const struct call *call, const struct booking_record *booking);
json_t *node_json(const struct call *call, const struct node *node);

/* ---- uploads --------------------------------------------------------------------------------------- */

/* A body that the pool takes while more of it arrives; a part of OWNER, who is the state of CALL. Memory
 * is bounded: what is not taken is not read. Every failure answers the call. */
struct intake {
    struct call *call;
    void *owner;
    /* On the pool: take PIECE from its beginning, as far as that goes; IS_LAST: nothing comes after it. */
    int (*work)(void *owner, struct text *piece, bool is_last, struct error *err);
    /* On the loop: all of it was taken. Answers. */
    void (*whole)(void *owner);
    /* its own */
    struct text arrived;
    struct text piece; /* the pool's while it is busy */
    bool is_end, is_last, is_busy, is_over, is_paused;
    int r;
    struct error err;
};
void intake_begin(struct intake *in);
void intake_done(struct intake *in);

/* Files wait until there is room again: what runs must still be recorded. */
int upload_check_room(const struct call *call, struct error *err);
void upload_files(struct call *call);
void download_files(struct call *call);

/* The handlers of uploads, for tasks, whose project comes from their token. */
void upload_blob(struct call *call);
void upload_status(struct call *call);
void upload_missing(struct call *call);

/* Is the tree of that manifest whole, and does the project have every file of it? */
struct tree_size {
    int64_t entries, bytes;
};
/* R < 0: ERR says which file is missing. */
typedef void (*tree_checked_f)(void *userdata, int r, const struct tree_size *size,
                               const struct error *err);
void tree_check(struct api *api, const struct id *project, const struct sha256 *manifest,
                tree_checked_f done, void *userdata);

/* ---- tasks away from the server -------------------------------------------------------------------- */

/* The task of the path, whose token the call has, as its supervisor; the call is the task's project's from
 * then on. On failure it is answered, and this is false. */
bool task_of_call(struct call *call, struct lifecycle_task *ret);
void task_file_put(struct call *call);
void task_stream(struct call *call);
void task_blob_get(struct call *call);
void task_layer_get(struct call *call);
/* artifacts.c: of earlier attempts */
void task_artifacts_get(struct call *call);
void task_artifact_get(struct call *call);
/* task-storage.c */
void task_storage_get(struct call *call);
void task_storage_file_get(struct call *call);
void storage_looks_end(struct api *api);
/* Which blobs the trees of tasks hold, by manifest. */
struct blob_sets;
void blob_sets_free(struct blob_sets *sets);
/* Long polls for orders: something changed for TASK; all end. */
struct order_wait;
void orders_changed(struct api *api, const struct id *task);
void orders_end(struct api *api);
void node_orders_end(struct api *api);
/* Answer the end of TASK, a file of SIZE bytes, when it is known what its supervisor runs next. Frees the call's
 * state. */
void next_wait(struct call *call, const struct id *task, int64_t size);
/* That is NEXT; NULL: nothing. */
void next_came(struct api *api, const struct id *task, const struct id *next, const char *token);
void next_end(struct api *api);

/* Does the call ask for a WebSocket that speaks as sessions do? Answers itself if not. */
bool check_upgrade(struct call *call);

/* ---- streams -------------------------------------------------------------------------------------- */

/* Something that waits for events of a project or a job. */
struct follower {
    struct follower *next, **link;
    struct id project;
    struct id job; /* id_none: all of the project */
    void (*wake)(struct follower *follower);
    void (*beat)(struct follower *follower); /* every 15 seconds */
};
void follower_add(struct api *api, struct follower *follower);
void follower_remove(struct follower *follower);
void followers_event(struct api *api, const struct event *event);

/* Calls back when a file grows (inotify). */
struct file_watch;
int file_watches_new(struct loop *loop, struct file_watches **ret, struct error *err);
void file_watches_free(struct file_watches *all);
DEFINE_CLEANUP(struct file_watches *, file_watches_free);
/* NULL when there is no such file yet. */
struct file_watch *file_watch_add(struct file_watches *all, const char *path,
                                  void (*grew)(void *userdata), void *userdata);
void file_watch_free(struct file_watch *watch);

/* Follow the lines of attempts/ID/FILE over all attempts of a job, as events; takes the call. ATTEMPT is the
 * one to begin with, NULL: none yet. */
struct tail_kind {
    const char *file; /* "log", "charts" */
    bool json;        /* lines are events as they are; false: {"line", "text"} */
};
void tail_follow(struct call *call, const struct workload *w, const struct attempt *attempt,
                 const struct tail_kind *kind);

void log_search(struct call *call); /* log-search.c */
/* Answers with bytes START to END of a view (line-stream.c); takes what FILE has open. */
void line_stream_send(struct api *api, struct http_request *req, struct line_file *file,
                      int64_t start, int64_t end);

/* Path of a file in an attempt's directory; owned by the caller. */
char *attempt_path(const struct api *api, const struct id *attempt, const char *file);
/* Has ATTEMPT (NULL: none yet) the task that the query's `rank` means? If not, CALL is refused. */
bool check_rank(struct call *call, const struct attempt *attempt);
/* That task, rank 0 when none was named; it is there. */
const struct id *task_asked(const struct call *call, const struct attempt *attempt);

/* ---- metrics --------------------------------------------------------------------------------------- */

/* What is known of a task; NULL: nothing, or there is no ATTEMPT. */
const struct metrics_task *task_metrics(const struct api *api, const struct attempt *attempt,
                                        size_t rank);
/* Adds what each task of ATTEMPT used last. */
void newest_of_all(const struct api *api, const struct attempt *attempt, struct metrics_sum *sum);
/* "cores" and "memory" of all tasks of ATTEMPT, of several also how many they are. */
void put_sizes(const struct workload *w, const struct attempt *attempt, json_t *json);
json_t *limit_to_json(const struct metrics_limit *limit);
/* What limits a running job, as "limit": of many tasks most of them. */
void put_limit(const struct api *api, const struct workload *w, json_t *json);
/* There is a new sample: streams of it go on. USERDATA is the api. */
void metrics_streams_step(void *userdata);
/* Families of /metrics: running jobs and GPUs. */
void add_metrics(const struct api *api, struct text *out);

/* ---- handlers, one table a file ------------------------------------------------------------------- */

extern const struct api_route artifact_routes[], booking_routes[], chart_routes[], dataset_routes[],
    event_routes[], fleet_routes[], image_routes[], job_routes[], key_routes[], log_routes[],
    metrics_routes[], node_order_routes[], node_routes[], project_routes[], queue_routes[],
    scheduler_routes[], secret_routes[], session_routes[], system_routes[], task_routes[],
    top_routes[], ticket_routes[], upload_routes[], volume_routes[];

#endif
