/* engines.h - the engine that the settings name, and the machines it brings */
#ifndef MAIN_ENGINES_H
#define MAIN_ENGINES_H

#include "engine/engine.h"
#include "lifecycle/lifecycle.h"
#include "main/settings.h"

bool engine_is_slurm(const struct settings *settings);
/* LAUNCHER_FD is taken. */
int engine_open(const struct settings *settings, struct loop *loop, int launcher_fd,
                struct engine **ret, struct error *err);
/* The flavors of the settings or, without any, those that fit the machines that LC knows or NODE. */
int engine_add_flavors(const struct settings *settings, struct lifecycle *lc,
                       const struct node *node, struct error *err);

#endif
