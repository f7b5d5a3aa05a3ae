/* text.c - the kernel's small texts */
#include "base/alloc.h"
#include "os/fd.h"
#include "probe/internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KERNEL_TEXT_LIMIT (1024 * 1024)

/* The value in "NAME : value" if LINE is about NAME. */
static const char *value_of(const char *line, const char *end, const char *name)
{
    size_t n = strlen(name);

    if ((size_t) (end - line) <= n || memcmp(line, name, n) != 0)
        return NULL;
    line += n;
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    if (line == end || *line != ':')
        return NULL;
    line++;
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    return line;
}

int field_find(const char *text, size_t len, const char *name, const char **ret)
{
    const char *end = text + len;

    for (const char *line = text; line < end;) {
        const char *newline = memchr(line, '\n', (size_t) (end - line));
        const char *line_end = newline ? newline : end;
        const char *value = value_of(line, line_end, name);
        if (value) {
            while (line_end > value && isspace((unsigned char) line_end[-1]))
                line_end--;
            *ret = value;
            return (int) (line_end - value);
        }
        line = newline ? newline + 1 : end;
    }
    return -ENOENT;
}

int field_kilobytes(const char *text, size_t len, const char *name, int64_t *ret_bytes)
{
    char number[24];
    const char *value;
    long long kilobytes;

    int n = field_find(text, len, name, &value);
    if (n < 4 || n - 3 >= (int) sizeof number || memcmp(value + n - 3, " kB", 3) != 0)
        return -EINVAL;
    memcpy(number, value, (size_t) n - 3);
    number[n - 3] = '\0';
    if (str_to_i64(number, 0, INT64_MAX / 1024, &kilobytes) < 0)
        return -EINVAL;
    *ret_bytes = kilobytes * 1024;
    return 0;
}

static int read_text(struct text *ret, const char *path)
{
    int r = file_read(AT_FDCWD, path, KERNEL_TEXT_LIMIT, ret, NULL);
    if (r < 0)
        return r;
    while (ret->len > 0 && isspace((unsigned char) ret->data[ret->len - 1]))
        ret->data[--ret->len] = '\0';
    return 0;
}

int kernel_text(struct text *ret, const char *directory, const char *fmt, ...)
{
    _cleanup_text_ struct text path = { 0 };
    va_list ap;

    text_addf(&path, "%s/", directory);
    va_start(ap, fmt);
    text_addv(&path, fmt, ap);
    va_end(ap);
    return read_text(ret, path.data);
}

long long kernel_number(const char *directory, const char *fmt, ...)
{
    _cleanup_text_ struct text path = { 0 };
    _cleanup_text_ struct text text = { 0 };
    long long number;
    va_list ap;

    text_addf(&path, "%s/", directory);
    va_start(ap, fmt);
    text_addv(&path, fmt, ap);
    va_end(ap);
    if (read_text(&text, path.data) < 0 || str_to_i64(text_str(&text), 0, INT64_MAX, &number) < 0)
        return -1;
    return number;
}

char *pcie_path_of(const char *target)
{
    const char *p = strstr(target, "/devices/pci");
    struct text path = { 0 };

    if (!p)
        return NULL;
    p += strlen("/devices/");
    /* Host bridge, root port, then each switch with its upstream and its downstream port, then the device. */
    for (unsigned i = 0;; i++) {
        size_t n = strcspn(p, "/");
        if (!p[n])
            break;
        if (i == 0 || (i > 1 && i % 2 == 0)) {
            text_add(&path, path.len ? "/" : "");
            text_add_bytes(&path, p, n);
        }
        p += n + 1;
    }
    return path.len ? text_take(&path) : NULL;
}

char *pcie_path(const char *sys, const char *address)
{
    _cleanup_free_ char *link = xasprintf("%s/bus/pci/devices/%s", sys, address);
    char target[512];
    ssize_t n = readlink(link, target, sizeof target - 1);

    if (n <= 0)
        return NULL;
    target[n] = '\0';
    return pcie_path_of(target);
}
