/* roles.h - what the one executable can be; each role is one file of this folder or of admin/ */
#ifndef MAIN_ROLES_H
#define MAIN_ROLES_H

#include "base/text.h"

/* ARGV[0] is "server"; the result is the exit status. */
int role_server(int argc, char **argv);
/* "doctor", "store", "upgrade"; see admin/admin.h. */
int role_doctor(int argc, char **argv);
int role_store(int argc, char **argv);
int role_upgrade(int argc, char **argv);
/* "engine install", "node run" */
int role_engine_check(int argc, char **argv);
int role_engine_install(int argc, char **argv);
int role_node_run(int argc, char **argv);

/* "launcher": for the steps of a batch system on this machine. */
int role_launcher(int argc, char **argv);
void launcher_help(struct text *out);
/* "supervise": run by batch systems alone, see courier/courier.h. */
int role_supervise(int argc, char **argv);
void supervise_help(struct text *out);

#endif
