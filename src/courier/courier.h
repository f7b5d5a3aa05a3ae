/* courier.h - brings home what a supervisor writes, and orders to it (docs/design/0014)
 *
 * A task away from the server has its attempt directory on a disk of its node. The courier makes it from
 * what home says, appends to home's copy what comes, and hands on what home orders. Files are the truth:
 * after a cut it goes on where home's size says. While home is away the task goes on. A task that was
 * given up is fenced: home answers 410, and the courier kills its supervisor and leaves.
 */
#ifndef COURIER_COURIER_H
#define COURIER_COURIER_H

#include "base/cleanup.h"
#include "base/error.h"
#include "task/task.h"

/* Where unpacked layers of images lie on this machine. */
struct courier_layers {
    /* 1: LAYER is there, and will be for a while; 0: it is not. */
    int (*has)(void *userdata, const struct sha256 *layer, struct error *err);
    /* Begin to unpack the first of FDS; both are as LAYERS_UNPACK takes them, and stay the caller's. */
    int (*begin)(void *userdata, const struct layers_request *request,
                 const int fds[static LAYERS_FDS], struct error *err);
    /* What became of it. */
    int (*end)(void *userdata, struct error *err);
    /* Make room for others; HARD: as much as can be had. */
    int (*shed)(void *userdata, bool hard, struct error *err);
    /* Sweep the rest of the spool: what killed tasks left, files that were not used for long. */
    int (*sweep)(void *userdata, struct error *err);
    void *userdata;
};

struct courier_options {
    const char *home;  /* URL of the server */
    const char *task;  /* id */
    const char *token; /* the task's */
    const char *spool; /* in the form of STATE, private to the account */
    const char *gpus;  /* indices of the step's GPUs on this machine; NULL: it has none */
    struct courier_layers layers;
    const struct gpu_reporter *reporter; /* what they do; NULL: nobody knows */
    bool is_machine; /* SPOOL is the STATE of the node's launcher: it has the ranges of uids */
    int64_t results_wait_s; /* how long results may wait for home after the end */
    bool goes_on;           /* another task may run here after this one */
};

/* What home said to run next here. */
struct courier_next {
    char *task, *token; /* NULL: nothing */
};
void courier_next_done(struct courier_next *next);

/* The address of this machine on the way to HOME: where others may reach it. "127.0.0.1" when nothing says. */
#define COURIER_ADDRESS_MAX 46
void courier_address(const char *home, char ret[static COURIER_ADDRESS_MAX]);

struct courier;
int courier_new(const struct courier_options *options, struct courier **ret, struct error *err);
void courier_free(struct courier *courier);
DEFINE_CLEANUP(struct courier *, courier_free);

/* Ask home for the task, bring what it names to the spool and make the attempt directory; *RET is owned by
 * the courier. The values of its secrets go to the descriptor SECRETS. Waits while home is away.
 * -ESTALE: fenced. */
int courier_fetch(struct courier *courier, int secrets, const struct task_spec **ret,
                  struct error *err);

/* It cannot be begun, for this reason: that is its end at home, too. */
int courier_refuse(struct courier *courier, const struct error *why, struct error *err);

/* The supervisor of the task: its pidfd (-1: the socket's end is its end), and the socket for orders and news. Returns when what it wrote is
 * home and it has ended: 0; -ESTALE: fenced, it was killed; -ETIMEDOUT: what it wrote could not be brought
 * home and stays in the spool; -ECHILD: it ended without an end of the task. */
int courier_run(struct courier *courier, int pidfd, int peer, struct error *err);
/* After courier_run() that was 0; owned by the caller. */
void courier_take_next(struct courier *courier, struct courier_next *ret);

#endif
