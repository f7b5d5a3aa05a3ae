/* config.c - see config.h */
#include "cli/config.h"

#include "base/alloc.h"
#include "base/yaml.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_BYTES_MAX (1 << 20)

static const char *env_value(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* Under sudo the keys belong to whoever typed it. */
static char *home_of_user(uid_t *ret_uid, gid_t *ret_gid)
{
    const char *sudo = env_value("SUDO_USER");
    const struct passwd *user = geteuid() == 0 && sudo ? getpwnam(sudo) : NULL;

    *ret_uid = user ? user->pw_uid : geteuid();
    *ret_gid = user ? user->pw_gid : getegid();
    if (user)
        return xstrdup(user->pw_dir);
    if (env_value("HOME"))
        return xstrdup(env_value("HOME"));
    user = getpwuid(geteuid());
    return xstrdup(user ? user->pw_dir : "/");
}

static char *config_path(uid_t *ret_uid, gid_t *ret_gid)
{
    _cleanup_free_ char *home = home_of_user(ret_uid, ret_gid);

    if (env_value("BERTH_CLIENT_CONFIG"))
        return xstrdup(env_value("BERTH_CLIENT_CONFIG"));
    if (env_value("XDG_CONFIG_HOME") && *ret_uid == geteuid())
        return xasprintf("%s/berth/config.yaml", env_value("XDG_CONFIG_HOME"));
    return xasprintf("%s/.config/berth/config.yaml", home);
}

char *config_state_dir(void)
{
    uid_t uid;
    gid_t gid;
    _cleanup_free_ char *home = home_of_user(&uid, &gid);

    if (env_value("XDG_STATE_HOME") && uid == geteuid())
        return xasprintf("%s/berth", env_value("XDG_STATE_HOME"));
    return xasprintf("%s/.local/state/berth", home);
}

static int check_shape(const json_t *tree, const char *path, struct error *err)
{
    const json_t *contexts = json_object_get(tree, "contexts");
    const char *key;
    json_t *context;

    if (!json_is_object(tree) || (contexts && !json_is_object(contexts)))
        return error_set(err, -EINVAL, "%s: not a configuration of berth", path);
    json_object_foreach(json_object_get(tree, "contexts"), key, context)
        if (!json_is_object(context))
            return error_set(err, -EINVAL, "%s: context '%.60s' is not a mapping", path, key);
    return 0;
}

int config_load(struct config *ret, struct error *err)
{
    _cleanup_text_ struct text bytes = { 0 };
    _cleanup_json_ json_t *tree = NULL;
    struct config config = { 0 };
    struct stat st;

    _cleanup_free_ char *path = config_path(&config.uid, &config.gid);
    int r = stat(path, &st) < 0 ? -errno : 0;
    if (r == 0 && (st.st_mode & 077))
        return error_set(err, -EPERM, "%s holds keys and others may read it: run chmod 600 %s",
                         path, path);
    if (r == 0)
        r = file_read(AT_FDCWD, path, CONFIG_BYTES_MAX, &bytes, err);
    if (r == -ENOENT || r == -ENOTDIR) {
        tree = json_object();
    } else {
        if (r < 0)
            return error_set(err, r, "reading %s: %s", path, strerror(-r));
        r = yaml_parse(text_str(&bytes), bytes.len, &tree, err);
        if (r < 0)
            return error_context(err, r, "%s", path);
        r = check_shape(tree, path, err);
        if (r < 0)
            return r;
    }
    config.path = take_ptr(path);
    config.tree = take_ptr(tree);
    *ret = config;
    return 0;
}

/* Directories that are made belong to the user too. */
static int make_directory(const struct config *config, struct error *err)
{
    _cleanup_free_ char *dir = xstrdup(config->path);
    char *slash = strrchr(dir, '/');
    struct stat st;

    if (!slash || slash == dir)
        return 0;
    *slash = '\0';
    bool missing = stat(dir, &st) < 0;
    _cleanup_free_ char *above = xstrdup(dir);
    slash = strrchr(above, '/');
    if (slash && slash != above)
        *slash = '\0';
    bool above_missing = stat(above, &st) < 0;
    int r = mkdir_all(AT_FDCWD, dir, 0700, err);
    if (r < 0)
        return r;
    if (config->uid == geteuid())
        return 0;
    if ((above_missing && chown(above, config->uid, config->gid) < 0) ||
        (missing && chown(dir, config->uid, config->gid) < 0))
        return error_set(err, -errno, "giving %s to its user: %s", dir, strerror(errno));
    return 0;
}

int config_save(const struct config *config, struct error *err)
{
    _cleanup_free_ char *text = yaml_text(config->tree);
    int r = make_directory(config, err);

    if (r == 0)
        r = file_replace(AT_FDCWD, config->path, 0600, text, strlen(text), false, err);
    if (r < 0)
        return r;
    if (config->uid != geteuid() && chown(config->path, config->uid, config->gid) < 0)
        return error_set(err, -errno, "giving %s to its user: %s", config->path, strerror(errno));
    return 0;
}

void config_done(struct config *config)
{
    free(config->path);
    json_decref(config->tree);
    *config = (struct config){ 0 };
}

json_t *config_context(const struct config *config, const char *name)
{
    if (!name)
        name = json_get_str(config->tree, "current", NULL);
    return name ? json_object_get(json_object_get(config->tree, "contexts"), name) : NULL;
}

void config_set(struct config *config, const char *name, const char *url, const char *key,
                const char *project)
{
    json_t *contexts = json_object_get(config->tree, "contexts");

    if (!contexts) {
        contexts = json_object();
        json_put(config->tree, "contexts", contexts);
    }
    json_t *context = json_object_get(contexts, name);
    if (!context) {
        context = json_object();
        json_put(contexts, name, context);
    }
    if (url)
        json_put_str(context, "url", url);
    if (key)
        json_put_str(context, "key", key);
    if (project)
        json_put_str(context, "project", project);
    json_put_str(config->tree, "current", name);
}

char *config_local_url(void)
{
    if (env_value("BERTH_SOCKET"))
        return xasprintf("unix:%s", env_value("BERTH_SOCKET"));
    if (env_value("BERTH_RUNTIME"))
        return xasprintf("unix:%s/api.sock", env_value("BERTH_RUNTIME"));
    if (env_value("BERTH_STATE")) {
        _cleanup_free_ char *path = xasprintf("%s/api.sock", env_value("BERTH_STATE"));
        if (access(path, F_OK) == 0)
            return xasprintf("unix:%s", path);
    }
    return xstrdup("unix:/run/berth/api.sock");
}
