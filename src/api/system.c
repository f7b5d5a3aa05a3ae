/* system.c - the server itself: health, figures, version, its own description */
#include "api/internal.h"

#include "os/clock.h"

#include <stdio.h>
#include <string.h>

static void openapi(struct call *call)
{
    char tag[SHA256_HEX_LEN + 3];
    struct sha256 sum = sha256_of(declare_openapi, declare_openapi_len);
    const char *known = http_header_get(call->req, "If-None-Match");

    tag[0] = '"';
    sha256_format(&sum, tag + 1);
    memcpy(tag + 1 + SHA256_HEX_LEN, "\"", 2);
    http_add_header(call->req, "ETag", tag);
    if (known && strstr(known, tag)) {
        struct http_request *req = call_take_request(call);
        http_respond(req, 304, NULL, NULL, 0);
        return;
    }
    call_answer_text(call, 200, declare_openapi, declare_openapi_len);
}

static void health(struct call *call)
{
    static const char ok[] = "{\"status\":\"ok\"}";

    call_answer_text(call, 200, ok, sizeof ok - 1);
}

static void ready(struct call *call)
{
    struct store_health store;

    store_health(call->api->options.store, &store);
    if (store.failing)
        call_refuse(call, -EAGAIN, "the store cannot write: %s", store.text);
    else if (store.reserve_low)
        call_refuse(call, -ENOSPC, "less disk is free than the reserve: %lld bytes",
                    (long long) store.disk_free_bytes);
    else
        health(call);
}

static void version(struct call *call)
{
    json_t *answer = json_object(), *addresses = json_array();

    for (size_t i = 0; api_address(call->api, i); i++)
        (void) json_array_append_new(addresses, json_string(api_address(call->api, i)));
    json_put_str(answer, "version", BERTH_VERSION);
    json_put_str(answer, "api", "v1");
    json_put(answer, "addresses", addresses);
    call_answer(call, 200, answer);
}

/* ---- figures ---- */

static void add_family(struct text *t, const char *name, const char *type, const char *help)
{
    text_addf(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_figure(struct text *t, const char *name, const char *type, const char *help,
                       long long value)
{
    add_family(t, name, type, help);
    text_addf(t, "%s %lld\n", name, value);
}

static void add_states(struct text *t, struct store *store)
{
    uint64_t counts[WORKLOAD_STATE_MAX] = { 0 };

    store_count_states(store, counts);
    add_family(t, "berth_jobs", "gauge", "Jobs by state.");
    for (int i = 0; i < WORKLOAD_STATE_MAX; i++)
        text_addf(t, "berth_jobs{state=\"%s\"} %llu\n",
                  workload_state_name((enum workload_state) i), (unsigned long long) counts[i]);
}

static void add_store(struct text *t, struct store *store)
{
    struct store_health health;

    store_health(store, &health);
    add_figure(t, "berth_store_commits_total", "counter", "Transactions written.",
               (long long) health.commits);
    add_figure(t, "berth_store_batches_total", "counter", "Batches in those transactions.",
               (long long) health.batches);
    add_figure(t, "berth_store_backlog", "gauge", "Batches that wait for the writer.",
               (long long) health.backlog);
    add_figure(t, "berth_store_failing", "gauge", "1 while the disk refuses to be written.",
               health.failing);
    add_figure(t, "berth_store_events_total", "counter", "Events committed ever.",
               (long long) health.seq);
    add_figure(t, "berth_disk_free_bytes", "gauge", "Free bytes where the state lies.",
               (long long) health.disk_free_bytes);
}

static void add_answers(struct text *t, const struct api *api)
{
    add_family(t, "berth_http_answers_total", "counter", "Answers by class of status.");
    for (int i = 2; i < 6; i++)
        text_addf(t, "berth_http_answers_total{class=\"%dxx\"} %llu\n", i,
                  (unsigned long long) api->answers[i]);
    add_figure(t, "berth_http_connections", "gauge", "Open connections.",
               http_server_connections(api->server));
    add_figure(t, "berth_pool_backlog", "gauge", "Blocking work that waits for a thread.",
               (long long) pool_backlog(api->options.pool));
}

static void add_nodes(struct text *t, struct lifecycle *lc)
{
    const struct node *const *nodes;
    size_t n;

    lifecycle_nodes(lc, &nodes, &n);
    add_family(t, "berth_node_cores", "gauge", "Cores of each machine.");
    for (size_t i = 0; i < n; i++)
        text_addf(t, "berth_node_cores{node=\"%s\"} %zu\n", nodes[i]->name, nodes[i]->cores.len);
    add_family(t, "berth_node_memory_bytes", "gauge", "Memory of each machine.");
    for (size_t i = 0; i < n; i++)
        text_addf(t, "berth_node_memory_bytes{node=\"%s\"} %lld\n", nodes[i]->name,
                  (long long) nodes[i]->memory_bytes);
}

static void metrics(struct call *call)
{
    struct api *api = call->api;
    _cleanup_text_ struct text t = { 0 };

    add_family(&t, "berth_build_info", "gauge", "1; the labels say what runs.");
    text_addf(&t, "berth_build_info{version=\"%s\"} 1\n", BERTH_VERSION);
    add_states(&t, api->options.store);
    add_store(&t, api->options.store);
    add_answers(&t, api);
    add_nodes(&t, api->options.lifecycle);
    add_metrics(api, &t);

    struct http_request *req = call_take_request(call);
    api->answers[2]++;
    http_respond(req, 200, "text/plain; version=0.0.4; charset=utf-8", t.data, t.len);
}

const struct api_route system_routes[] = {
    { "system.openapi", openapi }, { "system.health", health },   { "system.ready", ready },
    { "system.metrics", metrics }, { "system.version", version }, { NULL, NULL },
};
