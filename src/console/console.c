/* console.c - find a file of the console, choose its coding */
#include "console/console.h"

#include "base/text.h"

#include <string.h>
#include <strings.h>

static const char top[] = "/console/", projects[] = "/console/p/";

static const struct console_file *at(const char *path)
{
    for (const struct console_file *f = console_files; f->path; f++)
        if (str_equal(f->path, path))
            return f;
    return NULL;
}

const struct console_file *console_find(const char *path)
{
    if (strncmp(path, top, sizeof top - 1) != 0)
        return NULL;
    const struct console_file *found = at(path);
    bool is_project = strncmp(path, projects, sizeof projects - 1) == 0;
    if (found || (!is_project && strchr(strrchr(path, '/'), '.')))
        return found;
    return at("/console/index.html");
}

/* "q=0", "q=0.0", "q=0.000": not acceptable. */
static bool is_refused(const char *s, size_t len)
{
    const char *q = memchr(s, ';', len);

    if (!q)
        return false;
    for (q++; q < s + len && (*q == ' ' || *q == '\t'); q++)
        ;
    if (s + len - q < 3 || (*q != 'q' && *q != 'Q') || q[1] != '=')
        return false;
    for (q += 2; q < s + len; q++)
        if (*q != '0' && *q != '.' && *q != ' ')
            return false;
    return true;
}

static bool accepts(const char *accept, const char *coding)
{
    size_t want = strlen(coding);

    while (*accept) {
        accept += strspn(accept, ", \t");
        size_t len = strcspn(accept, ","), name = strcspn(accept, ",; \t");
        if (name == want && strncasecmp(accept, coding, want) == 0)
            return !is_refused(accept, len);
        accept += len;
    }
    return false;
}

const struct console_body *console_choose(const struct console_file *file, const char *accept)
{
    const struct console_body *body = file->bodies;

    while (body->coding && !(accept && accepts(accept, body->coding)))
        body++;
    return body;
}
