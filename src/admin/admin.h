/* admin.h - commands that need no server */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

/* `berth doctor [-o table|json|yaml] [--state DIR] [--runtime DIR]`: look at this machine and name
 * the command that mends each finding. ARGV[0] is "doctor". Returns the exit code: 0, 1 when
 * something fails that Berth needs, 2 usage. */
int admin_doctor(int argc, char **argv);
void admin_doctor_help(struct text *out);

/* `berth store verify|backup FILE [--state DIR]`. ARGV[0] is "store". Exit codes as above; verify gives
 * 1 when something differs. */
int admin_store(int argc, char **argv);
void admin_store_help(struct text *out);

/* `berth engine check`: can Berth run tasks by Slurm here? SETTINGS may be NULL: they are wrong, and what needs them
 * is left out. And `berth engine render slurm`: the files of a cluster made of the machines that the server knows.
 * ARGV[0] is the verb. Exit codes as of doctor. */
struct engine_settings;
int admin_engine_check(int argc, char **argv, const struct engine_settings *settings);
void admin_engine_check_help(struct text *out);
int admin_engine_render(int argc, char **argv);
void admin_engine_render_help(struct text *out);

/* What the server's settings say. */
struct engine_settings {
    const char *file; /* that they are read from */
    const char *engine, *user;
    const char *home_url, *home_ca; /* NULL: not set */
    char *const *listen, *const *hosts;
};
/* `berth engine install slurm`: munge and Slurm on this machine and those that joined. Exit codes: 0, 1 when a
 * machine failed, 2 usage. */
int admin_engine_install(int argc, char **argv, const struct engine_settings *settings);
void admin_engine_install_help(struct text *out);

/* `berth node join URL TOKEN`: this machine becomes a node of the cloud at URL. ARGV[0] is "join". Exit
 * codes: 0, 1, 2 usage, 4 the token is refused, 5 the server does not take the machine. */
int admin_node_join(int argc, char **argv);
void admin_node_join_help(struct text *out);
/* `berth node run`: reports this machine until it is told to stop. ARGV[0] is "run". Exit codes: 0, 2 when
 * it has not joined or was forgotten. */
struct node_run {
    int (*drop)(struct error *err); /* root becomes an ordinary account for good */
};
int admin_node_run(int argc, char **argv, const struct node_run *how);
void admin_node_run_help(struct text *out);

/* `berth simulate pack`: fill machines from files. ARGV[0] is "pack". Exit codes: 0, 1 a file is wrong, 2 usage. */
int admin_simulate_pack(int argc, char **argv);
void admin_simulate_pack_help(struct text *out);
/* `berth simulate queue`: replay jobs from a file. ARGV[0] is "queue". Exit codes as of pack. */
int admin_simulate_queue(int argc, char **argv);
void admin_simulate_queue_help(struct text *out);
/* `berth simulate goodput`: one large job and its failures. ARGV[0] is "goodput". Exit codes as of pack. */
int admin_simulate_goodput(int argc, char **argv);
void admin_simulate_goodput_help(struct text *out);
/* Asks the server for a snapshot of the scheduler; RET_PROJECT: the project that the caller works in, NULL: none. Both owned by
 * the caller. */
typedef int (*admin_fetch_f)(json_t **ret, char **ret_project, struct error *err);
/* `berth simulate what-if`: look ahead from a snapshot, and with changes. ARGV[0] is "what-if". Exit codes as of pack. */
int admin_simulate_what_if(int argc, char **argv, admin_fetch_f fetch);
void admin_simulate_what_if_help(struct text *out);
/* `berth simulate replay`: decide once more what a server's record says. ARGV[0] is "replay". Exit codes as of pack. */
int admin_simulate_replay(int argc, char **argv);
void admin_simulate_replay_help(struct text *out);
/* `berth simulate turnover`: requests that leave again. ARGV[0] is "turnover". Exit codes: 0, 2 usage. */
int admin_simulate_turnover(int argc, char **argv);
void admin_simulate_turnover_help(struct text *out);

/* This program, and where a server with the settings of this machine keeps what it knows. */
struct upgrade_where {
    const char *version;
    const char *state;   /* directory */
    const char *store;   /* URL */
    const char *socket;  /* of the API */
    const char *problem; /* why a server would refuse the settings; NULL: it would not */
};

/* `berth upgrade --check [-o table|json|yaml] [--state DIR]`: what a start of this version would change.
 * ARGV[0] is "upgrade". Exit codes: 0 nothing, 10 something, 5 it would not start, 4 not readable, 1, 2. */
int admin_upgrade(int argc, char **argv, const struct upgrade_where *where);
void admin_upgrade_help(struct text *out);

#endif
