/* dataset.h - a named sequence of immutable trees: its versions, how people name them, how events
 * change it
 *
 * A version is a manifest, and the digest of the manifest's canonical bytes is its digest: equal trees
 * have equal digests everywhere. Numbers count from 1 and are never given twice.
 */
#ifndef DATA_DATASET_H
#define DATA_DATASET_H

#include "base/event.h"
#include "base/vec.h"
#include "data/data.h" /* which ends by including this */

#define DATASET_MESSAGE_MAX 4096

struct dataset_version {
    unsigned number;
    struct sha256 manifest;
    int64_t files; /* entries, links included */
    int64_t size_bytes;
    int64_t created_us;
    char *message; /* NULL: none */
    char *actor;   /* who made it */
    json_t *tags;  /* object of strings, never NULL */
    struct id job; /* whose output it is; id_none: it was pushed */
    char *job_name;
};

struct dataset {
    struct id id, project;
    char *name;
    json_t *tags; /* object of strings, never NULL */
    int64_t created_us, updated_us;
    uint64_t changes;                     /* events folded so far: the ETag */
    unsigned last;                        /* the highest number given so far */
    VEC(struct dataset_version) versions; /* by number; deleted ones are missing */
};

void dataset_free(struct dataset *d);
DEFINE_CLEANUP(struct dataset *, dataset_free);

/* NULL: there is none. The last is the newest that is left. */
const struct dataset_version *dataset_newest(const struct dataset *d);
const struct dataset_version *dataset_version(const struct dataset *d, unsigned number);

/* Without versions; and one version. What the API shows, and what stores keep: every field is there. */
json_t *dataset_to_json(const struct dataset *d);
int dataset_from_json(const json_t *json, struct dataset **ret, struct error *err);
json_t *dataset_version_to_json(const struct dataset_version *v);
/* Adds it to D, in order of the numbers. */
int dataset_add_version(struct dataset *d, const json_t *json, struct error *err);

/* ---- NAME, NAME@3, NAME@sha256:DIGEST (eight digits of it or more) ------------------------------ */

struct dataset_ref {
    char name[64];
    unsigned number;                 /* 0: not by number */
    char digest[SHA256_HEX_LEN + 1]; /* "": not by digest; the beginning of it */
};

int dataset_ref_parse(const char *text, struct dataset_ref *ret, struct error *err);
/* The version of D that REF means, the newest when it says none; of equal trees the newest. -ENOENT, or
 * -EEXIST when the digits fit several. */
int dataset_resolve(const struct dataset *d, const struct dataset_ref *ref,
                    const struct dataset_version **ret, struct error *err);

/* ---- events -------------------------------------------------------------------------------------- */

enum dataset_event {
    DATASET_CREATED,         /* data: name */
    DATASET_VERSION_ADDED,   /* data: number, manifest, files, size, message, tags, job, job_name */
    DATASET_UPDATED,         /* data: tags, whole; with number: of that version */
    DATASET_VERSION_DELETED, /* data: number */
    DATASET_DELETED,         /* the rows go, the event stays */
    DATASET_EVENT_MAX,
};

/* "dataset.created", … */
const char *dataset_event_name(enum dataset_event type);
/* Fold EVENT into *D: DATASET_CREATED makes it (NULL before), DATASET_DELETED frees it and sets NULL.
 * -EPROTO for what cannot happen to it: nothing is changed then. */
int dataset_apply(struct dataset **d, const struct event *event, struct error *err);

#endif
