/* carry.c - an order carried out: account, packages, munge's key, Slurm's files, daemons */
#include "admin/carry.h"

#include "admin/box.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/hash.h"
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    OUTPUT_MAX = 1 << 20,
    INSTALL_MS = 1800 * 1000,
    LOOK_MS = 60 * 1000,
    KEY_MIN = 32,
    KEY_LEN = 128
};

#define SLURM_ETC "/etc/slurm"
#define MUNGE_KEY "/etc/munge/munge.key"

/* ---- may it be done here? ----------------------------------------------------------------------------------- */

static int check_name(const struct order *order, struct error *err)
{
    char host[256] = "";

    (void) gethostname(host, sizeof host - 1);
    host[strcspn(host, ".")] = '\0';
    if (!order->is_controller || str_equal(host, order->self->name))
        return 0;
    return error_set(err, -EINVAL,
                     "slurmctld starts only where the host's name is the node's, and '%s' is "
                     "called '%s': --controller another, or join it under its own name",
                     order->self->name, host);
}

/* A cluster that somebody else made is theirs. */
static int check_foreign(struct error *err)
{
    _cleanup_text_ struct text text = { 0 };
    int r = file_read(AT_FDCWD, SLURM_ETC "/slurm.conf", OUTPUT_MAX, &text, NULL);

    if (r == -ENOENT || (r >= 0 && strstr(text_str(&text), render_mark)))
        return 0;
    return error_set(err, -EEXIST,
                     SLURM_ETC "/slurm.conf is not Berth's: this machine is part of a cluster "
                               "already; move the file away if it is not");
}

/* Slurm starts jobs by number. */
static int check_account(const struct order *order, struct error *err)
{
    const struct passwd *pw = getpwnam(order->account), *other = getpwuid(order->uid);

    if (pw && pw->pw_uid == order->uid && pw->pw_gid == order->gid)
        return 0;
    if (!pw)
        return error_set(err, -ENOENT, "there is no account '%s' here", order->account);
    return error_set(err, -EEXIST,
                     "jobs run as %s, which is %u:%u on the server and %u:%u here%s%s: join this "
                     "machine again, which mends it, or change the account",
                     order->account, order->uid, order->gid, pw->pw_uid, pw->pw_gid,
                     other ? "; that number is here " : "", other ? other->pw_name : "");
}

static int step_check(struct carry *carry, struct found *found, struct error *err)
{
    int r = check_name(carry->order, err);

    if (r >= 0)
        r = check_foreign(err);
    return r < 0 ? r : check_account(carry->order, err);
}

/* ---- packages ---------------------------------------------------------------------------------------------- */

/* Debian's; there are no others, and an order names none. */
static const char *const packages[] = { "munge", "slurmd", "slurm-client", NULL };
static const char controller_package[] = "slurmctld";

static bool is_installed(const char *package)
{
    const char *const argv[] = { "dpkg-query", "-W", "-f", "${db:Status-Status}", package, NULL };
    _cleanup_text_ struct text out = { 0 };

    return process_run(argv, OUTPUT_MAX, LOOK_MS, &out, NULL, NULL) == 0 &&
           str_equal(text_str(&out), "installed");
}

/* apt's own reason, "E: …", else the last thing that was said. */
static char *reason_of(const struct text *said)
{
    const char *reason = strstr(text_str(said), "E: ");

    if (reason)
        return xstrndup(reason + 3, strcspn(reason + 3, "\n"));
    size_t n = said->len;
    while (n > 0 && said->data[n - 1] == '\n')
        n--;
    size_t begin = n;
    while (begin > 0 && said->data[begin - 1] != '\n')
        begin--;
    return n ? xstrndup(said->data + begin, n - begin) : xstrdup("it says nothing");
}

static int apt_get(const char *const *words, struct error *err)
{
    VEC(const char *) argv = { 0 };
    _cleanup_text_ struct text said = { 0 };
    static const char *const fixed[] = { "env",
                                         "DEBIAN_FRONTEND=noninteractive",
                                         "LC_ALL=C.UTF-8",
                                         "apt-get",
                                         "-q",
                                         "-y",
                                         "-o",
                                         "DPkg::Lock::Timeout=600",
                                         "-o",
                                         "Dpkg::Options::=--force-confold",
                                         "--no-install-recommends" };

    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        vec_push(&argv, fixed[i]);
    for (; *words; words++)
        vec_push(&argv, *words);
    vec_push(&argv, NULL);
    int r = process_run(argv.items, OUTPUT_MAX, INSTALL_MS, NULL, &said, err);
    vec_done(&argv);
    if (r <= 0)
        return r;
    _cleanup_free_ char *reason = reason_of(&said);
    return error_set(err, -EIO, "apt-get: %s", reason);
}

static int install(const char *const *missing, struct error *err)
{
    static const char *const configure[] = { "dpkg", "--configure", "-a", NULL };
    VEC(const char *) words = { 0 };

    /* What an installation that was broken off left. */
    (void) process_run(configure, OUTPUT_MAX, INSTALL_MS, NULL, NULL, NULL);
    vec_push(&words, "install");
    for (; *missing; missing++)
        vec_push(&words, *missing);
    vec_push(&words, NULL);
    int r = apt_get(words.items, NULL);
    if (r < 0) {
        /* There may be no lists yet, or they may name versions that the mirror has no more. */
        (void) apt_get((const char *const[]){ "update", NULL }, NULL);
        r = apt_get(words.items, err);
    }
    vec_done(&words);
    return r;
}

static int step_packages(struct carry *carry, struct found *found, struct error *err)
{
    const char *missing[sizeof packages / sizeof *packages + 1];
    size_t n = 0;

    for (const char *const *p = packages; *p; p++)
        if (!is_installed(*p))
            missing[n++] = *p;
    if (carry->order->is_controller && !is_installed(controller_package))
        missing[n++] = controller_package;
    missing[n] = NULL;
    for (size_t i = 0; i < n; i++)
        text_addf(&found->detail, "%s%s", i ? " " : "", missing[i]);
    found->changed = n > 0;
    return n == 0 || carry->order->only_looks ? 0 : install(missing, err);
}

/* ---- munge's key ---------------------------------------------------------------------------------------------- */

static int place(const char *path, mode_t mode, const struct passwd *owner, struct error *err)
{
    int r = mkdir_all(AT_FDCWD, path, mode, err);

    if (r < 0)
        return r;
    if (chown(path, owner->pw_uid, owner->pw_gid) < 0 || chmod(path, mode) < 0)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    return 0;
}

static int write_key(const struct text *key, struct error *err)
{
    const struct passwd *munge = getpwnam("munge");

    if (!munge)
        return error_set(err, -ENOENT, "there is no account 'munge': its package makes one");
    int r = place("/etc/munge", 0700, munge, err);
    if (r >= 0)
        r = file_replace(AT_FDCWD, MUNGE_KEY, 0400, key->data, key->len, true, err);
    if (r >= 0 && chown(MUNGE_KEY, munge->pw_uid, munge->pw_gid) < 0)
        r = error_set(err, -errno, "%s: %s", MUNGE_KEY, strerror(errno));
    return r;
}

static void wipe(struct text *text)
{
    if (text->data)
        explicit_bzero(text->data, text->len);
    text_done(text);
}

/* The server's own machine has the key that all the others get: the one that its package made, or a new one. */
static int make_key(struct carry *carry, struct found *found, struct error *err)
{
    _cleanup_(wipe) struct text key = { 0 };

    found->changed = access(MUNGE_KEY, F_OK) < 0;
    if (!found->changed || carry->order->only_looks)
        return 0;
    random_bytes(text_reserve(&key, KEY_LEN), KEY_LEN);
    key.len = KEY_LEN;
    return write_key(&key, err);
}

static int step_key(struct carry *carry, struct found *found, struct error *err)
{
    _cleanup_(wipe) struct text key = { 0 }, here = { 0 };

    if (carry->order->is_server)
        return make_key(carry, found, err);
    if (!carry->order->munge_key) {
        found->changed = true;
        return carry->order->only_looks ? 0
                                        : error_set(err, -EINVAL, "the order has no key for munge");
    }
    int r = box_open(carry->key, carry->order->munge_key, &key, err);
    if (r >= 0 && key.len < KEY_MIN)
        r = error_set(err, -EINVAL, "a key of %zu bytes is too short for munge", key.len);
    if (r < 0)
        return r;
    (void) file_read(AT_FDCWD, MUNGE_KEY, OUTPUT_MAX, &here, NULL);
    found->changed = here.len != key.len || memcmp(here.data, key.data, key.len) != 0;
    return !found->changed || carry->order->only_looks ? 0 : write_key(&key, err);
}

/* ---- files -------------------------------------------------------------------------------------------------- */

static bool is_same(const char *path, const struct text *text)
{
    _cleanup_text_ struct text here = { 0 };

    return file_read(AT_FDCWD, path, OUTPUT_MAX, &here, NULL) >= 0 && here.len == text->len &&
           memcmp(text_str(&here), text_str(text), text->len) == 0;
}

static int put_file(struct carry *carry, const char *path, const struct text *text,
                    struct found *found, struct error *err)
{
    if (is_same(path, text))
        return 0;
    found->changed = true;
    text_addf(&found->detail, "%s%s", found->detail.len ? " " : "", path);
    if (carry->order->only_looks)
        return 0;
    return file_replace(AT_FDCWD, path, 0644, text_str(text), text->len, true, err);
}

/* One that is needed no more, if it is Berth's. */
static void take_file(struct carry *carry, const char *path, struct found *found)
{
    _cleanup_text_ struct text here = { 0 };

    if (file_read(AT_FDCWD, path, OUTPUT_MAX, &here, NULL) < 0 ||
        !strstr(text_str(&here), render_mark))
        return;
    found->changed = true;
    text_addf(&found->detail, "%s%s", found->detail.len ? " " : "", path);
    if (!carry->order->only_looks)
        (void) unlink(path);
}

/* Made here of the same facts, they are the same as on every machine, or the programs differ. */
static int check_sum(const struct order *order, const char *file, const struct text *text,
                     struct error *err)
{
    struct sha256 sum = sha256_of(text_str(text), text->len);
    char hex[SHA256_HEX_LEN + 1];

    if (str_equal(json_get_str(order->sums, file, ""), sha256_format(&sum, hex)))
        return 0;
    return error_set(err, -EINVAL,
                     "%s comes out another than on the server: berth is of another version there",
                     file);
}

static int step_files(struct carry *carry, struct found *found, struct error *err)
{
    const struct render_cluster cluster = cluster_view(&carry->order->cluster);
    int r = carry->order->only_looks ? 0 : mkdir_all(AT_FDCWD, SLURM_ETC, 0755, err);

    for (const char *const *file = render_files; r >= 0 && *file; file++) {
        _cleanup_free_ char *path = xasprintf(SLURM_ETC "/%s", *file);
        _cleanup_text_ struct text text = { 0 };
        if (!render_file(&cluster, *file, &text)) {
            take_file(carry, path, found);
            continue;
        }
        r = check_sum(carry->order, *file, &text, err);
        if (r >= 0)
            r = put_file(carry, path, &text, found, err);
    }
    return r;
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

static const struct step {
    const char *name;
    int (*f)(struct carry *carry, struct found *found, struct error *err);
} steps[] = {
    { "check", step_check }, { "packages", step_packages }, { "munge key", step_key },
    { "files", step_files }, { "daemons", carry_daemons },  { "launcher", carry_launcher },
};

static int do_step(struct carry *carry, const struct step *step, struct error *err)
{
    struct found found = { 0 };

    if (carry->on_step)
        carry->on_step(carry->userdata, step->name, carry->steps);
    int r = step->f(carry, &found, err);
    json_t *done = json_object();
    json_put_str(done, "step", step->name);
    json_put(done, "changed", json_boolean(found.changed));
    if (found.detail.len)
        json_put_str(done, "detail", found.detail.data);
    if (r >= 0)
        (void) json_array_append_new(carry->steps, done);
    else
        json_decref(done);
    text_done(&found.detail);
    return r;
}

int carry_out(struct carry *carry, const char **step, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < sizeof steps / sizeof *steps; i++) {
        *step = steps[i].name;
        r = do_step(carry, &steps[i], err);
    }
    return r;
}
