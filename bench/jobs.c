/* jobs.c - jobs from their submits to their ends, with as little work as possible on this side
 *
 *     bench-jobs COUNT COMMAND...    prints jobs a second
 *
 * Reads BERTH_URL and BERTH_KEY; the project is `lab`. Submits from 16 connections, so that commits are
 * grouped as with many people, then looks at the server's own count of what has ended.
 */
#include "base/alloc.h"
#include "base/json.h"
#include "http/http.h"
#include "os/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 16, LOOK_MS = 10 };

static const char *url, *bearer;
static char *body;

struct submitter {
    pthread_t thread;
    unsigned number, count;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "bench-jobs: %s\n", what);
    exit(1);
}

static struct http_client *connect_to_server(void)
{
    struct http_client *client = NULL;
    struct error err = { 0 };

    if (http_client_new(url, &client, &err) < 0)
        die(err.text);
    return client;
}

/* The answer's body, owned by the caller. */
static char *call(struct http_client *client, const struct http_call *request, int status)
{
    struct http_response response = { 0 };
    struct error err = { 0 };

    if (http_client_call(client, request, &response, &err) < 0)
        die(err.text);
    char *text = text_take(&response.body);
    if (response.status != status)
        die(text ? text : "an answer without words");
    http_response_done(&response);
    return text;
}

static void *submit(void *userdata)
{
    struct submitter *s = userdata;
    _cleanup_(http_client_freep) struct http_client *client = connect_to_server();

    for (unsigned i = 0; i < s->count; i++) {
        _cleanup_free_ char *key = xasprintf("bench-%d-%u-%u", (int) getpid(), s->number, i);
        const char *const headers[] = { "Authorization",
                                        bearer,
                                        "Content-Type",
                                        "application/json",
                                        "Idempotency-Key",
                                        key,
                                        NULL };
        const struct http_call post = { .method = "POST",
                                        .target = "/v1/projects/lab/jobs",
                                        .headers = headers,
                                        .body = body,
                                        .body_len = strlen(body) };
        free(call(client, &post, 201));
    }
    return NULL;
}

static unsigned count_in(const char *metrics, const char *state)
{
    _cleanup_free_ char *name = xasprintf("\nberth_jobs{state=\"%s\"} ", state);
    const char *at = strstr(metrics, name);

    return at ? (unsigned) strtoul(at + strlen(name), NULL, 10) : 0;
}

/* Jobs that have ended, durably. */
static unsigned count_ended(struct http_client *client)
{
    const char *const headers[] = { "Authorization", bearer, NULL };
    const struct http_call get = { .method = "GET", .target = "/metrics", .headers = headers };
    _cleanup_free_ char *text = call(client, &get, 200);

    if (count_in(text, "failed"))
        die("a job failed");
    return count_in(text, "succeeded");
}

static char *make_body(char **command)
{
    _cleanup_json_ json_t *json = json_object();
    json_t *words = json_array();

    for (; *command; command++)
        (void) json_array_append_new(words, json_string(*command));
    json_put(json, "command", words);
    json_put_int(json, "cpus", 1);
    return json_text(json);
}

int main(int argc, char **argv)
{
    unsigned count = argc > 2 ? (unsigned) strtoul(argv[1], NULL, 10) : 0;
    struct submitter submitters[CONNECTIONS];

    url = getenv("BERTH_URL");
    const char *key = getenv("BERTH_KEY");
    if (!count || !url || !key)
        die("usage: bench-jobs COUNT COMMAND..., with BERTH_URL and BERTH_KEY");
    _cleanup_free_ char *authorization = xasprintf("Bearer %s", key);
    bearer = authorization;
    body = make_body(argv + 2);

    _cleanup_(http_client_freep) struct http_client *client = connect_to_server();
    unsigned before = count_ended(client);
    int64_t begun = clock_boot_us();
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        submitters[i].number = i;
        submitters[i].count = (count + i) / CONNECTIONS;
        if (pthread_create(&submitters[i].thread, NULL, submit, &submitters[i]) != 0)
            die("no thread");
    }
    for (unsigned i = 0; i < CONNECTIONS; i++)
        (void) pthread_join(submitters[i].thread, NULL);
    while (count_ended(client) - before < count)
        (void) nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * 1000000L }, NULL);
    printf("%f\n", (double) count / ((double) (clock_boot_us() - begun) / 1e6));
    free(body);
    return 0;
}
