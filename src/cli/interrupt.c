/* interrupt.c - Ctrl-C as a count that loops look at */
#include "cli/internal.h"

#include <signal.h>
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

void interrupt_release(void)
{
    (void) signal(SIGINT, SIG_DFL);
    interrupts = 0;
}

unsigned interrupt_count(void) { return (unsigned) interrupts; }
