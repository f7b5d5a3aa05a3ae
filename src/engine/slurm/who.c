/* who.c - the accounts that tasks are submitted as
 *
 * Their names are kept in STATE/slurm-accounts: what a server before this one left in the queue of an account is
 * found by looking there, also when no task is that account's any more.
 */
#include "engine/slurm/slurm.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/log.h"

#include <fcntl.h>
#include <string.h>

enum { FILE_MAX = 1 << 20 };

static struct who *add(struct slurm *slurm, const char *name)
{
    struct who *who = xnew(struct who);

    who->name = xstrdup(name);
    who->rounds = WHO_ROUNDS;
    vec_push(&slurm->everybody, who);
    return who;
}

static void write_down(const struct slurm *slurm)
{
    _cleanup_text_ struct text text = { 0 };
    struct error err = { 0 };

    vec_foreach(&slurm->everybody, who)
        if ((*who)->name)
            text_addf(&text, "%s\n", (*who)->name);
    if (file_replace(AT_FDCWD, slurm->accounts, 0600, text_str(&text), text.len, false, &err) < 0)
        log_warn("the accounts of jobs were not written down", "reason", err.text);
}

static struct who *find(const struct slurm *slurm, const char *name)
{
    vec_foreach(&slurm->everybody, who)
        if (str_equal((*who)->name, name))
            return *who;
    return NULL;
}

struct who *slurm_who(struct slurm *slurm, const char *name)
{
    const char *wanted = slurm->by_account ? name : NULL;
    struct who *who = find(slurm, wanted);

    if (who)
        return who;
    who = add(slurm, wanted);
    write_down(slurm);
    return who;
}

void slurm_who_load(struct slurm *slurm)
{
    _cleanup_text_ struct text text = { 0 };

    add(slurm, NULL);
    if (!slurm->by_account || file_read(AT_FDCWD, slurm->accounts, FILE_MAX, &text, NULL) < 0)
        return;
    char *save = NULL, *copy = text_take(&text);
    for (char *name = strtok_r(copy, "\n", &save); name; name = strtok_r(NULL, "\n", &save))
        if (slurm_account_check("slurm-accounts", name, NULL) >= 0 && !find(slurm, name))
            add(slurm, name);
    free(copy);
}

void slurm_who_free(struct slurm *slurm)
{
    vec_foreach(&slurm->everybody, it) {
        struct who *who = *it;
        vec_done(&who->orphans);
        vec_done(&who->jobs);
        free(who->name);
        free(who);
    }
    vec_done(&slurm->everybody);
}

bool slurm_who_has_job(const struct slurm *slurm, uint32_t job)
{
    vec_foreach(&slurm->everybody, it) {
        const struct who *who = *it;
        vec_foreach(&who->jobs, listed)
            if (*listed == job)
                return true;
    }
    return false;
}
