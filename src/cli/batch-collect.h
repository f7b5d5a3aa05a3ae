/* batch-collect.h - the files of --output, which appear and grow where a batch script was submitted
 *
 * A process of the user writes them, one for all jobs of a project, however many: it reads what happens there,
 * and the logs of what runs. What it has to do lies in a directory, a file a job, until the job's output is
 * whole; so it goes on after it was ended, with the next `berth sbatch` or with `berth sbatch --collect`.
 */
#ifndef CLI_BATCH_COLLECT_H
#define CLI_BATCH_COLLECT_H

#include "cli/batch.h"

/* JOB was submitted: write its output from now on, in a process that outlives this one. */
int batch_collect_begin(struct cli *cli, const struct batch *b, const json_t *job,
                        struct error *err);
/* JOB has ended: until its output is whole. */
int batch_collect_wait(struct cli *cli, const char *job, struct error *err);
/* Write the output of all jobs of this server and project here, until nothing is left. 1: another process
 * does it already. */
int batch_collect_run(struct cli *cli, struct error *err);

/* What is to be done lies there: one for each server and project; owned by the caller. */
char *batch_collect_dir(const struct cli *cli);
/* Where the output of a job goes; owned by the caller. RECORD as it is kept. */
char *batch_output_path(const json_t *record, const struct batch_names *names);
/* Where what it prints to stderr goes; NULL: there, too. */
char *batch_error_path(const json_t *record, const struct batch_names *names);

#endif
