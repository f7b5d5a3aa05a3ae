/* clock.h - the clocks, the kernel's random bytes and ids made of both */
#ifndef OS_CLOCK_H
#define OS_CLOCK_H

#include "base/id.h"

#include <stddef.h>
#include <stdint.h>

/* Wall clock, microseconds since 1970 UTC, never earlier than what it returned before in this
 * process (a clock that is set back stands still until it has caught up). */
int64_t clock_now_us(void);
/* CLOCK_BOOTTIME, microseconds: for durations. */
int64_t clock_boot_us(void);
/* /proc/sys/kernel/random/boot_id, or $BERTH_BOOT_ID when set (tests simulate a reboot by it). */
const char *clock_boot_id(void);
void random_bytes(void *p, size_t n);
struct id id_new(void);

#endif
