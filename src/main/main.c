/* main.c - one executable, several roles: the first word says which; all else is the CLI */
#include "admin/admin.h"
#include "cli/cli.h"
#include "image/image.h"
#include "main/roles.h"
#include "main/settings.h"

#include <stdio.h>

/* Started by the server alone (image/fetch.h, image/push.h). */
static int role_fetch_image(int argc, char **argv) { return image_fetch_main(); }
static int role_push_image(int argc, char **argv) { return image_push_main(); }

static int fetch_snapshot(json_t **ret, char **ret_project, struct error *err)
{
    return cli_fetch("/v1/scheduler/snapshot", ret, ret_project, err);
}

static int role_simulate_what_if(int argc, char **argv)
{
    return admin_simulate_what_if(argc, argv, fetch_snapshot);
}

static int role_version(int argc, char **argv) { return puts("berth " BERTH_VERSION) < 0; }

static const struct cli_role roles[] = {
    { "server", "the control plane; alone it is a whole cloud on this machine", settings_help,
      role_server },
    { "doctor", "check this machine and name what mends each finding", admin_doctor_help,
      role_doctor },
    { "store", "verify the database against its events, or copy it", admin_store_help, role_store },
    { "upgrade", "say what the start of this version would change", admin_upgrade_help,
      role_upgrade },
    { "engine check", "say what Slurm lacks here, and what mends it", admin_engine_check_help,
      role_engine_check },
    { "engine install", "make a Slurm cluster of this machine and those that joined",
      admin_engine_install_help, role_engine_install },
    { "engine render", "write the files of a Slurm cluster of the machines known here",
      admin_engine_render_help, admin_engine_render },
    { "node join", "make this machine a node of a cloud", admin_node_join_help, admin_node_join },
    { "node run", "report this machine to its cloud; the service berth-node does",
      admin_node_run_help, role_node_run },
    { "simulate pack", "see how full machines get with requests from a file",
      admin_simulate_pack_help, admin_simulate_pack },
    { "simulate queue", "see how long jobs from a file would wait", admin_simulate_queue_help,
      admin_simulate_queue },
    { "simulate goodput", "see what failures cost a large training job",
      admin_simulate_goodput_help, admin_simulate_goodput },
    { "simulate what-if", "see what more machines, another job or policy would change",
      admin_simulate_what_if_help, role_simulate_what_if },
    { "simulate replay", "decide once more what the record of a server says, and compare",
      admin_simulate_replay_help, admin_simulate_replay },
    { "simulate turnover", "see how often no machine is free for a large request",
      admin_simulate_turnover_help, admin_simulate_turnover },
    { "version", "print the version", NULL, role_version },
    { "--version", NULL, NULL, role_version },
    { "launcher", "make containers for jobs in a batch system's steps, as root on each node",
      launcher_help, role_launcher },
    { "supervise", NULL, supervise_help, role_supervise },
    { "fetch-image", NULL, NULL, role_fetch_image },
    { "push-image", NULL, NULL, role_push_image },
    { NULL },
};

int main(int argc, char **argv) { return cli_main(argc, argv, roles); }
