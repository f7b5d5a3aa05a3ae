/* tar.c - archives of POSIX.1-2001 (pax): headers, and a reader that is fed piece by piece */
#include "base/tar.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES     100
#define RECORDS_MAX    65536
#define SIZE_MAX_OCTAL INT64_C(077777777777)

/* Where fields lie in a header. */
enum {
    AT_NAME = 0,
    AT_MODE = 100,
    AT_UID = 108,
    AT_GID = 116,
    AT_SIZE = 124,
    AT_MTIME = 136,
    AT_SUM = 148,
    AT_TYPE = 156,
    AT_TARGET = 157,
    AT_MAGIC = 257,
    AT_PREFIX = 345,
    PREFIX_BYTES = 155,
};

size_t tar_fill(int64_t size) { return (size_t) ((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK); }

/* ---- writing ------------------------------------------------------------------------------------- */

static unsigned checksum(const unsigned char *block)
{
    unsigned sum = 0;

    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += i >= AT_SUM && i < AT_SUM + 8 ? ' ' : block[i];
    return sum;
}

static void put_octal(unsigned char *at, size_t digits, int64_t value)
{
    char text[24];

    if (value < 0 || value > SIZE_MAX_OCTAL)
        value = 0;
    (void) snprintf(text, sizeof text, "%0*llo", (int) digits, (unsigned long long) value);
    memcpy(at, text, digits + 1);
}

/* Names that are too long are cut: a record before says them. */
static void put_name(unsigned char *at, const char *name)
{
    size_t len = strlen(name);

    memcpy(at, name, len < NAME_BYTES ? len : NAME_BYTES);
}

static void add_block(struct text *out, const struct tar_entry *e, char type, int64_t size)
{
    static const char magic[] = { 'u', 's', 't', 'a', 'r', '\0', '0', '0' };
    unsigned char block[TAR_BLOCK] = { 0 };

    put_name(block + AT_NAME, e->path);
    put_octal(block + AT_MODE, 7, e->mode & 07777);
    put_octal(block + AT_UID, 7, 0);
    put_octal(block + AT_GID, 7, 0);
    put_octal(block + AT_SIZE, 11, size);
    put_octal(block + AT_MTIME, 11, e->mtime_s);
    block[AT_TYPE] = (unsigned char) type;
    if (e->target)
        put_name(block + AT_TARGET, e->target);
    memcpy(block + AT_MAGIC, magic, sizeof magic);
    (void) snprintf((char *) block + AT_SUM, 8, "%06o", checksum(block));
    block[AT_SUM + 7] = ' ';
    text_add_bytes(out, block, TAR_BLOCK);
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static void add_record(struct text *records, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3, len = rest + 1;
    char digits[24];

    while (rest + (size_t) snprintf(digits, sizeof digits, "%zu", len) != len)
        len++;
    text_addf(records, "%zu %s=%s\n", len, key, value);
}

static void add_number(struct text *records, const char *key, int64_t value)
{
    char digits[24];

    (void) snprintf(digits, sizeof digits, "%lld", (long long) value);
    add_record(records, key, digits);
}

static void add_zeros(struct text *out, size_t n)
{
    static const char zeros[2 * TAR_BLOCK];

    text_add_bytes(out, zeros, n);
}

static void add_records(struct text *out, char type, const struct text *records)
{
    const struct tar_entry pax = { .path = "pax", .mode = 0644 };

    add_block(out, &pax, type, (int64_t) records->len);
    text_add_bytes(out, records->data, records->len);
    add_zeros(out, tar_fill((int64_t) records->len));
}

void tar_add_entry(struct text *out, const struct tar_entry *e)
{
    static const char types[] = { [TAR_FILE] = '0', [TAR_DIRECTORY] = '5', [TAR_LINK] = '2' };
    _cleanup_text_ struct text records = { 0 };
    int64_t size = e->kind == TAR_FILE ? e->size : 0;

    if (strlen(e->path) > NAME_BYTES)
        add_record(&records, "path", e->path);
    if (e->target && strlen(e->target) > NAME_BYTES)
        add_record(&records, "linkpath", e->target);
    if (size > SIZE_MAX_OCTAL)
        add_number(&records, "size", size);
    if (e->more)
        add_number(&records, "BERTH.more", 1);
    if (records.len)
        add_records(out, 'x', &records);
    add_block(out, e, types[e->kind], size);
}

void tar_add_total(struct text *out, int64_t bytes)
{
    _cleanup_text_ struct text records = { 0 };

    add_number(&records, "BERTH.total", bytes);
    add_records(out, 'g', &records);
}

void tar_add_end(struct text *out) { add_zeros(out, 2 * TAR_BLOCK); }

/* ---- reading ------------------------------------------------------------------------------------- */

bool tar_path_is_safe(const char *path)
{
    if (str_equal(path, "."))
        return true;
    if (!*path || strlen(path) > TAR_PATH_MAX)
        return false;
    for (const char *p = path;;) {
        size_t len = strcspn(p, "/");
        if (len == 0 || len > 255 || (len == 1 && *p == '.') ||
            (len == 2 && strncmp(p, "..", 2) == 0))
            return false;
        if (!p[len])
            return true;
        p += len + 1;
    }
}

static ssize_t refuse(struct tar_piece *ret, const char *reason)
{
    ret->reason = reason;
    return -EBADMSG;
}

/* Octal digits, ended by NUL or space; -1 when malformed. */
static int64_t get_octal(const unsigned char *at, size_t n)
{
    int64_t value = 0;
    size_t i = 0;

    while (i < n && at[i] >= '0' && at[i] <= '7')
        value = value << 3 | (at[i++] - '0');
    while (i < n && (at[i] == '\0' || at[i] == ' '))
        i++;
    return i == n ? value : -1;
}

static char *get_name(const unsigned char *at, size_t n)
{
    return xstrndup((const char *) at, strnlen((const char *) at, n));
}

struct record {
    const char *key, *value;
    size_t key_len, value_len, len; /* LEN: of the whole */
};

/* "LENGTH KEY=VALUE\n" at P; -EBADMSG when it is not there. */
static int parse_record(const char *p, size_t left, struct record *ret)
{
    char *space;

    if (*p < '1' || *p > '9')
        return -EBADMSG;
    ret->len = strtoul(p, &space, 10);
    if (*space != ' ' || ret->len > left || p + ret->len <= space + 1 || p[ret->len - 1] != '\n')
        return -EBADMSG;
    ret->key = space + 1;
    const char *end = p + ret->len - 1;
    const char *equals = memchr(ret->key, '=', (size_t) (end - ret->key));
    if (!equals)
        return -EBADMSG;
    ret->key_len = (size_t) (equals - ret->key);
    ret->value = equals + 1;
    ret->value_len = (size_t) (end - ret->value);
    return memchr(ret->value, '\0', ret->value_len) ? -EBADMSG : 0;
}

static bool is_key(const struct record *record, const char *key)
{
    return strlen(key) == record->key_len && strncmp(record->key, key, record->key_len) == 0;
}

/* Those that are not known here are of no matter. */
static void take_record(struct tar_reader *r, const struct record *record)
{
    _cleanup_free_ char *text = xstrndup(record->value, record->value_len);
    long long number = 0;
    bool is_number = str_to_i64(text, 0, INT64_MAX, &number) >= 0;

    if (is_key(record, "path")) {
        xstr_set(&r->path, text);
    } else if (is_key(record, "linkpath")) {
        xstr_set(&r->target, text);
    } else if (is_key(record, "size") && is_number) {
        r->size = number;
        r->has_size = true;
    } else if (is_key(record, "BERTH.total") && is_number) {
        r->total = number;
    } else if (is_key(record, "BERTH.more") && is_number) {
        r->more = number != 0;
    }
}

static ssize_t take_records(struct tar_reader *r, struct tar_piece *ret)
{
    for (size_t at = 0; at < r->records.len;) {
        struct record record;
        if (parse_record(r->records.data + at, r->records.len - at, &record) < 0)
            return refuse(ret, "a pax record is malformed");
        take_record(r, &record);
        at += record.len;
    }
    text_clear(&r->records);
    return 0;
}

/* Where no record said it, the header does. */
static void name_entry(struct tar_reader *r)
{
    if (!r->path && r->block[AT_PREFIX]) {
        _cleanup_free_ char *prefix = get_name(r->block + AT_PREFIX, PREFIX_BYTES);
        _cleanup_free_ char *name = get_name(r->block + AT_NAME, NAME_BYTES);
        r->path = xasprintf("%s/%s", prefix, name);
    } else if (!r->path) {
        r->path = get_name(r->block + AT_NAME, NAME_BYTES);
    }
    if (r->type == '2' && !r->target)
        r->target = get_name(r->block + AT_TARGET, NAME_BYTES);
    size_t len = strlen(r->path);
    if (r->type == '5' && len > 1 && r->path[len - 1] == '/')
        r->path[len - 1] = '\0';
}

static ssize_t begin_entry(struct tar_reader *r, struct tar_piece *ret)
{
    struct tar_entry *e = &ret->entry;

    name_entry(r);
    if (!tar_path_is_safe(r->path))
        return refuse(ret, "a path leads out of the archive");
    if (r->type == '2' && (!*r->target || strlen(r->target) > TAR_PATH_MAX))
        return refuse(ret, "a symbolic link without a target");
    ret->found = TAR_ENTRY;
    e->kind = r->type == '5' ? TAR_DIRECTORY : r->type == '2' ? TAR_LINK : TAR_FILE;
    e->path = r->path;
    e->target = r->target;
    e->size = e->kind == TAR_FILE ? r->left : 0;
    e->mode = (unsigned) get_octal(r->block + AT_MODE, 8) & 0777;
    e->mtime_s = get_octal(r->block + AT_MTIME, 12);
    e->more = r->more && e->kind == TAR_FILE;
    return 0;
}

static bool is_zero(const unsigned char *block)
{
    for (size_t i = 0; i < TAR_BLOCK; i++)
        if (block[i])
            return false;
    return true;
}

static ssize_t check_header(const struct tar_reader *r, struct tar_piece *ret)
{
    if (r->zeros || memcmp(r->block + AT_MAGIC, "ustar", 6) != 0 ||
        get_octal(r->block + AT_SUM, 8) != checksum(r->block) || r->left < 0)
        return refuse(ret, "a header is malformed");
    if (!strchr("025xg", r->type))
        return refuse(ret, "an entry that is no file, directory or symbolic link");
    return 0;
}

/* A header is complete. */
static ssize_t take_header(struct tar_reader *r, struct tar_piece *ret)
{
    r->have = 0;
    if (is_zero(r->block)) {
        r->done = ++r->zeros == 2;
        ret->found = r->done ? TAR_END : TAR_NOTHING;
        return 0;
    }
    r->left = get_octal(r->block + AT_SIZE, 12);
    r->type = (char) (r->block[AT_TYPE] ? r->block[AT_TYPE] : '0');
    ssize_t result = check_header(r, ret);
    if (result < 0)
        return result;
    bool records = r->type == 'x' || r->type == 'g';
    if (records && r->left > RECORDS_MAX)
        return refuse(ret, "pax records are too large");
    if (r->type == '0' && r->has_size)
        r->left = r->size;
    if (!records && r->type != '0' && r->left != 0)
        return refuse(ret, "content where none can be");
    r->padding = tar_fill(r->left);
    return records ? 0 : begin_entry(r, ret);
}

/* What an entry said of itself ends with the next header. */
static void forget_entry(struct tar_reader *r)
{
    if (r->type == 'x' || r->type == 'g')
        return;
    xstr_set(&r->path, NULL);
    xstr_set(&r->target, NULL);
    r->has_size = r->more = false;
}

static size_t take_content(struct tar_reader *r, const char *bytes, size_t len,
                           struct tar_piece *ret)
{
    size_t n = (int64_t) len < r->left ? len : (size_t) r->left;

    r->left -= (int64_t) n;
    if (r->type == '0') {
        ret->found = TAR_DATA;
        ret->bytes = bytes;
        ret->len = n;
    } else {
        text_add_bytes(&r->records, bytes, n);
    }
    return n;
}

static size_t take_padding(struct tar_reader *r, size_t len)
{
    size_t n = len < r->padding ? len : r->padding;

    r->padding -= n;
    return n;
}

static size_t gather_header(struct tar_reader *r, const char *bytes, size_t len)
{
    size_t n = len < TAR_BLOCK - r->have ? len : TAR_BLOCK - r->have;

    if (r->have == 0)
        forget_entry(r);
    memcpy(r->block + r->have, bytes, n);
    r->have += n;
    return n;
}

ssize_t tar_read(struct tar_reader *r, const char *bytes, size_t len, struct tar_piece *ret)
{
    size_t at = 0;
    ssize_t result = 0;

    *ret = (struct tar_piece){ .found = TAR_NOTHING };
    while (at < len && ret->found == TAR_NOTHING && result >= 0) {
        if (r->done)
            return refuse(ret, "bytes after the end");
        if (r->left > 0) {
            at += take_content(r, bytes + at, len - at, ret);
            if (r->left == 0 && r->type != '0')
                result = take_records(r, ret);
        } else if (r->padding > 0) {
            at += take_padding(r, len - at);
        } else {
            at += gather_header(r, bytes + at, len - at);
            if (r->have == TAR_BLOCK)
                result = take_header(r, ret);
        }
    }
    return result < 0 ? result : (ssize_t) at;
}

void tar_reader_done(struct tar_reader *r)
{
    text_done(&r->records);
    free(r->path);
    free(r->target);
    *r = (struct tar_reader){ 0 };
}
