/* list.c - see list.h */
#include "storage/list.h"

#include "base/field.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { MODE_MAX = 07777, FIELD_MAX = 80 };

/* ---- writing ------------------------------------------------------------------------------------------- */

static void add_sum(struct text *t, const struct sha256 *sum, bool has_one)
{
    char hex[SHA256_HEX_LEN + 1];

    text_addf(t, " %s", has_one ? sha256_format(sum, hex) : "-");
}

void storage_entry_format(struct text *t, const struct storage_entry *e)
{
    bool has_bytes = e->kind == STORAGE_FILE;

    text_addf(t, "%c %o %u", (int) e->kind, e->mode, e->uid);
    add_sum(t, &e->sum, has_bytes || e->kind == STORAGE_LINK);
    if (has_bytes)
        text_addf(t, " %" PRId64, e->size_bytes);
    else
        text_add(t, " -");
    add_sum(t, &e->base, e->has_base);
    text_add_char(t, ' ');
    field_add(t, e->path);
    if (e->kind == STORAGE_LINK) {
        text_add_char(t, ' ');
        field_add(t, e->link);
    }
    text_add_char(t, '\n');
}

/* ---- paths --------------------------------------------------------------------------------------------- */

int storage_path_check(const char *path, struct error *err)
{
    const char *part = path;

    if (strlen(path) > STORAGE_PATH_MAX)
        return error_set(err, -ENAMETOOLONG, "path '%.60s…' is longer than %d bytes", path,
                         STORAGE_PATH_MAX);
    for (;; part++) {
        size_t len = strcspn(part, "/");
        if (len == 0 || len > 255 || (len == 1 && part[0] == '.') ||
            (len == 2 && part[0] == '.' && part[1] == '.'))
            return error_set(err, -EINVAL, "path '%.150s' has a part that is no name", path);
        part += len;
        if (!*part)
            return 0;
    }
}

static int rank_of(unsigned char c) { return c == '/' ? 1 : c ? c + 1 : 0; }

int storage_path_compare(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return rank_of((unsigned char) *a) - rank_of((unsigned char) *b);
}

bool storage_path_is_below(const char *path, const char *directory)
{
    size_t len = strlen(directory);

    return strncmp(path, directory, len) == 0 && path[len] == '/';
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* Digits alone, no leading zero. */
static int number(const char *s, unsigned base, int64_t max, int64_t *ret)
{
    int64_t n = 0;

    if (!*s || (s[0] == '0' && s[1]))
        return -EINVAL;
    for (; *s; s++) {
        unsigned digit = (unsigned char) *s - (unsigned) '0';
        if (digit >= base || n > (max - (int64_t) digit) / (int64_t) base)
            return -EINVAL;
        n = n * (int64_t) base + (int64_t) digit;
    }
    *ret = n;
    return 0;
}

static int read_number(const char **p, const char *end, unsigned base, int64_t max, int64_t *ret)
{
    char buf[FIELD_MAX];

    return field_next(p, end, buf, sizeof buf) ? number(buf, base, max, ret) : -EINVAL;
}

/* 1: a digest; 0: "-". */
static int read_sum(const char **p, const char *end, struct sha256 *ret)
{
    char buf[FIELD_MAX];

    if (!field_next(p, end, buf, sizeof buf))
        return -EINVAL;
    if (strcmp(buf, "-") == 0)
        return 0;
    return sha256_parse(buf, ret) < 0 ? -EINVAL : 1;
}

static int read_size(const char **p, const char *end, bool has_one, int64_t *ret)
{
    char buf[FIELD_MAX];

    if (!field_next(p, end, buf, sizeof buf))
        return -EINVAL;
    if (!has_one)
        return strcmp(buf, "-") == 0 ? 0 : -EINVAL;
    return number(buf, 10, INT64_MAX, ret);
}

static int read_kind(const char **p, const char *end, enum storage_kind *ret)
{
    char buf[FIELD_MAX];

    if (!field_next(p, end, buf, sizeof buf) || buf[1] || !strchr("dflw", buf[0]))
        return -EINVAL;
    *ret = (enum storage_kind) buf[0];
    return 0;
}

static int read_path(const char **p, const char *end, char *buf, size_t size, const char **ret)
{
    *ret = field_next(p, end, buf, size);
    return *ret ? field_decode(buf) : -EINVAL;
}

static int read_entry(const char **p, const char *end, struct storage_strings *strings,
                      struct storage_entry *e)
{
    int64_t mode = 0, uid = 0;

    if (read_kind(p, end, &e->kind) < 0 || read_number(p, end, 8, MODE_MAX, &mode) < 0 ||
        read_number(p, end, 10, STORAGE_UIDS - 1, &uid) < 0)
        return -EINVAL;
    e->mode = (unsigned) mode;
    e->uid = (unsigned) uid;
    bool wants_sum = e->kind == STORAGE_FILE || e->kind == STORAGE_LINK;
    if (read_sum(p, end, &e->sum) != wants_sum ||
        read_size(p, end, e->kind == STORAGE_FILE, &e->size_bytes) < 0)
        return -EINVAL;
    int based = read_sum(p, end, &e->base);
    if (based < 0)
        return based;
    e->has_base = based > 0;
    int r = read_path(p, end, strings->path, sizeof strings->path, &e->path);
    if (r >= 0 && e->kind == STORAGE_LINK)
        r = read_path(p, end, strings->link, sizeof strings->link, &e->link);
    return r < 0 || *p != end || end[-1] == ' ' ? -EINVAL : 0;
}

int storage_entry_parse(const char *line, size_t len, struct storage_strings *strings,
                        struct storage_entry *ret, struct error *err)
{
    const char *p = line;

    *ret = (struct storage_entry){ 0 };
    if (read_entry(&p, line + len, strings, ret) < 0)
        return error_set(err, -EINVAL, "'%.*s' is no line of a list", len < 100 ? (int) len : 100,
                         line);
    if (ret->link && strlen(ret->link) > STORAGE_PATH_MAX)
        return error_set(err, -ENAMETOOLONG, "the target of '%.100s' is too long", ret->path);
    return storage_path_check(ret->path, err);
}

/* ---- lists --------------------------------------------------------------------------------------------- */

int storage_list_open(int fd, struct storage_list *ret, struct error *err)
{
    struct stat st;

    *ret = (struct storage_list){ 0 };
    if (fstat(fd, &st) < 0)
        return error_set(err, -errno, "a list of files: %s", strerror(errno));
    if (st.st_size == 0)
        return 0;
    void *bytes = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return error_set(err, -errno, "a list of files: %s", strerror(errno));
    *ret = (struct storage_list){ bytes, (size_t) st.st_size };
    return 0;
}

void storage_list_done(struct storage_list *list)
{
    if (list->len)
        (void) munmap((void *) (uintptr_t) list->bytes, list->len);
    *list = (struct storage_list){ 0 };
}

int storage_list_next(const struct storage_list *list, size_t *at, struct storage_strings *strings,
                      struct storage_entry *ret, struct error *err)
{
    if (*at >= list->len)
        return 0;
    const char *line = list->bytes + *at;
    const char *eol = memchr(line, '\n', list->len - *at);
    if (!eol)
        return error_set(err, -EINVAL, "a list of files ends inside a line");
    *at += (size_t) (eol - line) + 1;
    int r = storage_entry_parse(line, (size_t) (eol - line), strings, ret, err);
    return r < 0 ? r : 1;
}

/* Where the line begins that ends before AT, which is the beginning of one. */
static size_t line_before(const struct storage_list *list, size_t at)
{
    const char *eol = at > 1 ? memrchr(list->bytes, '\n', at - 1) : NULL;

    return eol ? (size_t) (eol - list->bytes) + 1 : 0;
}

int storage_list_previous(const struct storage_list *list, size_t *at,
                          struct storage_strings *strings, struct storage_entry *ret,
                          struct error *err)
{
    if (*at == 0)
        return 0;
    *at = line_before(list, *at);
    size_t there = *at;
    return storage_list_next(list, &there, strings, ret, err);
}

size_t storage_list_seek(const struct storage_list *list, const char *path,
                         struct storage_strings *strings)
{
    size_t low = 0, high = list->len; /* both beginnings of lines */

    while (low < high) {
        size_t middle = low + (high - low) / 2, next;
        struct storage_entry e;
        next = middle = line_before(list, middle + 1);
        if (storage_list_next(list, &next, strings, &e, NULL) <= 0)
            return list->len;
        if (storage_path_compare(e.path, path) < 0)
            low = next;
        else
            high = middle;
    }
    return low;
}

int storage_list_find(const struct storage_list *list, const char *path,
                      struct storage_strings *strings, struct storage_entry *ret)
{
    size_t at = storage_list_seek(list, path, strings);

    return storage_list_next(list, &at, strings, ret, NULL) > 0 && strcmp(ret->path, path) == 0;
}
