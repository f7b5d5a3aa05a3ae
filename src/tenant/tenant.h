/* tenant.h - who owns what: orgs, projects, the keys that open them, and what is booked for them */
#ifndef TENANT_TENANT_H
#define TENANT_TENANT_H

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"

/* Each project owns one range of 65,536 uids, the same on every node, never reused (DESIGN 5b). */
#define UID_RANGE_LEN 65536u

/* Among their siblings; what `fair` goes by (placement/share.h). */
#define WEIGHT_MAX 10000u

struct org {
    struct id id;
    char *name;
    unsigned weight; /* 1 to WEIGHT_MAX */
    int64_t created_us;
};

struct project {
    struct id id;
    struct id org;
    char *name;      /* unique in the cloud: it is a URL segment */
    char *account;   /* whose its jobs are on a cluster; NULL: nobody's of its own */
    unsigned weight; /* within its org */
    unsigned range;  /* index of its uid range: base = first + range * UID_RANGE_LEN; from 0 */
    int64_t created_us;
};

enum key_role {
    KEY_ROLE_ADMIN,
    KEY_ROLE_MEMBER,
    KEY_ROLE_VIEWER,
    /* Of machines, which may nothing that the others may. */
    KEY_ROLE_NODE, /* reports what it is */
    KEY_ROLE_JOIN, /* becomes one, once */
    KEY_ROLE_MAX,
    KEY_ROLE_INVALID = -22
};

/* A bearer key is "berth_" and 43 characters of base64url (256 random bits); only its SHA-256 is
 * stored. PREFIX, the first 12 characters, lets people recognise one. */
struct key {
    struct id id;
    struct id project; /* id_none: the whole cloud */
    char *name;
    char *prefix;
    struct sha256 hash;
    enum key_role role;
    int64_t created_us;
    int64_t expires_us; /* 0: never */
};

/* A sealed value (libsodium secretbox under the server's key); the plain text never leaves
 * lifecycle and the supervisor. */
struct secret {
    struct id id;
    struct id project;
    char *name; /* [A-Za-z_][A-Za-z0-9_]{0,62} */
    uint8_t *sealed;
    size_t sealed_len;
    int64_t created_us;
    int64_t updated_us;
};

/* Machines, or GPUs of some, that are kept for a project from a time to a time. */
struct booking_record {
    struct id id;
    struct id project;
    char *name;      /* of no other of the project's that has not ended */
    unsigned nodes;  /* whole machines; 0: it is for GPUs */
    unsigned gpus;   /* 0: it is for machines */
    char *gpu_model; /* NULL: any; see gpu_is_model() */
    int64_t from_us, until_us;
    bool has_begun; /* and that was said */
    char *lacks; /* machines of it that take no work and for which no others stand in; NULL: none */
    char *actor; /* who booked it */
    int64_t created_us;
    /* What is kept. */
    struct booking_kept {
        char *node;
        uint32_t milli; /* GPU thousandths, as placement/booking.h counts */
    } * kept;
    size_t n_kept;
};

void org_free(struct org *org);
void project_free(struct project *project);
void key_free(struct key *key);
void secret_free(struct secret *secret);
void booking_record_free(struct booking_record *booking);
DEFINE_CLEANUP(struct org *, org_free);
DEFINE_CLEANUP(struct project *, project_free);
DEFINE_CLEANUP(struct key *, key_free);
DEFINE_CLEANUP(struct secret *, secret_free);
DEFINE_CLEANUP(struct booking_record *, booking_record_free);

const char *key_role_name(enum key_role role);
enum key_role key_role_parse(const char *name);
/* May ROLE do what needs NEEDED? admin > member > viewer. */
bool key_role_allows(enum key_role role, enum key_role needed);

#define KEY_TEXT_LEN (6 + 43)
/* Make the text of a key from 32 random bytes. */
void key_text(const uint8_t random[static 32], char buf[static KEY_TEXT_LEN + 1]);

/* What the API shows; never a hash or a sealed value. */
json_t *org_to_json(const struct org *org);
json_t *project_to_json(const struct project *project);
json_t *key_to_json(const struct key *key);
json_t *secret_to_json(const struct secret *secret);

/* All of it, for stores and the API; and back. -EBADMSG: it is none. */
json_t *booking_record_to_json(const struct booking_record *booking);
int booking_record_from_json(const json_t *json, struct booking_record **ret, struct error *err);
/* What is kept on NODE; 0: nothing. */
uint32_t booking_record_keeps(const struct booking_record *booking, const char *node);

#endif
