/* settings.h - what the operator decided, and where each value came from
 *
 * Flags over BERTH_* environment over the file over defaults (DESIGN 6b). One table in settings.c
 * declares every setting; flags, environment names, --help and --print-config come from it.
 */
#ifndef MAIN_SETTINGS_H
#define MAIN_SETTINGS_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct settings {
    char *config;  /* the file that was read */
    char *state;   /* absolute */
    char *runtime; /* absolute */
    char *socket;  /* API's unix socket */
    char *store;   /* store URL; NULL: sqlite in the state directory */
    char *user;    /* whom the server becomes */
    char *log_level;
    char **listen;  /* API's TCP addresses, HOST:PORT; NULL-terminated like every list here */
    char **hosts;   /* Host names that are answered besides the listen addresses and localhost */
    char **blocked; /* CIDR ranges that jobs may not reach */
    char **cdi;     /* directories of CDI specifications, later ones win */
    char **dns;     /* resolvers for containers; empty: the host's */
    char *engine;   /* local or slurm */
    char *slurm_conf, *slurm_bin, *slurm_partition, *slurm_account; /* NULL: Slurm's defaults */
    char *slurm_identity;                                           /* service or account */
    char *slurm_group;
    char *slurm_prefix;
    int64_t slurm_poll, slurm_reuse, slurm_gang_wait;
    char *node_program, *home_url; /* NULL: this executable's path, the first of LISTEN */
    char *home_ca;
    char *network; /* default policy: egress or none */
    char *pool;    /* CIDR from which projects get their addresses */
    char *publish_address;
    int64_t storage_push_limit;
    char *storage; /* mounted at this path on every machine; NULL: /storage is each machine's own */
    char *nvml;    /* NVIDIA's management library */
    char *driver_root; /* where NVIDIA's driver lies */
    bool network_choice;
    bool insecure;
    bool image_opt;               /* image `host` shows /opt too */
    char **image_paths;           /* directories from which images may be taken */
    char **image_registries;      /* the only ones that may be asked; empty: any */
    char **image_plain_http;      /* registries without TLS, besides loopback */
    char *image_proxy, *image_ca; /* NULL: none */
    int64_t image_max_size, image_max_entries, image_max_ratio, image_stall, layers_max, spool_max;
    int64_t uid_first;
    int64_t reserved_cores; /* per NUMA node; -1: by the machine's size */
    int64_t reserved_memory;
    int64_t reserved_disk;
    int64_t log_limit;
    int64_t grace;
    int64_t guaranteed_time;
    int64_t max_time;
    int64_t node_timeout;
    int64_t booking_notice;
    char *scheduler_policy;
    int64_t scheduler_patience, scheduler_half_life;
    int64_t collect_interval;
    int64_t collect_grace;
    int64_t sessions_per_key;
    int64_t idempotency_keep;
    json_t *flavors; /* array of flavors; NULL: made from the machine */

    const char **origin; /* per setting of the table: "default", "file", "environment", "flag" */
};

/* ARGV are the arguments after `server`. READ_ENV looks a variable up (tests give their own);
 * -ECANCELED when --help or --print-config was answered on stdout. */
int settings_load(int argc, char **argv, const char *(*read_env)(const char *name),
                  struct settings *ret, struct error *err);
/* Values that are well formed and wrong nevertheless. */
int settings_check(const struct settings *s, struct error *err);
void settings_done(struct settings *s);

/* The result with where each value came from, as YAML with comments. */
void settings_print(const struct settings *s, struct text *out);
void settings_help(struct text *out);

#endif
