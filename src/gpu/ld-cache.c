/* ld-cache.c - /etc/ld.so.cache: which file the loader takes for a name (glibc, sysdeps/generic/dl-cache.h)
 *
 * Version 1.1 of the format, alone or behind the old one of libc5 days. All numbers are the
 * machine's own, unaligned for all that is known of a file.
 */
#include "gpu/internal.h"

#include <errno.h>
#include <string.h>

#define OLD_MAGIC "ld.so-1.7.0"
#define NEW_MAGIC "glibc-ld.so.cache1.1"

enum { OLD_HEADER = 16, OLD_ENTRY = 12, NEW_HEADER = 48, NEW_ENTRY = 24, LIBS_MAX = 1 << 20 };

#if defined(__x86_64__)
#define KIND 0x0303u /* FLAG_X8664_LIB64 | FLAG_ELF_LIBC6 */
#elif defined(__aarch64__)
#define KIND 0x0a03u /* FLAG_AARCH64_LIB64 | FLAG_ELF_LIBC6 */
#else
#define KIND 0x0003u
#endif

static uint32_t number_at(const char *bytes)
{
    uint32_t n;

    memcpy(&n, bytes, sizeof n);
    return n;
}

/* The string at OFFSET, NULL when it does not end within. */
static const char *string_at(const char *bytes, size_t len, uint32_t offset)
{
    if (offset >= len || !memchr(bytes + offset, '\0', len - offset))
        return NULL;
    return bytes + offset;
}

static size_t new_begins(const char *bytes, size_t len)
{
    if (len < OLD_HEADER || memcmp(bytes, OLD_MAGIC, strlen(OLD_MAGIC)) != 0)
        return 0;
    uint32_t n = number_at(bytes + 12);
    if (n > LIBS_MAX)
        return len;
    size_t end = OLD_HEADER + (size_t) n * OLD_ENTRY;
    return (end + 7) / 8 * 8;
}

int ld_cache_parse(const char *bytes, size_t len, ld_cache_f each, void *userdata)
{
    size_t begin = new_begins(bytes, len);

    if (begin >= len || len - begin < NEW_HEADER ||
        memcmp(bytes + begin, NEW_MAGIC, strlen(NEW_MAGIC)) != 0)
        return -EBADMSG;
    bytes += begin;
    len -= begin;
    uint32_t n = number_at(bytes + 20);
    if (n > LIBS_MAX || (len - NEW_HEADER) / NEW_ENTRY < n)
        return -EBADMSG;
    for (uint32_t i = 0; i < n; i++) {
        const char *entry = bytes + NEW_HEADER + (size_t) i * NEW_ENTRY;
        const char *name = string_at(bytes, len, number_at(entry + 4));
        const char *path = string_at(bytes, len, number_at(entry + 8));
        if (!name || !path)
            return -EBADMSG;
        if ((number_at(entry) & 0xffff) == KIND)
            each(userdata, name, path);
    }
    return 0;
}
