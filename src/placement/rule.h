/* rule.h - what keeps a request from beginning */
#ifndef PLACEMENT_RULE_H
#define PLACEMENT_RULE_H

enum placement_rule {
    PLACEMENT_PLACED,
    PLACEMENT_BACKOFF, /* not before its time: another attempt */
    PLACEMENT_BEGIN,   /* the first one */
    PLACEMENT_HELD,    /* waits for something that is no hardware: its image */
    PLACEMENT_NO_CORES,
    PLACEMENT_NO_MEMORY,
    PLACEMENT_NO_HUGE_PAGES,
    PLACEMENT_NO_DISK,
    PLACEMENT_NO_GPU,
    PLACEMENT_NO_ISLAND, /* there are GPUs, and NVLink joins them to those of another org */
    PLACEMENT_NO_NUMA, /* there are GPUs, and not together with cores, memory and NICs near them */
    PLACEMENT_CORDONED,
    PLACEMENT_NOT_ALLOWED, /* the job wants other machines */
    PLACEMENT_NOT_EMPTY,   /* it wants one to itself */
    PLACEMENT_BOOKED,      /* what is free is kept for others */
    PLACEMENT_RESERVED,    /* what is free is kept for a job that goes first */
    PLACEMENT_BEHIND,      /* others go first and take what is free */
    PLACEMENT_NEVER,       /* no node could hold it even when empty */
    PLACEMENT_RULE_MAX,
};

const char *placement_rule_name(enum placement_rule rule);

#endif
