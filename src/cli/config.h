/* config.h - contexts: which server, with which key, in which project
 *
 * ~/.config/berth/config.yaml (XDG_CONFIG_HOME and BERTH_CLIENT_CONFIG move it), mode 0600:
 *
 *     current: lab
 *     contexts:
 *       lab: { url: "http://127.0.0.1:7077", key: "…", project: main }
 *
 * Flags go over BERTH_URL, BERTH_KEY and BERTH_PROJECT, and these over the current context.
 */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"

#include <sys/types.h>

struct config {
    char *path;
    json_t *tree; /* {"current", "contexts": {NAME: {"url","key","project"}}} */
    uid_t uid;    /* whose file it is: under sudo the invoking user's */
    gid_t gid;
};

/* A file that is not there is an empty configuration; one that others may read is refused. */
int config_load(struct config *ret, struct error *err);
int config_save(const struct config *config, struct error *err);
void config_done(struct config *config);

/* The named context, NULL when absent; NAME NULL: the current one. Belongs to the tree. */
json_t *config_context(const struct config *config, const char *name);
/* Make or change a context and make it the current one; values that are NULL stay as they are. */
void config_set(struct config *config, const char *name, const char *url, const char *key,
                const char *project);

/* Where a server on this machine listens: $BERTH_SOCKET, api.sock in $BERTH_RUNTIME or $BERTH_STATE
 * when it is there, else /run/berth/api.sock. As "unix:PATH"; owned by the caller. */
char *config_local_url(void);

/* ~/.local/state/berth, or where XDG_STATE_HOME says; owned by the caller. */
char *config_state_dir(void);

#endif
