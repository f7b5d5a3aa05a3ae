#include "base/id.h"

#include "base/text.h"
#include "base/time.h"

#include <errno.h>
#include <string.h>

const struct id id_none;

/* Positions of the dashes in 8-4-4-4-12. */
static bool is_dash(size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

struct id id_make(int64_t now_us, const uint8_t random[static 10])
{
    uint64_t ms = (uint64_t) (now_us / US_PER_MS);
    struct id id;

    for (size_t i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t) (ms >> (40 - 8 * i));
    memcpy(id.bytes + 6, random, 10);
    /* The microseconds as a fraction of 4096 in rand_a (RFC 9562, section 6.2, method 3): ids made
     * one after the other sort so, also within a millisecond. */
    unsigned fraction = (unsigned) (now_us % US_PER_MS * 4096 / US_PER_MS);
    id.bytes[6] = (uint8_t) (0x70 | fraction >> 8); /* version 7 */
    id.bytes[7] = (uint8_t) fraction;
    id.bytes[8] = (uint8_t) (0x80 | (id.bytes[8] & 0x3f)); /* variant 10 */
    return id;
}

struct id id_within(const struct id *in, const char *name)
{
    const unsigned __int128 prime = (unsigned __int128) 1 << 88 | 0x13b;
    unsigned __int128 hash = (unsigned __int128) 0x6c62272e07bb0142 << 64 | 0x62b821756295c58d;
    struct id id;

    for (size_t i = 0; i < sizeof in->bytes; i++)
        hash = (hash ^ in->bytes[i]) * prime;
    for (; *name; name++)
        hash = (hash ^ (uint8_t) *name) * prime;
    for (size_t i = 0; i < sizeof id.bytes; i++)
        id.bytes[i] = (uint8_t) (hash >> (120 - 8 * i));
    return id;
}

const char *id_format(const struct id *id, char buf[static ID_TEXT_LEN + 1])
{
    char hex[33];

    hex_encode(id->bytes, sizeof id->bytes, hex);
    for (size_t i = 0, from = 0; i < ID_TEXT_LEN; i++)
        buf[i] = is_dash(i) ? '-' : hex[from++];
    buf[ID_TEXT_LEN] = '\0';
    return buf;
}

int id_parse(const char *text, struct id *ret)
{
    char hex[33];
    size_t n = 0;

    for (size_t i = 0; i < ID_TEXT_LEN; i++) {
        if (!text[i] || is_dash(i) != (text[i] == '-'))
            return -EINVAL;
        if (text[i] != '-')
            hex[n++] = text[i];
    }
    hex[n] = '\0';

    struct id id;
    if (text[ID_TEXT_LEN] || hex_decode(hex, id.bytes, sizeof id.bytes) < 0)
        return -EINVAL;
    *ret = id;
    return 0;
}

bool id_equal(const struct id *a, const struct id *b) { return id_compare(a, b) == 0; }

bool id_is_none(const struct id *id) { return id_equal(id, &id_none); }

int id_compare(const struct id *a, const struct id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

int64_t id_time_ms(const struct id *id)
{
    uint64_t ms = 0;

    for (size_t i = 0; i < 6; i++)
        ms = ms << 8 | id->bytes[i];
    return (int64_t) ms;
}

static bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

static const char *name_problem(const char *name)
{
    size_t len = strnlen(name, 64);
    struct id id;

    if (len == 0)
        return "is empty";
    if (len > 63)
        return "is longer than 63 characters";
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(name[i]) && !strchr("-._", name[i]))
            return "may only have a-z, 0-9, '-', '.' and '_'";
    if (!is_alnum(name[0]) || !is_alnum(name[len - 1]))
        return "must begin and end with a letter or a digit";
    if (id_parse(name, &id) == 0)
        return "has the form of an id";
    return NULL;
}

bool name_is_valid(const char *name) { return name_problem(name) == NULL; }

int name_check(const char *what, const char *name, struct error *err)
{
    const char *problem = name_problem(name);

    if (problem)
        return error_set(err, -EINVAL, "%s '%.80s' %s", what, name, problem);
    return 0;
}
