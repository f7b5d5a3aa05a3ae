/* api.c - starts and ends the API */
#include "api/ahead.h"
#include "api/dispatch.h"
#include "api/reach.h"
#include "api/session.h"

#include "base/alloc.h"
#include "base/time.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { BEAT_S = 15, SWEEP_BEATS = 240 };

/* The host part of HOST:PORT or [ADDRESS]:PORT. */
static size_t host_len(const char *address)
{
    const char *colon = strrchr(address, ':');

    return colon ? (size_t) (colon - address) : strlen(address);
}

static bool is_host(const char *host, const char *name, size_t len)
{
    return strlen(host) == len && strncasecmp(host, name, len) == 0;
}

static bool host_allowed(void *userdata, const char *host)
{
    static const char *const always[] = { "localhost", "127.0.0.1", "[::1]" };
    const struct api *api = userdata;

    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (is_host(host, always[i], strlen(always[i])))
            return true;
    for (const char *const *address = api->options.listen; address && *address; address++)
        if (is_host(host, *address, host_len(*address)))
            return true;
    for (const char *const *name = api->options.hosts; name && *name; name++)
        if (is_host(host, *name, strlen(*name)))
            return true;
    return false;
}

static void beat(void *userdata)
{
    struct api *api = userdata;

    for (struct follower *f = api->followers, *next; f; f = next) {
        next = f->next;
        f->beat(f);
    }
    if (api->options.idempotency_keep_s > 0 && ++api->n_beats % SWEEP_BEATS == 0)
        idempotency_sweep(api);
    timer_set(api->beat, BEAT_S * US_PER_S);
}

static void committed(void *userdata, const struct event *event)
{
    followers_event(userdata, event);
}

static void task_changed(void *userdata, const struct id *task)
{
    orders_changed(userdata, task);
    reaches_changed(userdata, task);
}

static void task_next(void *userdata, const struct id *task, const struct id *next,
                      const char *token)
{
    next_came(userdata, task, next, token);
}

static int listen_all(struct api *api, struct error *err)
{
    const struct api_options *o = &api->options;
    size_t n = 0;

    while (o->listen && o->listen[n])
        n++;
    api->addresses = xnew_n(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        int port = http_server_listen(api->server, o->listen[i], err);
        if (port < 0)
            return port;
        api->addresses[i] = xasprintf("%.*s:%d", (int) host_len(o->listen[i]), o->listen[i], port);
    }
    if (!o->socket)
        return 0;
    /* Anybody on this machine may connect: who has no key is known by uid. */
    return http_server_listen_unix(api->server, o->socket, 0666, err);
}

int api_start(const struct api_options *options, struct api **ret, struct error *err)
{
    _cleanup_(api_freep) struct api *api = xnew(struct api);

    api->options = *options;
    api->under_way = map_new();
    dispatch_init(api);
    int r = file_watches_new(options->loop, &api->watches, err);
    if (r < 0)
        return r;
    api->beat = loop_timer(options->loop, BEAT_S * US_PER_S, beat, api);

    const struct http_server_options server = { .loop = options->loop,
                                                .handler = dispatch_request,
                                                .userdata = api,
                                                .host_allowed = host_allowed };
    api->server = http_server_new(&server);
    r = listen_all(api, err);
    if (r < 0)
        return r;
    lifecycle_on_event(options->lifecycle, committed, api);
    const struct lifecycle_task_listener tasks = { .changed = task_changed,
                                                   .next = task_next,
                                                   .userdata = api };
    lifecycle_on_task(options->lifecycle, &tasks);
    if (options->metrics)
        metrics_on_sample(options->metrics, metrics_streams_step, api);
    *ret = take_ptr(api);
    return 0;
}

void api_free(struct api *api)
{
    if (!api)
        return;
    if (api->options.metrics)
        metrics_on_sample(api->options.metrics, NULL, NULL);
    lifecycle_on_task(api->options.lifecycle, NULL);
    orders_end(api);
    node_orders_end(api);
    next_end(api);
    storage_looks_end(api);
    ahead_end(api);
    http_server_free(api->server); /* stops every stream */
    watch_free(api->beat);
    file_watches_free(api->watches);
    tickets_free(api->tickets);
    blob_sets_free(api->blob_sets);
    vec_done(&api->port_uses);
    map_free(api->under_way);
    for (char **address = api->addresses; address && *address; address++)
        free(*address);
    free(api->addresses);
    free(api->handlers);
    free(api);
}

const char *api_address(const struct api *api, size_t i) { return api->addresses[i]; }
