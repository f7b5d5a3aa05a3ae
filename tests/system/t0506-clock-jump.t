#!/bin/sh
test_description='the clock of the machine jumps, a day on and two back: nothing ends early, nothing runs backwards'
. "$(dirname "$0")/lib.sh"
berth_needs_root
command -v gcc >/dev/null || {
    skip_all='needs gcc for a clock of its own'
    test_done
}

# What the server and its supervisors take for the time of day; the time since boot stays as it is.
cat >clock.c <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long long offset(void)
{
    static const volatile long long *shared;
    if (!shared) {
        int fd = open(getenv("CLOCK_OFFSET"), O_RDONLY | O_CLOEXEC);
        void *p = mmap(NULL, sizeof *shared, PROT_READ, MAP_SHARED, fd, 0);
        if (fd < 0 || p == MAP_FAILED)
            abort();
        (void) close(fd);
        shared = p;
    }
    return *shared;
}
int clock_gettime(clockid_t id, struct timespec *ts)
{
    int r = (int) syscall(SYS_clock_gettime, id, ts);
    if (r == 0 && id == CLOCK_REALTIME)
        ts->tv_sec += offset();
    return r;
}
int gettimeofday(struct timeval *tv, void *zone)
{
    struct timespec ts;
    (void) zone;
    (void) clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec, tv->tv_usec = ts.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *ret)
{
    struct timespec ts;
    (void) clock_gettime(CLOCK_REALTIME, &ts);
    return ret ? *ret = ts.tv_sec : ts.tv_sec;
}
END

CLOCK_OFFSET=$BERTH_TEST/clock
export CLOCK_OFFSET
# jump SECONDS: from the true time
jump() {
    /usr/bin/python3 -c 'import struct, sys; f = open(sys.argv[2], "r+b"); f.write(struct.pack("q", int(sys.argv[1])))' "$1" "$CLOCK_OFFSET"
}
# Under a server of its own clock; ASan wants to be first and need not be.
server() {
    ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-} LD_PRELOAD=$BERTH_TEST/clock.so berth_server
}
has() { api GET "/v1/projects/lab/jobs/$1" | jq -e "$2" >/dev/null; }

test_expect_success 'a server with a clock of its own' '
    gcc -shared -fPIC -o "$BERTH_TEST/clock.so" clock.c && truncate -s 8 "$CLOCK_OFFSET" && chmod 644 "$CLOCK_OFFSET" &&
    chmod 755 "$BERTH_TEST/clock.so" && server && berth init --org acme --project lab --key test
'

test_expect_success 'jobs run: one that may for a minute, one that waits for its second try' '
    berth run --source none --detach --name limited --flavor cpu.shared --max-time 60 -- sleep 1000 &&
    berth run --source none --detach --name again --flavor cpu.shared --retries 1 --backoff 3 -- \
        sh -c "test \$BERTH_ATTEMPT = 2" &&
    await 20 has limited ".state == \"running\"" && await 20 has again ".attempts == 1 and .state == \"queued\""
'

test_expect_success 'a day passes in a moment: the server sees it' '
    jump 86400 && berth run --source none --name day --flavor cpu.shared -- true &&
    today=$(date -u +%F) && api GET /v1/projects/lab/jobs/day | jq -r .created >created && ! grep "$today" created
'

test_expect_success 'the job with a minute runs still, and goes on over a restart' '
    has limited ".state == \"running\"" && berth_kill && server && has limited ".state == \"running\""
'

test_expect_success 'two days back: jobs run, retries come, and none takes longer than it did' '
    jump -86400 && berth run --source none --name back --flavor cpu.shared -- true &&
    await 20 has again ".state == \"succeeded\" and .attempts == 2" && has limited ".state == \"running\"" &&
    api GET "/v1/projects/lab/jobs/back/attempts" >attempts &&
    jq -e ".items[0].usage.duration_seconds | . >= 0 and . < 30" attempts
'

test_expect_success 'also for a server that begins in the past' '
    berth_kill && server && berth run --source none --name past --flavor cpu.shared -- true &&
    berth run --source none --name tries --flavor cpu.shared --retries 1 --backoff 1 -- sh -c "test \$BERTH_ATTEMPT = 2" &&
    has limited ".state == \"running\"" && berth stop --grace 0 --wait limited &&
    has limited ".state == \"stopped\" and .attempts == 1"
'

test_expect_success 'events never run backwards, and rows are their fold' '
    api GET "/v1/projects/lab/events?limit=500" | jq -r ".items[].time" >times &&
    test "$(wc -l <times)" -gt 15 && sort -c times && berth_stop && berth store verify
'

test_done
