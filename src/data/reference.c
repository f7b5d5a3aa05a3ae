/* reference.c - names of images, after the grammar of distribution/reference
 *
 *     [REGISTRY/]REPOSITORY[:TAG][@sha256:HEX]
 *
 * The first part is a registry when it has a '.' or a ':' in it or is `localhost`; without one the
 * default registry is meant, there with `library/` before a name of one part.
 */
#include "data/image.h"

#include "base/alloc.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { TAG_MAX = 128, REPOSITORY_MAX = 255, REGISTRY_MAX = 255 };

static bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

/* Lower-case letters and digits, with one '.', one or two '_' or any number of '-' between. */
static bool component_is_valid(const char *s, size_t len)
{
    size_t i = 0;

    while (i < len) {
        if (!is_lower_alnum(s[i]))
            return false;
        while (i < len && is_lower_alnum(s[i]))
            i++;
        if (i == len)
            return true;
        size_t n = 0;
        while (i + n < len && s[i + n] == s[i] && strchr("._-", s[i]))
            n++;
        if (n == 0 || (s[i] == '.' && n > 1) || (s[i] == '_' && n > 2))
            return false;
        i += n;
    }
    return false;
}

static bool repository_is_valid(const char *s)
{
    if (strlen(s) > REPOSITORY_MAX)
        return false;
    for (;;) {
        size_t n = strcspn(s, "/");
        if (!component_is_valid(s, n))
            return false;
        if (!s[n])
            return true;
        s += n + 1;
    }
}

static bool tag_is_valid(const char *s)
{
    size_t n = strlen(s);

    if (n == 0 || n > TAG_MAX || *s == '.' || *s == '-')
        return false;
    for (; *s; s++)
        if (!(isalnum((unsigned char) *s) && (unsigned char) *s < 0x80) && !strchr("._-", *s))
            return false;
    return true;
}

/* Letters, digits, '-' and single '.', neither first nor last. */
static bool host_is_valid(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool plain = (unsigned char) s[i] < 0x80 && isalnum((unsigned char) s[i]);
        bool mark = (s[i] == '.' || s[i] == '-') && i > 0 && i + 1 < len && s[i - 1] != '.';
        if (!plain && !mark)
            return false;
    }
    return len > 0;
}

/* "[" an IPv6 address "]"; its length, 0 when it is none. */
static size_t bracketed(const char *s)
{
    size_t n = 1 + strspn(s + 1, "0123456789abcdefABCDEF:.");

    return n > 2 && s[n] == ']' ? n + 1 : 0;
}

bool image_registry_is_valid(const char *registry)
{
    bool is_v6 = *registry == '[';
    size_t host = is_v6 ? bracketed(registry) : strcspn(registry, ":");
    long long port;

    if (host == 0 || strlen(registry) > REGISTRY_MAX || (!is_v6 && !host_is_valid(registry, host)))
        return false;
    return !registry[host] ||
           (registry[host] == ':' && isdigit((unsigned char) registry[host + 1]) &&
            str_to_i64(registry + host + 1, 1, 65535, &port) == 0);
}

static bool looks_like_registry(const char *s, size_t len)
{
    return memchr(s, '.', len) || memchr(s, ':', len) ||
           (len == strlen("localhost") && strncmp(s, "localhost", len) == 0);
}

/* Cut "@sha256:HEX" off TEXT. */
static int cut_digest(char *text, struct image_reference *ret, struct error *err)
{
    char *at = strchr(text, '@');

    if (!at)
        return 0;
    *at++ = '\0';
    if (!str_starts(at, "sha256:") || sha256_parse(at + 7, &ret->digest) < 0)
        return error_set(err, -EINVAL,
                         "image: '@%.80s' must be @sha256: and 64 lower-case hex digits", at);
    ret->has_digest = true;
    return 0;
}

static int parse_registry(const char *text, struct image_reference *ret, struct error *err)
{
    _cleanup_free_ char *copy = xstrdup(text);
    int r = cut_digest(copy, ret, err);
    if (r < 0)
        return r;

    char *rest = copy, *slash = strchr(copy, '/');
    if (slash && looks_like_registry(copy, (size_t) (slash - copy))) {
        *slash = '\0';
        rest = slash + 1;
        if (!image_registry_is_valid(copy))
            return error_set(err, -EINVAL, "image: '%.80s' is not a registry HOST[:PORT]", copy);
        ret->registry = xstrdup(copy);
        ret->named_registry = true;
    }
    char *colon = strrchr(rest, ':');
    if (colon && !strchr(colon, '/')) {
        *colon++ = '\0';
        if (!tag_is_valid(colon))
            return error_set(err, -EINVAL,
                             "image: tag '%.80s' must be 1 to %d letters, digits, '_', '.' and '-'",
                             colon, TAG_MAX);
        ret->tag = xstrdup(colon);
    }
    if (!ret->registry)
        ret->registry = xstrdup(REGISTRY_DEFAULT);
    bool official = str_equal(ret->registry, REGISTRY_DEFAULT) && !strchr(rest, '/');
    ret->repository = official ? xasprintf("library/%s", rest) : xstrdup(rest);
    if (!repository_is_valid(ret->repository))
        return error_set(err, -EINVAL,
                         "image: '%.80s' is not a name such as python:3.12 or "
                         "registry.example/team/name:tag (lower case)",
                         text);
    if (!ret->tag && !ret->has_digest)
        ret->tag = xstrdup("latest");
    return 0;
}

/* PATH[:TAG], of a layout or an archive on the server's machine. */
static int parse_path(const char *text, struct image_reference *ret, struct error *err)
{
    const char *colon = strrchr(text, ':');
    const char *tag = colon && !strchr(colon, '/') ? colon + 1 : NULL;

    if (text[0] != '/' || strstr(text, "/../") || str_ends(text, "/.."))
        return error_set(err, -EINVAL,
                         "image: path '%.80s' must be absolute, on the server's machine", text);
    ret->path = xstrndup(text, tag ? (size_t) (colon - text) : strlen(text));
    if (tag && ret->kind != REFERENCE_DOCKER_ARCHIVE && !tag_is_valid(tag))
        return error_set(err, -EINVAL, "image: '%.80s' is no tag", tag);
    ret->tag = xstrdup(tag);
    return 0;
}

static const struct {
    const char *prefix;
    enum reference_kind kind;
} transports[] = {
    { "oci:", REFERENCE_OCI },
    { "oci-archive:", REFERENCE_OCI_ARCHIVE },
    { "docker-archive:", REFERENCE_DOCKER_ARCHIVE },
};

int image_reference_parse(const char *text, struct image_reference *ret, struct error *err)
{
    int r;

    *ret = (struct image_reference){ .kind = REFERENCE_REGISTRY };
    if (str_equal(text, "host")) {
        ret->kind = REFERENCE_HOST;
        return 0;
    }
    if (strlen(text) > REFERENCE_LEN_MAX)
        return error_set(err, -EINVAL, "image: is longer than %d bytes", REFERENCE_LEN_MAX);
    if (str_starts(text, "docker://"))
        text += strlen("docker://");
    const char *path = NULL;
    for (size_t i = 0; i < sizeof transports / sizeof *transports; i++) {
        if (!str_starts(text, transports[i].prefix))
            continue;
        ret->kind = transports[i].kind;
        path = text + strlen(transports[i].prefix);
    }
    r = path ? parse_path(path, ret, err) : parse_registry(text, ret, err);
    if (r < 0)
        image_reference_done(ret);
    return r;
}

char *image_reference_format(const struct image_reference *ref)
{
    char hex[SHA256_HEX_LEN + 1];
    struct text t = { 0 };

    if (ref->kind == REFERENCE_HOST)
        return xstrdup("host");
    for (size_t i = 0; i < sizeof transports / sizeof *transports; i++)
        if (transports[i].kind == ref->kind)
            text_addf(&t, "%s%s", transports[i].prefix, ref->path);
    if (ref->kind == REFERENCE_REGISTRY)
        text_addf(&t, "%s/%s", ref->registry, ref->repository);
    if (ref->tag)
        text_addf(&t, ":%s", ref->tag);
    if (ref->has_digest)
        text_addf(&t, "@sha256:%s", sha256_format(&ref->digest, hex));
    return text_take(&t);
}

void image_reference_done(struct image_reference *ref)
{
    free(ref->registry);
    free(ref->repository);
    free(ref->tag);
    free(ref->path);
    *ref = (struct image_reference){ 0 };
}
