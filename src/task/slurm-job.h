/* slurm-job.h - what Slurm's commands are told about a task
 *
 * The engine makes it where jobs are the server's own account's, and the launcher makes it again, of its own
 * settings, where they are another account's: it takes no command line from anybody. Pure.
 */
#ifndef TASK_SLURM_JOB_H
#define TASK_SLURM_JOB_H

#include "base/error.h"
#include "base/id.h"
#include "task/home.h"

#include <stdbool.h>
#include <stdint.h>

/* Of the server; all but PREFIX, PROGRAM and HOME_URL may be NULL: Slurm's own. */
struct slurm_site {
    const char *conf; /* slurm.conf */
    const char *bin;  /* directory of the commands */
    const char *prefix, *partition, *account;
    const char *program;  /* berth, on the nodes */
    const char *home_url; /* the API, as the nodes reach it */
    const char *home_ca;  /* file on the nodes: whom the certificate of HOME_URL comes from */
    bool takes_next;      /* a Slurm job may run another task when its own has ended */
};

#define SLURM_ACCOUNT_MAX 32 /* as useradd has it */

/* One order, as it is handed to the launcher. Texts end with '\0'. */
struct slurm_job_order {
    char account[SLURM_ACCOUNT_MAX + 1]; /* of the machine; "": the server's own */
    struct id task;
    struct id project; /* of TASK: /storage is handed to the account */
    uint32_t job;      /* to be cancelled; 0: TASK is to be submitted */
    char node[64];
    uint32_t cpus, gpus;
    int64_t memory_bytes, limit_s, grace_s;
    char token[TASK_TOKEN_LEN + 1];
};

/* The name of an account: letters, digits, "_.-", no digit or sign first. FIELD is for the error. */
int slurm_account_check(const char *field, const char *name, struct error *err);
/* Of its form? Nothing of it can be taken for a flag or be more than one word. */
int slurm_job_order_check(const struct slurm_job_order *order, struct error *err);

/* argv of sbatch, or of scancel for one job of just this name; freed by slurm_words_free(). */
char **slurm_job_arguments(const struct slurm_site *site, const struct slurm_job_order *order);
/* The script for sbatch's standard input; owned by the caller. It holds the token. */
char *slurm_job_script(const struct slurm_site *site, const struct slurm_job_order *order);
/* Nothing of a server's own environment: SBATCH_*, SQUEUE_FORMAT and the like would change what is asked for,
 * and jobs inherit what sbatch has. */
char **slurm_environment(const char *conf, const char *bin);
void slurm_words_free(char **words);

enum {
    SLURM_REQUEUED_CODE = 85,   /* a job that Slurm runs again ends with it at once */
    SLURM_NO_ACCOUNT_CODE = 77, /* the launcher's, for an account that jobs may not be */
};

/* ---- whom jobs may be ------------------------------------------------------------------------------ */

/* What the launcher found of an account. */
struct slurm_account {
    uint32_t uid;
    bool is_member; /* of the group whose members may be tenants */
};

/* May tasks be submitted as it? SERVICE is the server's own uid, UID_FIRST begins the projects' ranges, GROUP is
 * for the error. -EPERM. */
int slurm_account_allow(const char *name, const struct slurm_account *account, uint32_t service,
                        uint32_t uid_first, const char *group, struct error *err);

#endif
