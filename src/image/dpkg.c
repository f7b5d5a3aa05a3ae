/* dpkg.c - the installed packages in /var/lib/dpkg/status (deb822, dpkg-query(1)) */
#include "image/internal.h"

#include <string.h>

struct slice {
    const char *p;
    size_t len;
};

static bool slice_is(struct slice s, const char *want)
{
    return s.len == strlen(want) && memcmp(s.p, want, s.len) == 0;
}

/* "Name: value" of one line, blanks around the value cut off; false for continuation lines. */
static bool split_field(const char *line, const char *end, struct slice *name, struct slice *value)
{
    if (line == end || *line == ' ' || *line == '\t')
        return false;
    const char *colon = memchr(line, ':', (size_t) (end - line));
    if (!colon)
        return false;
    *name = (struct slice){ line, (size_t) (colon - line) };
    const char *from = colon + 1;
    while (from < end && (*from == ' ' || *from == '\t'))
        from++;
    while (end > from && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
        end--;
    *value = (struct slice){ from, (size_t) (end - from) };
    return true;
}

static bool is_installed(struct slice status)
{
    static const char last[] = " installed";
    size_t n = sizeof last - 1;

    return status.len > n && memcmp(status.p + status.len - n, last, n) == 0;
}

struct stanza {
    struct package package;
    bool is_installed;
};

static void take_field(struct stanza *stanza, struct slice name, struct slice value)
{
    struct package *p = &stanza->package;

    if (slice_is(name, "Package")) {
        p->name = value.p;
        p->name_len = value.len;
    } else if (slice_is(name, "Version")) {
        p->version = value.p;
        p->version_len = value.len;
    } else if (slice_is(name, "Architecture")) {
        p->architecture = value.p;
        p->architecture_len = value.len;
    } else if (slice_is(name, "Status")) {
        stanza->is_installed = is_installed(value);
    }
}

static size_t end_stanza(struct stanza *stanza, package_f each, void *userdata)
{
    bool is_whole = stanza->is_installed && stanza->package.name_len && stanza->package.version_len;

    if (is_whole && each)
        each(userdata, &stanza->package);
    *stanza = (struct stanza){ 0 };
    return is_whole;
}

size_t image_parse_dpkg(const char *bytes, size_t len, package_f each, void *userdata)
{
    const char *end = bytes + len;
    struct stanza stanza = { 0 };
    size_t n = 0;

    for (const char *line = bytes; line < end;) {
        const char *newline = memchr(line, '\n', (size_t) (end - line));
        const char *line_end = newline ? newline : end;
        struct slice name, value;
        if (line == line_end)
            n += end_stanza(&stanza, each, userdata);
        else if (split_field(line, line_end, &name, &value))
            take_field(&stanza, name, value);
        line = newline ? newline + 1 : end;
    }
    return n + end_stanza(&stanza, each, userdata);
}
