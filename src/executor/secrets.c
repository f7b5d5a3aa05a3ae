/* secrets.c - the values of the job's secrets, asked of the API with the attempt's token */
#include "executor/internal.h"

#include "base/alloc.h"
#include "http/http.h"
#include "os/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_MAX   512
#define SECRETS_MAX (8 << 20)

static int read_token(int fd, char token[static TOKEN_MAX])
{
    size_t len = 0;

    while (len < TOKEN_MAX - 1) {
        ssize_t n = read(fd, token + len, TOKEN_MAX - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t) n;
    }
    token[len] = '\0';
    return len ? 0 : -ENODATA;
}

int secrets_read(int fd, json_t **ret, struct error *err)
{
    _cleanup_text_ struct text text = { 0 };
    struct stat st;

    if (fstat(fd, &st) < 0 || st.st_size > SECRETS_MAX)
        return error_set(err, -EFBIG, "secrets: cannot be read");
    ssize_t n = pread(fd, text_reserve(&text, (size_t) st.st_size + 1), (size_t) st.st_size, 0);
    text.len = n > 0 ? (size_t) n : 0;
    int r = json_parse(text.data, text.len, ret, err);
    explicit_bzero(text.data, text.len);
    return r < 0 ? error_context(err, r, "secrets") : 0;
}

static int ask(struct http_client *client, const struct task_spec *spec, const char *token,
               struct http_response *ret, struct error *err)
{
    char id[ID_TEXT_LEN + 1];
    _cleanup_free_ char *target =
        xasprintf("/v1/attempts/%s/secrets", id_format(&spec->attempt, id));
    _cleanup_free_ char *bearer = xasprintf("Bearer %s", token);
    const char *headers[] = { "Authorization", bearer, NULL };
    struct http_call call = {
        .method = "GET", .target = target, .headers = headers, .limit = SECRETS_MAX
    };

    int r = http_client_call(client, &call, ret, err);
    explicit_bzero(bearer, strlen(bearer));
    return r;
}

int secrets_fetch(const struct task_spec *spec, int token_fd, json_t **ret, struct error *err)
{
    _cleanup_(http_client_freep) struct http_client *client = NULL;
    _cleanup_free_ char *url = xasprintf("unix:%s", spec->api_socket);
    struct http_response response = { 0 };
    char token[TOKEN_MAX];

    if (token_fd < 0)
        return error_set(err, -ENODATA, "secrets: the attempt has no token");
    int r = read_token(token_fd, token);
    if (r < 0)
        return error_set(err, r, "secrets: reading the token: %s", strerror(-r));
    r = http_client_new(url, &client, err);
    if (r >= 0)
        r = ask(client, spec, token, &response, err);
    explicit_bzero(token, sizeof token);
    if (r >= 0 && response.status != 200)
        r = error_set(err, -EACCES, "the API answered %d", response.status);
    if (r >= 0)
        r = json_parse(text_str(&response.body), response.body.len, ret, err);
    if (response.body.data)
        explicit_bzero(response.body.data, response.body.len);
    http_response_done(&response);
    return r < 0 ? error_context(err, r, "secrets") : 0;
}
