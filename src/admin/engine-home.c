/* engine-home.c - will the steps of a batch system reach the API? Asked from here as they ask
 *
 * A step that cannot come home tries for minutes before its job says so.
 */
#include "admin/admin.h"
#include "admin/doctor.h"

#include "base/alloc.h"
#include "http/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOME_TIMEOUT_MS = 10000, HOME_ANSWER_MAX = 1 << 20 };

static bool check_authorities(struct doctor *d, const char *file)
{
    struct error err = { 0 };

    if (http_authorities_check(file, &err) >= 0)
        return true;
    /* It is a file of the nodes, and they may have it where this machine has not. */
    if (access(file, F_OK) < 0 && errno == ENOENT)
        doctor_add(d, LEVEL_WARN, "home_ca", xasprintf("%s is not on this machine", file),
                   xstrdup("put the file there on each node, and here, where it can be checked"));
    else
        doctor_add(d, LEVEL_FAIL, "home_ca", xstrdup(err.text),
                   xasprintf("put the certificates (PEM) of the authorities that sign home_url's "
                             "into %s, on each node too",
                             file));
    return false;
}

static int ask_home(const char *url, struct error *err)
{
    _cleanup_(http_client_freep) struct http_client *client = NULL;
    struct http_response response = { 0 };
    const struct http_call call = { .method = "GET",
                                    .target = "/healthz",
                                    .timeout_ms = HOME_TIMEOUT_MS,
                                    .limit = HOME_ANSWER_MAX };

    int r = http_client_new(url, &client, err);
    if (r >= 0)
        r = http_client_call(client, &call, &response, err);
    if (r >= 0 && response.status != 200)
        r = error_set(err, -EPROTO, "%s answers %d where the server of Berth answers 200", url,
                      response.status);
    http_response_done(&response);
    return r;
}

void check_home(struct doctor *d, const struct engine_settings *settings)
{
    struct error err = { 0 };

    if (!settings->home_url && !str_equal(settings->engine, "slurm"))
        return;
    if (settings->home_ca && !check_authorities(d, settings->home_ca))
        return;
    /* As the step has it. */
    if (settings->home_ca)
        (void) setenv("SSL_CERT_FILE", settings->home_ca, 1);
    _cleanup_free_ char *url = settings->home_url ? xstrdup(settings->home_url)
                                                  : xasprintf("http://%s", settings->listen[0]);
    int r = ask_home(url, &err);
    if (r >= 0)
        doctor_add(d, LEVEL_OK, "home_url", xasprintf("%s answers", url), NULL);
    else if (r == -EPROTO)
        doctor_add(d, LEVEL_FAIL, "home_url", xasprintf("%s: %s", url, err.text),
                   xasprintf("home_url and home_ca in %s: where nodes reach the API, and whom its "
                             "certificate comes from",
                             settings->file));
    else
        doctor_add(d, LEVEL_WARN, "home_url", xasprintf("%s: %s", url, err.text),
                   xasprintf("systemctl start berth; or home_url in %s: where nodes reach the API",
                             settings->file));
}
