#include "declare/declare.h"

#include "tests/tap.h"

#include <errno.h>

static const char *route(const char *method, const char *path, struct declare_match *match)
{
    int r = declare_route(method, path, strlen(path), match);

    return r == -ENOENT ? "unknown" : r < 0 ? "other method" : match->endpoint->name;
}

TEST(finds_endpoints)
{
    struct declare_match m;

    is_str(route("GET", "/v1/projects/p1/jobs", &m), "job.list");
    ok(m.params[0].len == 2 && memcmp(m.params[0].start, "p1", 2) == 0);
    is_str(route("POST", "/v1/projects/p1/jobs", &m), "job.create");
    is_str(route("HEAD", "/v1/projects/p1/jobs/j", &m), "job.show");
    is_str(m.endpoint->params->fields[1].name, "job");
    is_str(route("GET", "/healthz", &m), "system.health");
}

TEST(literals_win_over_parameters)
{
    struct declare_match m;

    is_str(route("POST", "/v1/projects/p/jobs/plan", &m), "job.plan");
    is_str(route("GET", "/v1/projects/p/jobs/plan", &m), "job.show");
    is_str(route("GET", "/v1/projects/p/jobs/j/artifacts.tar", &m), "artifact.tar");
}

TEST(the_rest_of_a_path)
{
    struct declare_match m;

    is_str(route("GET", "/v1/projects/p/jobs/j/artifacts/a/b/c", &m), "artifact.fetch");
    ok(m.params[2].len == 5 && memcmp(m.params[2].start, "a/b/c", 5) == 0);
    is_str(route("GET", "/v1/projects/p/jobs/j/artifacts/", &m), "unknown");
}

TEST(refusals)
{
    struct declare_match m;

    is_str(route("GET", "/", &m), "unknown");
    is_str(route("GET", "", &m), "unknown");
    is_str(route("GET", "/v1/projects/p/jobs/", &m), "unknown");
    is_str(route("GET", "/v1/projects//jobs", &m), "unknown");
    is_str(route("GET", "/v1/projects/p/jobsx", &m), "unknown");
    is_str(route("DELETE", "/v1/projects/p/jobs", &m), "other method");
    ok(m.methods == (1u << DECLARE_GET | 1u << DECLARE_POST));
    is_str(route("BREW", "/healthz", &m), "other method");
}

/* No two endpoints answer the same request. */
TEST(every_endpoint_is_reachable)
{
    for (size_t i = 0; i < declare_n_endpoints; i++) {
        const struct declare_endpoint *e = &declare_endpoints[i];
        struct declare_match m;
        _cleanup_text_ struct text path = { 0 };
        for (const char *p = e->path; *p;) {
            size_t n = strcspn(p, "{");
            text_add_bytes(&path, p, n);
            p += n;
            if (*p) {
                text_add(&path, "x1");
                p += strcspn(p, "}") + 1;
            }
        }
        is_str(route(e->method, path.data, &m), e->name);
    }
}

TAP_MAIN
