/* batch.h - batch scripts as Slurm's sbatch takes them: their directives, and what they mean here
 *
 * Pure: text in, options and a job request out. Forms of values are those of Slurm 22.05's sbatch(1).
 */
#ifndef CLI_BATCH_H
#define CLI_BATCH_H

#include "cli/internal.h"

#define BATCH_SCRIPT_MAX (120 * 1024) /* it travels in one variable of the environment */

/* An option as it was written. */
struct batch_option {
    char *name; /* long, without dashes */
    char *value;
    unsigned line; /* of the script; 0: the command line */
};
typedef VEC(struct batch_option) batch_options;

void batch_options_done(batch_options *options);

/* The #SBATCH lines of a script, up to its first command. -EINVAL with the line's number for what is no
 * script, or an option that is not known. Added to RET also on failure. */
int batch_script_parse(const char *text, size_t len, batch_options *ret, struct error *err);

/* All options, with which the command line is parsed too; ended by one without a name. */
extern const struct cli_flag batch_flags[];

struct batch {
    json_t *request; /* fields of job_request */
    char *output, *error, *chdir, *job_name, *partition, *wrap;
    VEC(char *) exports;                        /* names to be taken from the environment */
    struct text notes;                          /* what is accepted and not done, a line each */
    unsigned nodes, ntasks, per_node, per_task; /* 0: not said */
    int64_t memory, memory_per_cpu, memory_per_gpu;
    unsigned gpus, gpus_per_node, gpus_per_task, cpus_per_gpu;
    int64_t time_s;
    int signal_s; /* so long before the end of its time; 0: no signal */
    char *signal; /* NULL: none */
    bool signal_script, parsable, wait, test_only, quiet, append;
};

/* What OPTIONS say, later ones over earlier ones. */
int batch_read(const batch_options *options, struct batch *ret, struct error *err);
void batch_done(struct batch *b);

struct batch_script {
    const char *name; /* of its file, without directories */
    const char *text;
    const char *flavor; /* that --partition names; NULL: none */
    char *const *args;
    size_t n_args;
};
/* Complete the request: hardware, environment, command. */
void batch_request(struct batch *b, const struct batch_script *script);

/* "1-02:03:04", "90" (minutes), "UNLIMITED" (0): seconds. "4G", "500" (MiB): bytes. -EINVAL. */
int batch_time_parse(const char *text, int64_t *ret);
int batch_size_parse(const char *text, int64_t *ret);

/* What --begin says, "16:00" or "now+1hour" by the local clock, in seconds since 1970. -EINVAL. */
int batch_begin_parse(const char *text, int64_t now, int64_t *ret);
/* "n1,n[02-04]" to names in LIST, an array. -EINVAL. */
int batch_hosts_parse(const char *text, json_t *list, struct error *err);

/* What %A %a %j %x %N %u stand for. */
struct batch_names {
    const char *job, *array, *index; /* ARRAY and INDEX: NULL unless it is in one */
    const char *name, *node, *user;
};
/* "slurm-%j.out" to a path; owned by the caller. Unknown letters stay. */
char *batch_pattern(const char *pattern, const struct batch_names *names);

/* The program that makes the script's world in the container and runs it; sh -c of it. */
extern const char batch_launcher[];

#endif
