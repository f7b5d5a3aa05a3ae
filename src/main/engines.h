/* engines.h - the engine that the settings name, and the machines it brings */
#ifndef MAIN_ENGINES_H
#define MAIN_ENGINES_H

#include "engine/engine.h"
#include "lifecycle/lifecycle.h"
#include "main/settings.h"

bool engine_is_slurm(const struct settings *settings);
/* Are Slurm's jobs those of the projects' accounts? */
bool engine_is_by_account(const struct settings *settings);
/* What Slurm's commands are told of this server: borrows from SETTINGS; PROGRAM and HOME_URL are owned. */
int engine_slurm_site(const struct settings *settings, struct slurm_site *ret, struct error *err);
void engine_slurm_site_done(const struct slurm_site *site);
/* LAUNCHER_FD is taken. */
int engine_open(const struct settings *settings, struct loop *loop, int launcher_fd,
                struct engine **ret, struct error *err);
/* The flavors of the settings or, without any, those that fit the machines that LC knows or NODE. */
int engine_add_flavors(const struct settings *settings, struct lifecycle *lc,
                       const struct node *node, struct error *err);

#endif
