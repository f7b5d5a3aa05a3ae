/* interrupt.c - Ctrl-C as a count that loops look at */
#include "cli/internal.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t interrupts;

static void on_interrupt(int signo)
{
    (void) signo;
    interrupts++;
}

void interrupt_catch(void)
{
    struct sigaction action = { .sa_handler = on_interrupt }; /* no SA_RESTART: waits are to end */

    (void) sigaction(SIGINT, &action, NULL);
}

static void on_alarm(int signo) { (void) signo; }

void interrupt_beat(unsigned seconds)
{
    struct sigaction action = { .sa_handler = on_alarm };
    struct itimerval every = { { seconds, 0 }, { seconds, 0 } };

    (void) sigaction(SIGALRM, &action, NULL);
    (void) setitimer(ITIMER_REAL, &every, NULL);
}

void interrupt_release(void)
{
    struct itimerval never = { 0 };

    (void) setitimer(ITIMER_REAL, &never, NULL);
    (void) signal(SIGINT, SIG_DFL);
    interrupts = 0;
}

unsigned interrupt_count(void) { return (unsigned) interrupts; }
