/* problem.c - the only table from errno to HTTP: problem documents of RFC 9457 */
#include "api/internal.h"

#include <ctype.h>
#include <string.h>

struct problem {
    int code; /* positive errno */
    int status;
    const char *type; /* last segment of the type URI */
    const char *title;
};

static const struct problem problems[] = {
    { EINVAL, 400, "invalid", "Invalid request" },
    { EXDEV, 400, "invalid", "Invalid request" },   /* a link that leads out of its tree */
    { ENOTDIR, 400, "invalid", "Invalid request" }, /* a path below a file */
    { EKEYREJECTED, 401, "no-key", "A valid key is needed" },
    { EPERM, 403, "denied", "The key may not do this" },
    { EACCES, 403, "denied", "The key may not do this" },
    { ENOENT, 404, "not-found", "There is no such thing" },
    { EOPNOTSUPP, 405, "method", "Method not allowed here" },
    { EEXIST, 409, "exists", "It is there already" },
    { EBUSY, 409, "wrong-state", "Not in this state" },
    { ENOTUNIQ, 409, "ambiguous", "More than one is meant" },
    { EPROTO, 426, "upgrade", "WebSocket is spoken here" },
    { ESPIPE, 409, "offset", "The content goes on elsewhere" },
    { EINPROGRESS, 409, "under-way", "The same request is under way" },
    { EKEYREVOKED, 410, "gone", "It is over" },
    { ESTALE, 412, "changed", "It has changed meanwhile" },
    { E2BIG, 413, "too-large", "Too large" },
    { EFBIG, 413, "too-large", "Too large" },
    { EPROTOTYPE, 415, "media-type", "Media type not taken" },
    { ERANGE, 416, "range", "No such range" },
    { EHOSTUNREACH, 421, "host", "This host is not served here" },
    { EBADMSG, 422, "digest", "The content is not what was announced" },
    { EDOM, 422, "cannot-fit", "No machine could ever run this" },
    { EILSEQ, 422, "key-reused", "Idempotency-Key was used for another request" },
    { ENODATA, 428, "if-match", "If-Match is needed" },
    { EAGAIN, 503, "unavailable", "Not at the moment" },
    { EIO, 503, "unavailable", "Not at the moment" },
    { ENOSPC, 507, "no-space", "The disk is full" },
    { 0, 500, "internal", "The server failed" }, /* every other */
};

static const struct problem *find(int code)
{
    const struct problem *p = problems;

    while (p->code && p->code != -code)
        p++;
    return p;
}

int problem_status(int code) { return find(code)->status; }

/* Length of the field's path that refusals of declare/ begin with: "ports[0].port: …". */
static size_t field_len(const char *detail)
{
    size_t n = 0;

    while (isalnum((unsigned char) detail[n]) || (detail[n] && strchr("_.[]-", detail[n])))
        n++;
    return detail[n] == ':' && detail[n + 1] == ' ' ? n : 0;
}

char *problem_text(int code, const char *detail, int *ret_status)
{
    const struct problem *p = find(code);
    struct text t = { 0 };

    text_addf(&t, "{\"type\":\"/problems/%s\",\"title\":\"%s\",\"status\":%d", p->type, p->title,
              p->status);
    if (detail && *detail) {
        text_add(&t, ",\"detail\":");
        text_add_json_string(&t, detail, strlen(detail));
        size_t n = p->code == EINVAL ? field_len(detail) : 0;
        if (n > 0) {
            text_add(&t, ",\"field\":");
            text_add_json_string(&t, detail, n);
        }
    }
    text_add_char(&t, '}');
    *ret_status = p->status;
    return text_take(&t);
}

void problem_respond(struct api *api, struct http_request *req, int code, const char *detail)
{
    int status;
    _cleanup_free_ char *text = problem_text(code, detail, &status);

    if (status == 401)
        http_add_header(req, "WWW-Authenticate", "Bearer");
    if (status == 503)
        http_add_header(req, "Retry-After", "1");
    api->answers[status / 100]++;
    http_respond(req, status, "application/problem+json", text, strlen(text));
}
