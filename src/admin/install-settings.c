/* install-settings.c - the server's settings say that it runs on Slurm */
#include "admin/install.h"

#include "admin/nodes.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20, RESTART_MS = 120000 };

/* ---- the file ------------------------------------------------------------------------------------------------- */

static bool has_key(const char *line, const char *key)
{
    size_t n = strlen(key);

    return strncmp(line, key, n) == 0 && line[n + strspn(line + n, " \t")] == ':';
}

void settings_put(const char *text, const char *key, const char *value, struct text *out)
{
    bool is_put = false;

    while (*text) {
        size_t n = strcspn(text, "\n");
        if (has_key(text, key)) {
            if (!is_put)
                text_addf(out, "%s: %s\n", key, value);
            is_put = true;
        } else {
            text_add_bytes(out, text, n);
            text_add_char(out, '\n');
        }
        text += n + (text[n] == '\n');
    }
    if (!is_put)
        text_addf(out, "%s: %s\n", key, value);
}

/* ---- what is to be set ------------------------------------------------------------------------------------------ */

static bool is_loopback(const char *address)
{
    return str_starts(address, "127.") || str_starts(address, "localhost") ||
           str_starts(address, "[::1]");
}

/* A name that the server answers to: nobody makes it send tokens elsewhere. */
static bool is_own_name(const struct engine_settings *settings, const char *url)
{
    const char *host = strstr(url, "://");

    host = host ? host + 3 : "";
    size_t n = strcspn(host, ":/");
    for (char *const *name = settings->hosts; name && *name; name++)
        if (strlen(*name) == n && strncmp(*name, host, n) == 0)
            return true;
    return false;
}

const char *install_home_url(const struct engine_settings *settings, const json_t *items)
{
    size_t i;
    json_t *item;

    if (settings->home_url ||
        (settings->listen && *settings->listen && !is_loopback(*settings->listen)))
        return NULL;
    json_array_foreach(items, i, item) {
        const char *url = json_get_str(item, "url", "");
        if (str_starts(url, "http") && !strpbrk(url, " \t\r\n\"'#") && is_own_name(settings, url))
            return url;
    }
    return NULL;
}

/* ---- the switch --------------------------------------------------------------------------------------------------- */

static int write_settings(const struct install *in, struct error *err)
{
    const char *url = install_home_url(in->settings, in->items);
    _cleanup_text_ struct text before = { 0 }, engine = { 0 }, after = { 0 };

    int r = file_read(AT_FDCWD, in->settings->file, FILE_MAX, &before, err);
    if (r < 0 && r != -ENOENT)
        return r;
    settings_put(text_str(&before), "engine", "slurm", &engine);
    if (url)
        settings_put(text_str(&engine), "home_url", url, &after);
    else
        text_add(&after, text_str(&engine));
    return file_replace(AT_FDCWD, in->settings->file, 0644, after.data, after.len, true, err);
}

static int restart(struct error *err)
{
    static const char *const active[] = { "systemctl", "is-active", "--quiet", "berth.service",
                                          NULL };
    static const char *const again[] = { "systemctl", "restart", "berth.service", NULL };

    if (access("/run/systemd/system", F_OK) < 0 ||
        process_run(active, FILE_MAX, RESTART_MS, NULL, NULL, NULL) != 0)
        return 1;
    int r = process_run(again, FILE_MAX, RESTART_MS, NULL, NULL, err);
    return r > 0 ? error_set(err, -EIO, "systemctl restart berth: exit code %d", r) : r;
}

/* Jobs of the machine's own engine would be nobody's afterwards. */
static int check_idle(const struct install *in, struct error *err)
{
    size_t i;
    json_t *item;

    json_array_foreach(in->items, i, item) {
        int64_t n = json_get_int(json_object_get(item, "use"), "tasks", 0);
        if (n > 0 && str_equal(json_get_str(item, "name", ""), in->own))
            return error_set(err, -EBUSY,
                             "%lld tasks run on this machine without Slurm: when they have ended "
                             "(berth ps), run this again",
                             (long long) n);
    }
    return 0;
}

int install_switch(const struct install *in, struct error *err)
{
    if (str_equal(in->settings->engine, "slurm"))
        return 0;
    int r = check_idle(in, err);
    if (r >= 0)
        r = write_settings(in, err);
    return r < 0 ? r : restart(err);
}
