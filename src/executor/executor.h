/* executor.h - the launcher, and the supervisors that it starts
 *
 * The launcher is a small single-threaded root process that takes typed requests (task/task.h)
 * over a socket pair, checks every id and number again, and clones supervisors without execve.
 * A supervisor is PID 1 of its own PID and mount namespace: it makes the container of one attempt
 * with crun, pumps its log, passes signals on, collects its artifacts and writes exit.json. It
 * outlives both the launcher and the server; when it dies, the kernel ends the container with it.
 */
#ifndef EXECUTOR_EXECUTOR_H
#define EXECUTOR_EXECUTOR_H

#include "base/error.h"
#include "executor/layers.h"
#include "task/task.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Borrowed until launcher_start() returns. Lists are NULL-terminated, NULL is the empty list. */
struct executor_settings {
    const char *state;   /* absolute; owned by the account that the server runs as */
    const char *runtime; /* absolute */
    uint32_t uid_first;  /* first uid of range 0 */
    const char *pool;    /* for network_new() */
    const char *const *blocked;
    const char *const *dns;
    bool image_opt;          /* image `host` shows /opt too */
    const char *driver_root; /* where NVIDIA's driver lies: "/" */
    const char *const *cdi;  /* directories of CDI specifications, later ones win */
    const char *storage;     /* the file system for /storage that every machine has; NULL: STATE */
    struct slurm_site slurm; /* for LAUNCHER_SLURM */
    const char *slurm_group; /* whose members jobs may be; NULL: nobody's */
};

/* Fork the launcher. To be called by root, with STATE and RUNTIME in place and before there are
 * threads and sockets. *RET_FD (owned by the caller, non-blocking) takes struct launcher_request;
 * the launcher ends when it is closed. */
int launcher_start(const struct executor_settings *settings, int *ret_fd, pid_t *ret_pid,
                   struct error *err);

/* ---- the launcher of a node, for steps of a batch system ---------------------------------------- */

struct door {
    int listener; /* of door_listen() */
    int launcher; /* as launcher_start() gives it */
    int keeper;   /* as layers_start() gives it */
    struct door_limits {
        int64_t entries_max, bytes_max, ratio_max; /* of a layer */
        /* Bytes of layers, and of other files, that are kept for tasks to come; 0: a quarter of the disk each. */
        int64_t layers_max, spool_max;
    } limits;
    uid_t owner;       /* of STATE: the one account that may ask */
    const char *state; /* of the launcher */
};

/* To be called as root; the socket belongs to UID. */
int door_listen(const char *path, uid_t uid, gid_t gid, struct error *err);
/* Without any privilege, until the launcher has ended. */
int door_serve(const struct door *door, struct error *err);

/* ---- one task alone, in a step of a batch system, as any account -------------------------------- */

/* Borrowed until step_start() returns. */
struct step_settings {
    const char *spool; /* absolute; this account's own. Has the form of STATE */
    const char *driver_root;
    const char *const *cdi;
    const char *address; /* of this machine, for the tasks of a gang */
};

/* The supervisor, which waits for step_begin(). It ends when its parent does or PEER is closed before. */
struct step {
    pid_t pid;            /* 0: a child of the node's launcher */
    int pidfd;            /* -1: so; PEER tells of its end */
    const char *launcher; /* its socket, connected to for each request; NULL: none */
    const char *address;
    int peer;    /* SOCK_SEQPACKET: orders and news, as in control.c */
    int secrets; /* memory: what is in it when it begins are the values of secrets, as JSON */
};

/* Fork it into namespaces of its own. To be called before there are threads. */
int step_start(const struct step_settings *settings, struct step *ret, struct error *err);
/* Ask the node's launcher at the socket PATH instead. *RET_STATE (owned by the caller) is the spool. -ENOENT: there is
 * none for this account. */
int step_ask(const char *path, const char *address, struct step *ret, char **ret_state,
             struct error *err);
/* SPOOL/attempts/ID/spec.json is there: make the container and run the command. */
/* Connect to that launcher, for one request; *RET_STATE as above, or NULL. */
int step_connect(const char *path, char **ret_state, struct error *err);
int step_begin(struct step *step, const struct task_spec *spec, struct error *err);
void step_done(struct step *step);

/* Layers of images for such a task (step-layers.c); to be opened before there are secrets. LAUNCHER: the socket of
 * the node's launcher, NULL: they lie in SPOOL. How much of them and of other files is kept for tasks to come, in
 * bytes; 0: a quarter of the disk. */
struct step_kept {
    int64_t layers_max, spool_max;
};
struct step_layers;
int step_layers_open(const char *launcher, const char *spool, const struct step_kept *kept,
                     struct step_layers **ret, struct error *err);
void step_layers_free(struct step_layers *layers);
DEFINE_CLEANUP(struct step_layers *, step_layers_free);
/* As courier.h's struct courier_layers has them; the first parameter is a struct step_layers. */
int step_layers_has(void *layers, const struct sha256 *layer, struct error *err);
int step_layers_begin(void *layers, const struct layers_request *request,
                      const int fds[static LAYERS_FDS], struct error *err);
int step_layers_end(void *layers, struct error *err);
int step_layers_shed(void *layers, bool hard, struct error *err);
int step_layers_sweep(void *layers, struct error *err);

#endif
