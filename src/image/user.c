/* user.c - lines of passwd(5) and group(5) */
#include "image/user.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { FIELDS = 7, ID_MAX = 65535 };

struct record {
    const char *field[FIELDS];
    size_t len[FIELDS];
};

/* The next line as fields; NULL at the end. */
static const char *next_record(const char *p, struct record *ret)
{
    if (!*p)
        return NULL;
    size_t line = strcspn(p, "\n");
    const char *end = p + line;
    *ret = (struct record){ 0 };
    for (size_t i = 0; i < FIELDS && p <= end; i++) {
        size_t n = 0;
        while (p + n < end && p[n] != ':')
            n++;
        ret->field[i] = p;
        ret->len[i] = n;
        p += n + 1;
    }
    return *end ? end + 1 : end;
}

static bool field_is(const struct record *r, size_t i, const char *text)
{
    return r->field[i] && r->len[i] == strlen(text) && strncmp(r->field[i], text, r->len[i]) == 0;
}

static int field_id(const struct record *r, size_t i, uint32_t *ret)
{
    char text[16];
    long long id;

    if (!r->field[i] || r->len[i] == 0 || r->len[i] >= sizeof text)
        return -EINVAL;
    memcpy(text, r->field[i], r->len[i]);
    text[r->len[i]] = '\0';
    if (str_to_i64(text, 0, ID_MAX, &id) < 0)
        return -EINVAL;
    *ret = (uint32_t) id;
    return 0;
}

/* The line of NAME, or of the id that NAME is. */
static bool find(const char *text, const char *name, struct record *ret, uint32_t *ret_id)
{
    long long number = -1;
    bool is_number = str_to_i64(name, 0, ID_MAX, &number) == 0;

    while ((text = next_record(text, ret))) {
        uint32_t id;
        if (field_id(ret, 2, &id) < 0)
            continue;
        if (is_number ? id == number : field_is(ret, 0, name)) {
            *ret_id = id;
            return true;
        }
    }
    *ret_id = (uint32_t) number;
    *ret = (struct record){ 0 };
    return false;
}

static bool lists(const struct record *r, const struct record *user)
{
    const char *p = r->field[3];
    size_t left = p ? r->len[3] : 0;

    while (left > 0 && user->field[0]) {
        const char *comma = memchr(p, ',', left);
        size_t n = comma ? (size_t) (comma - p) : left;
        if (n == user->len[0] && memcmp(p, user->field[0], n) == 0)
            return true;
        if (!comma)
            break;
        p += n + 1;
        left -= n + 1;
    }
    return false;
}

static void add_groups(const char *group, const struct record *user, struct image_user *ret)
{
    struct record r;

    while ((group = next_record(group, &r)) && ret->n_groups < IMAGE_GROUPS_MAX) {
        uint32_t id;
        if (field_id(&r, 2, &id) == 0 && id != ret->gid && lists(&r, user))
            ret->groups[ret->n_groups++] = id;
    }
}

int image_user_parse(const char *user, const char *passwd, const char *group,
                     struct image_user *ret, struct error *err)
{
    _cleanup_free_ char *name = xstrdup(user && *user ? user : "0");
    char *colon = strchr(name, ':');
    struct record record, ignored;
    long long number;

    *ret = (struct image_user){ 0 };
    if (colon)
        *colon++ = '\0';
    bool known = find(passwd, name, &record, &ret->uid);
    if (!known && str_to_i64(name, 0, ID_MAX, &number) < 0)
        return error_set(err, -EINVAL, "the image's user '%.60s' is not in its /etc/passwd", name);
    if (known && record.len[5])
        ret->home = xstrndup(record.field[5], record.len[5]);
    if (colon && *colon) {
        if (!find(group, colon, &ignored, &ret->gid) && str_to_i64(colon, 0, ID_MAX, &number) < 0) {
            free(take_ptr(ret->home));
            return error_set(err, -EINVAL, "the image's group '%.60s' is not in its /etc/group",
                             colon);
        }
        return 0;
    }
    if (known && field_id(&record, 3, &ret->gid) < 0)
        ret->gid = 0;
    if (known)
        add_groups(group, &record, ret);
    return 0;
}
