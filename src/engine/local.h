/* local.h - what the files of the local engine share */
#ifndef ENGINE_LOCAL_H
#define ENGINE_LOCAL_H

#include "engine/engine.h"

#include "base/vec.h"

/* ---- the launcher's socket (local-launcher.c) --------------------------------------------------- */

struct launcher;

/* Called for every answer, in order. ANSWER NULL: the launcher is gone. */
typedef void (*launcher_answer_f)(void *userdata, const struct launcher_answer *answer);

/* Owns FD. */
struct launcher *launcher_new(struct loop *loop, int fd, launcher_answer_f answered,
                              void *userdata);
void launcher_free(struct launcher *launcher);
/* Never blocks; FDS (up to two, -1: none) are taken. */
void launcher_ask(struct launcher *launcher, const struct launcher_request *request,
                  const int fds[static 2]);

/* What the launcher did with an order: an exit code, negative errno; TEXT says why, "" where nothing does. */
typedef void (*local_ordered_f)(void *userdata, int code, const char *text);
/* Have the launcher of the local engine ENGINE give Slurm ORDER; what the command says goes to OUT, which stays
 * the caller's. DONE is called once, from the loop, unless ENGINE is freed before. */
int local_order(struct engine *engine, const struct slurm_job_order *order, int out,
                local_ordered_f done, void *userdata, struct error *err);
/* DONE of USERDATA is called no more. */
void local_forget_orders(struct engine *engine, const void *userdata);

/* ---- the attempt's directory (local-directory.c) ------------------------------------------------ */

/* Make ATTEMPTS/ID with spec.json; 1 when the directory was there already (then it is left alone). */
int directory_make(int attempts, const struct task_spec *spec, struct error *err);
bool directory_is_locked(int attempts, const char *id);
bool directory_has(int attempts, const char *id, const char *file);
int directory_read_ready(int attempts, const char *id, struct task_ready **ret, struct error *err);
int directory_write_peers(int attempts, const char *id, const json_t *peers, struct error *err);
int directory_read_started(int attempts, const char *id, struct task_started **ret,
                           struct error *err);
int directory_read_exit(int attempts, const char *id, struct task_exit **ret, struct error *err);
/* Is spec.json of a format that is read here? 0 also when it is not there. */
int directory_check(int attempts, const char *id, struct error *err);
/* As whom the task was submitted; NULL: as the server's own account. Owned by the caller. */
char *directory_account(int attempts, const char *id);
/* Connect to the supervisor's socket. */
int directory_connect(int attempts, const char *id);

#endif
