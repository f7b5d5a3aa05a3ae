/* url.c - percent-encoding and the kinds of URL that Berth connects to; pure */
#include "http/http.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -EINVAL;
}

int url_decode(const char *s, size_t len, bool plus, struct text *out)
{
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (c == '+' && plus) {
            c = ' ';
        } else if (c == '%') {
            int high = i + 2 < len ? hex_value(s[i + 1]) : -EINVAL;
            int low = high < 0 ? high : hex_value(s[i + 2]);
            if (low < 0 || high * 16 + low == 0)
                return -EINVAL;
            c = (char) (high * 16 + low);
            i += 2;
        }
        text_add_char(out, c);
    }
    return 0;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void url_encode(struct text *out, const char *s, bool slash)
{
    for (; *s; s++)
        if (is_unreserved(*s) || (slash && *s == '/'))
            text_add_char(out, *s);
        else
            text_addf(out, "%%%02X", (unsigned char) *s);
}

static int refuse(const char *s, struct error *err)
{
    return error_set(err, -EINVAL,
                     "'%s' is not of the form http://HOST[:PORT], https://HOST[:PORT] or unix:PATH",
                     s);
}

static bool is_host(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_unreserved(s[i]) && s[i] != ':' && s[i] != '[' && s[i] != ']')
            return false;
    return len > 0;
}

int url_parse(const char *s, struct url *ret, struct error *err)
{
    *ret = (struct url){ 0 };
    if (str_starts(s, "unix:")) {
        if (s[5] != '/')
            return refuse(s, err);
        ret->unix_path = xstrdup(s + 5);
        ret->host = xstrdup("localhost");
        return 0;
    }
    ret->tls = str_starts(s, "https://");
    if (!ret->tls && !str_starts(s, "http://"))
        return refuse(s, err);
    const char *host = strstr(s, "://") + 3;
    size_t len = strcspn(host, "/?#");
    if ((host[len] && strcmp(host + len, "/") != 0) || len > 255 || !is_host(host, len))
        return refuse(s, err);

    const char *bracket = memchr(host, ']', len);
    const char *colon = memrchr(host, ':', len);
    if (colon && (!bracket || colon > bracket)) {
        long long port;
        ret->port = xstrndup(colon + 1, (size_t) (host + len - colon) - 1);
        if (str_to_i64(ret->port, 1, 65535, &port) < 0) {
            url_done(ret);
            return refuse(s, err);
        }
        len = (size_t) (colon - host);
    } else {
        ret->port = xstrdup(ret->tls ? "443" : "80");
    }
    ret->host = xstrndup(host, len);
    return 0;
}

void url_done(struct url *url)
{
    xstr_set(&url->host, NULL);
    xstr_set(&url->port, NULL);
    xstr_set(&url->unix_path, NULL);
}
