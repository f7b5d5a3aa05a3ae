/* memory.h - the tables of the store without a disk */
#ifndef STORE_MEMORY_H
#define STORE_MEMORY_H

#include "base/map.h"
#include "base/text.h"
#include "store/internal.h"

struct row {
    json_t *record;
    struct id id, project, array;
    char *name;
    int64_t created_us;
    enum workload_state state;
    VEC(struct attempt *) attempts;
    char *artifacts;
    size_t artifacts_len;
};

struct ref {
    struct id project;
    struct sha256 sum;
    int64_t used_us;
};

struct kept_manifest {
    struct ref ref;
    struct text text;
};

struct hold {
    struct id holder, project;
    struct sha256 manifest;
};

struct use_row {
    struct id dataset;
    struct dataset_use use;
};

struct backend {
    struct map *orgs, *projects, *keys, *secrets; /* by id; values are the structs */
    struct map *images;                           /* by id; values are records */
    struct map *tags, *machines, *bookings;       /* by subject; values are subject_record */
    struct map *rows;                             /* by id */
    VEC(struct event *) events;
    VEC(struct leftover) leftovers;
    struct map *refs;      /* project id + digest -> struct ref */
    struct map *manifests; /* project id + digest -> struct kept_manifest */
    VEC(struct hold) holds;
    struct map *answers;  /* scope */
    struct map *datasets; /* by id */
    VEC(struct use_row) uses;
};

#endif
