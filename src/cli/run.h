/* run.h - the steps of `berth run`, for whoever runs again */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "cli/pack.h"

/* "workspace  3 files, 1.2 KiB - 1 sent (200 B)" */
void run_tell_pack(const struct cli *cli, const struct pack *pack, size_t files, int64_t bytes);
/* POST the job, once whatever happens to the server meanwhile. */
int run_submit(struct cli *cli, const json_t *request, json_t **ret, struct error *err);
/* "job  NAME  ID" */
void run_tell_job(const struct cli *cli, const json_t *job);

#endif
