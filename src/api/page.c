/* page.c - the console's files over HTTP
 *
 * A page may load scripts and styles from here only, talk to here only, and be framed by nobody; text never
 * becomes script, because the sinks for that are closed (trusted types). No page needs a key: keys are sent
 * by the script, with each request to the API.
 */
#include "api/dispatch.h"

#include "console/console.h"

#include <string.h>

static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

static const char *const safety[][2] = {
    { "Content-Security-Policy", policy },
    { "Referrer-Policy", "no-referrer" },
    { "Cross-Origin-Opener-Policy", "same-origin" },
    { "Cross-Origin-Resource-Policy", "same-origin" },
};

static void respond_file(struct http_request *req, const struct console_file *file)
{
    const struct console_body *body = console_choose(file, http_header_get(req, "Accept-Encoding"));
    const char *known = http_header_get(req, "If-None-Match");

    for (size_t i = 0; i < sizeof safety / sizeof *safety; i++)
        http_add_header(req, safety[i][0], safety[i][1]);
    http_add_header(req, "ETag", body->tag);
    http_add_header(req, "Vary", "Accept-Encoding");
    http_add_header(req, "Cache-Control",
                    file->immutable ? "public, max-age=31536000, immutable" : "no-cache");
    if (known && strstr(known, body->tag)) {
        http_respond(req, 304, NULL, NULL, 0);
        return;
    }
    if (body->coding)
        http_add_header(req, "Content-Encoding", body->coding);
    http_respond(req, 200, file->type, body->bytes, body->len);
}

bool page_respond(struct api *api, struct http_request *req)
{
    const char *path = http_path(req);
    bool is_top = strcmp(path, "/") == 0 || strcmp(path, "/console") == 0;
    const struct console_file *file = console_find(is_top ? "/console/" : path);

    if (!file || http_method(req) != HTTP_GET)
        return false;
    if (is_top) {
        api->answers[3]++;
        http_add_header(req, "Location", "/console/");
        http_respond(req, 302, NULL, NULL, 0);
    } else {
        api->answers[2]++;
        respond_file(req, file);
    }
    return true;
}
