/* store.c - `berth store verify|backup`: the store's database, also while a server runs (backup) */
#include "admin/admin.h"

#include "base/alloc.h"
#include "os/loop.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void admin_store_help(struct text *out)
{
    text_add(
        out,
        "Usage: berth store verify [--state DIR]\n"
        "       berth store backup FILE [--state DIR]\n\n"
        "verify   prove that rows are the fold of their events and that the database is whole;\n"
        "         needs the server to be stopped\n"
        "backup   copy the database to FILE, consistent also while the server runs; keep\n"
        "         STATE/secret.key with it, or the sealed secrets are lost\n");
}

static int usage(FILE *out)
{
    _cleanup_text_ struct text text = { 0 };

    admin_store_help(&text);
    fputs(text_str(&text), out);
    return out == stdout ? 0 : 2;
}

static int fail(const struct error *err)
{
    fprintf(stderr, "berth store: %s\n", err->text);
    return 1;
}

static void print_difference(void *userdata, const char *text) { printf("%s\n", text); }

/* Opening would make an empty one. */
static int find_database(const char *url, struct error *err)
{
    const char *path = url + strlen("sqlite:");

    return access(path, R_OK) == 0
               ? 0
               : error_set(err, -errno, "%s: %s; --state names the state directory", path,
                           strerror(errno));
}

static int verify(const char *url)
{
    _cleanup_(loop_freep) struct loop *loop = loop_new();
    _cleanup_(store_closep) struct store *store = NULL;
    struct error err = { 0 };
    int r = find_database(url, &err);

    if (r >= 0)
        r = store_open(url, loop, &store, &err);
    if (r >= 0)
        r = store_verify(store, print_difference, NULL, &err);
    if (r < 0)
        return fail(&err);
    if (r > 0) {
        printf("%d differences\n", r);
        return 1;
    }
    printf("rows are the fold of their events; the database is whole\n");
    return 0;
}

static int backup(const char *url, const char *to)
{
    struct error err = { 0 };

    if (find_database(url, &err) < 0 || store_backup(url, to, &err) < 0)
        return fail(&err);
    printf("%s\n", to);
    return 0;
}

/* STATE from the flag, BERTH_STATE or the default, in that order. */
static const char *take_state(int *argc, char **argv)
{
    const char *state = getenv("BERTH_STATE");

    for (int i = 1; i < *argc; i++) {
        bool joined = str_starts(argv[i], "--state=");
        if (!joined && !(str_equal(argv[i], "--state") && i + 1 < *argc))
            continue;
        state = joined ? argv[i] + 8 : argv[i + 1];
        int n = joined ? 1 : 2;
        memmove(argv + i, argv + i + n, (size_t) (*argc - i - n) * sizeof *argv);
        *argc -= n;
        break;
    }
    return state ? state : "/var/lib/berth";
}

int admin_store(int argc, char **argv)
{
    const char *state = take_state(&argc, argv);
    _cleanup_free_ char *url = xasprintf("sqlite:%s/berth.db", state);

    if (argc >= 2 && (str_equal(argv[1], "--help") || str_equal(argv[1], "-h")))
        return usage(stdout);
    if (argc == 2 && str_equal(argv[1], "verify"))
        return verify(url);
    if (argc == 3 && str_equal(argv[1], "backup"))
        return backup(url, argv[2]);
    return usage(stderr);
}
