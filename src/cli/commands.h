/* commands.h - every command that has a file of its own */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/internal.h"

extern const struct command command_run, command_logs, command_charts, command_artifacts,
    command_ps, command_why, command_queue, command_stop, command_init, command_login,
    command_completion, command_exec, command_port_forward, command_man, command_artifact_get,
    command_context_list, command_context_use, command_context_delete, command_event_follow,
    command_job_record, command_job_show, command_job_wait, command_job_create, command_secret_set,
    command_workspace_push;
extern const struct command command_dataset_push, command_dataset_pull, command_dataset_diff,
    command_dataset_show, command_dataset_verify;
extern const struct command command_cp;
extern const struct command command_job_diff, command_job_preempt, command_job_rerun;
extern const struct command command_image_build;
extern const struct command command_image_import, command_image_login, command_image_pull,
    command_image_push;
extern const struct command command_node_drain;
extern const struct command command_node_show;
extern const struct command command_scheduler_snapshot;
extern const struct command command_sbatch;
extern const struct command command_top, command_job_metrics;

/* Ask the endpoint of the command, print its answer. */
int generic_run(struct cli *cli, const struct args *args, struct error *err);
/* --all for lists; NULL for others. */
const struct cli_flag *generic_flags(const struct declare_endpoint *e);

/* Is this field of a body said as an operand? */
bool generic_is_operand(const struct declare_field *field);

#endif
