/* internal.h - what the files of courier/ share
 *
 * home.c     requests to the server      carry.c    files of the attempt directory
 * content.c  what a task names, in       results.c  what it left, out
 * layers.c   the layers of its image  coming.c   how far that is
 * streams.c  ways into the task      figures.c  what it uses
 * storage.c  /storage, in           courier.c  the loop
 * spool.c    what is kept for tasks to come
 */
#ifndef COURIER_INTERNAL_H
#define COURIER_INTERNAL_H

#include "blob/blob.h"
#include "courier/courier.h"
#include "http/http.h"

/* ---- home: blocking; one connection, used by one thread at a time --------------------------------- */

struct home {
    struct http_client *client;
    char *task, *authorization;
};

int home_open(const struct courier_options *options, struct home *ret, struct error *err);
void home_close(struct home *home);

/* METHOD and TARGET below /v1/tasks/ID/; fills RET, which the caller is done with also on failure. 0 for
 * 200 to 299; -ESTALE: fenced (410); -EAGAIN: home is away or busy, try again; -EEXIST: 409; otherwise
 * home's word in ERR. */
struct home_request {
    const char *method, *target;
    const void *body;
    size_t body_len;
    const struct http_call *stream; /* its read_body, on_body and so on; NULL: none */
    int64_t from;                   /* of the answer's body: the byte that is wanted first */
    unsigned timeout_ms;            /* 0: 30 s */
};
int home_call(struct home *home, const struct home_request *request, struct http_response *ret,
              struct error *err);
/* The same for an answer in JSON (may be NULL). */
int home_call_json(struct home *home, const struct home_request *request, json_t **ret,
                   struct error *err);
/* A WebSocket that speaks as sessions do (http/channel.h); *RET is the caller's. */
int home_stream(struct home *home, const char *target, struct websocket_link *ret,
                struct error *err);
/* GET of a path of the API with the token. */
int home_get(struct home *home, const char *target, struct http_response *ret, struct error *err);

/* ---- files out ------------------------------------------------------------------------------------- */

enum { CARRIED = 3 };

/* Used by one thread at a time. */
struct carrier {
    struct home *home;
    struct blob_store *blobs;
    int dir;                      /* the attempt's directory */
    int64_t sent[CARRIED];        /* bytes of log.idx, log, charts that home has */
    bool ready, started, results; /* these are home */
    struct text points;           /* what the task used lately, as lines */
    int64_t points_wait_s;        /* until home wants more of them */
    bool said_end;                /* exit.json was sent, perhaps in vain */
    bool over;                    /* and is home */
    bool goes_on;                 /* ask what to run next */
    struct courier_next next;
    char *piece;
};

/* Bring home what is there. 0; the codes of home_call(). `over` when nothing more will come. */
int carry(struct carrier *c, struct error *err);
/* The blobs that exit.json names. */
int results_send(struct carrier *c, const json_t *exit, struct error *err);

/* ---- what the task uses ------------------------------------------------------------------------------ */

/* OPTIONS and SPEC are borrowed for its life, which is the process's; DIR is the attempt's directory. */
struct figures;
struct figures *figures_new(struct loop *loop, const struct courier_options *options,
                            const struct task_spec *spec, int dir);
/* The command runs: look from now on. DUE is called when it is time to bring home what has been seen. */
void figures_start(struct figures *f, void (*due)(void *userdata), void *userdata);
void figures_stop(struct figures *f);
/* Home wants them so often. */
void figures_set_wait(struct figures *f, int64_t wait_s);
/* Add what was not taken yet to OUT, a line each. */
void figures_take(struct figures *f, struct text *out);

/* ---- ways into the task ------------------------------------------------------------------------------ */

/* On LOOP until the process ends: threads may be opening one. OPTIONS holds borrowed strings that last as long;
 * DIR is the attempt's directory. */
struct streams;
struct streams *streams_new(struct loop *loop, const struct courier_options *options, int dir);
/* Open the one that home calls NAME, and lead it to the supervisor. A name of another form is none. */
void streams_open(struct streams *all, const char *name);
/* The supervisor has ended: run the loop until what it said last has left, for a few seconds at most. */
void streams_finish(struct streams *all);

/* ---- content in ------------------------------------------------------------------------------------ */

/* A digest names the same bytes wherever they come from: TARGET answers with them. Of several who want them at once
 * on this machine one fetches them. -EBADMSG: other bytes came. */
struct content {
    struct home *home;
    struct blob_store *blobs;
    const char *spool;
};
/* A list of files at TARGET into the store, under the digest that it turns out to have. */
int content_fetch_list(const struct content *content, const char *target, struct sha256 *ret,
                       int64_t *ret_size, struct error *err);
/* PATH as a part of a target. */
void content_add_path(struct text *t, const char *path);
int content_fetch_blob(const struct content *content, const char *target, const struct sha256 *sum,
                       struct error *err);
/* /storage as it is now, for a task to which it is sent: what is not here yet comes, and PUSH says what it is. */
int storage_fetch(const struct content *content, struct task_push *push, struct error *err);
/* What earlier attempts left in /artifacts; *RET (owned by the caller) is its manifest's digest in hex, NULL: nothing. */
int artifacts_fetch(const struct content *content, char **ret, struct error *err);
/* Blobs that SPEC names into the store. */
int content_fetch(const struct content *content, const struct task_spec *spec, struct error *err);

/* Layers that IMAGE names and that are not at PLACE yet. ORDERS is asked while HOME gives them. -ECANCELED: it
 * was stopped meanwhile, for *RET_STOPPED. */
int layers_fetch(struct home *home, struct home *orders, const char *spool,
                 const struct courier_layers *place, const struct task_image *image,
                 enum end_cause *ret_stopped, struct error *err);

/* ---- what is kept ------------------------------------------------------------------------------------ */

/* From now on nothing that TASK uses is swept; returns a descriptor for spool_release(), which takes -1 as well and
 * returns that. */
int spool_hold(const char *spool, const char *task, struct error *err);
int spool_release(const char *spool, const char *task, int held);
/* Sweep it where nobody did of late. */
void spool_tidy(const char *spool, const struct courier_layers *place);

/* ---- how far it is ---------------------------------------------------------------------------------- */

struct coming {
    struct home *home; /* not the one that something is coming from */
    const char *what;  /* "image python:3.12" */
    int64_t done, total;
    int64_t told_us;
    enum end_cause stopped; /* what home called it that ended it */
};

void coming_begin(struct coming *p);
/* To be called whenever something has come: about once a second home hears of it. -ECANCELED: the task is to
 * stop; -ESTALE: fenced. */
int coming_tell(struct coming *p, struct error *err);

/* The next pause for a home that is away, after this one. */
int64_t courier_longer(int64_t wait_us);

#endif
