/* clock.c - clocks, random bytes, boot id */
#include "os/clock.h"

#include "base/time.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts = { 0 };
    (void) clock_gettime(id, &ts);
    return ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
    static int64_t latest;
    int64_t now = read_clock(CLOCK_REALTIME);
    int64_t seen = __atomic_load_n(&latest, __ATOMIC_RELAXED);

    while (now > seen)
        if (__atomic_compare_exchange_n(&latest, &seen, now, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return now;
    return seen;
}

int64_t clock_boot_us(void) { return read_clock(CLOCK_BOOTTIME); }

const char *clock_boot_id(void)
{
    static char id[64];

    if (id[0])
        return id;
    const char *given = getenv("BERTH_BOOT_ID");
    _cleanup_text_ struct text text = { 0 };
    if (!given && file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text, NULL) == 0)
        given = text_str(&text);
    size_t n = given ? strcspn(given, "\n") : 0;
    if (n >= sizeof id)
        n = sizeof id - 1;
    if (n)
        memcpy(id, given, n);
    return id;
}

void random_bytes(void *p, size_t n)
{
    char *at = p;

    while (n) {
        ssize_t k = getrandom(at, n, 0);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            abort();
        at += k;
        n -= (size_t) k;
    }
}

/* Each id gets a microsecond of its own, so that ids sort in the order in which they were made. */
struct id id_new(void)
{
    static int64_t latest;
    uint8_t random[10];
    int64_t now = clock_now_us();
    int64_t seen = __atomic_load_n(&latest, __ATOMIC_RELAXED);
    int64_t mine;

    do
        mine = now > seen ? now : seen + 1;
    while (!__atomic_compare_exchange_n(&latest, &seen, mine, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
    random_bytes(random, sizeof random);
    return id_make(mine, random);
}
