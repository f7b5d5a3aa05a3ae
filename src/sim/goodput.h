/* goodput.h - how much of the time does a large training job get on, when machines fail?
 *
 * One job on many machines. Failures come at random (a Poisson process: rate times machines), of kinds in proportion to a
 * table. A failure is detected, a machine that broke is swapped for a spare and repaired, the job restarts and does again what
 * it did since the last checkpoint. ETTR (effective training time ratio) is the time in which it got on over all time.
 *
 * The formula beside it is Meta's (Kokolis et al., "Revisiting Reliability in Large-Scale Machine Learning Research Clusters",
 * HPCA'25): (1 - N r (u + dt/2)) / (1 + w/dt). The best interval between checkpoints: Young (1974), sqrt(2 w M), and
 * Daly's (2006) higher order.
 */
#ifndef SIM_GOODPUT_H
#define SIM_GOODPUT_H

#include "base/error.h"
#include "sim/pack.h"

enum goodput_detect {
    DETECT_PROCESS_EXIT,
    DETECT_GPU_LOST,
    DETECT_LINK_DOWN,
    DETECT_NIC_CRASH,
    DETECT_HOST_DOWN,
    DETECT_HANG,
    DETECT_SILENT, /* wrong results */
    DETECT_MAX,
};
/* "gpu_lost" */
const char *goodput_detect_name(enum goodput_detect detect);

/* Seconds. */
struct goodput_times {
    double detect[DETECT_MAX];
    double swap;     /* of a machine, once there is a spare */
    double restart;  /* of the job */
    double interval; /* between checkpoints */
    double stall;    /* of training while one is taken */
    double repair;   /* until a broken machine is a spare again */
};
/* With an agent on every machine: what is detected in seconds (ByteRobust, SOSP'25: 2 to 60 s), 5 minutes between checkpoints with
 * 2 s of stall, 60 s restart, 10 s swap, 24 h repair. */
extern const struct goodput_times goodput_defaults;

/* A kind of failure. */
struct goodput_kind {
    double share;
    enum goodput_detect detect;
    bool swaps; /* a machine is broken */
};

struct goodput_mix {
    struct goodput_kind *items; /* a vec */
    size_t len, cap;
};

/* Columns component, count and, if need be, assumed_action (restart_in_place: nothing broke), assumed_detect_class. Without the last
 * a failure is found as a lost GPU is. */
int goodput_read(const struct pack_file *file, struct goodput_mix *ret, struct error *err);

struct goodput_options {
    unsigned nodes, seeds;
    int spares;  /* -1: as many as it takes */
    double rate; /* failures of a machine in a second */
    double days;
    struct goodput_times times;
};

struct goodput_figures {
    double ettr, ettr_sd; /* mean over the seeds, and what they spread */
    double formula;
    double failures, swaps, waits; /* a run: waits for a spare */
    double lost_detect, lost_swap, lost_wait, lost_restart, lost_again,
        lost_stall; /* of all time */
    unsigned spares_p99,
        spares_p999;    /* so many are under repair at most in 99 (99.9) % of the time */
    double young, daly; /* the best interval, seconds */
};

void goodput_run(const struct goodput_options *options, const struct goodput_mix *mix,
                 struct goodput_figures *ret);

#endif
