/* auth.c - who asks, and may they?
 *
 * A key is looked up by its digest in lifecycle's table, which holds all keys in memory: that is the
 * cache, and a deleted key is gone with the commit. Nothing is compared byte by byte, so nothing leaks
 * by time.
 */
#include "api/session.h"

#include "os/clock.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_local_admin(const struct call *call)
{
    int64_t uid = http_peer_uid(call->req);

    return uid == 0 || (uid > 0 && uid == (int64_t) call->api->options.admin_uid);
}

static int check_key(struct call *call, const char *header, struct error *err)
{
    if (strncasecmp(header, "Bearer ", 7) != 0)
        return error_set(err, -EKEYREJECTED, "write Authorization: Bearer KEY");

    struct sha256 sum = sha256_of(header + 7, strlen(header + 7));
    const struct key *key = lifecycle_key(call->api->options.lifecycle, &sum);
    if (!key)
        return error_set(err, -EKEYREJECTED, "this key is not known here");
    if (key->expires_us && key->expires_us <= clock_now_us())
        return error_set(err, -EKEYREJECTED, "the key '%s' has expired", key->name);
    call->role = key->role;
    call->key_project = key->project;
    (void) snprintf(call->actor, sizeof call->actor, "key:%s", key->name);
    return 0;
}

/* Of a page that opens a WebSocket. */
static bool check_ticket(struct call *call)
{
    struct ticket ticket;

    if (!tickets_take(call->api, call->req, &ticket))
        return false;
    call->role = ticket.role;
    call->key_project = ticket.key_project;
    call->ticket_job = ticket.job;
    memcpy(call->actor, ticket.actor, sizeof call->actor);
    return true;
}

static int identify(struct call *call, struct error *err)
{
    const char *header = http_header_get(call->req, "Authorization");

    if (header)
        return check_key(call, header, err);
    if (call->endpoint->status == 101 && check_ticket(call))
        return 0;
    if (!is_local_admin(call))
        return error_set(err, -EKEYREJECTED, "send a key as Authorization: Bearer KEY");
    call->role = KEY_ROLE_ADMIN;
    (void) snprintf(call->actor, sizeof call->actor, "user:%lld",
                    (long long) http_peer_uid(call->req));
    return 0;
}

bool call_sees(const struct call *call, const struct id *project)
{
    return id_is_none(&call->key_project) || id_equal(&call->key_project, project);
}

static int find_project(struct call *call, struct error *err)
{
    const char *name = call_param(call, "project");
    if (!name)
        return 0;

    const struct project *project = lifecycle_project(call->api->options.lifecycle, name);
    if (!project || !call_sees(call, &project->id))
        return error_set(err, -ENOENT, "there is no project '%s'", name);
    call->project = project->id;
    return 0;
}

int auth_machine(struct call *call, enum key_role role, struct error *err)
{
    int r = identify(call, err);

    if (r < 0 || call->role == role)
        return r;
    return error_set(err, -EPERM, "this takes a key of role %s, and yours is %s",
                     key_role_name(role), key_role_name(call->role));
}

int auth_check(struct call *call, struct error *err)
{
    static const enum key_role needed[] = {
        [DECLARE_PUBLIC] = KEY_ROLE_VIEWER,
        [DECLARE_VIEWER] = KEY_ROLE_VIEWER,
        [DECLARE_MEMBER] = KEY_ROLE_MEMBER,
        [DECLARE_ADMIN] = KEY_ROLE_ADMIN,
    };
    const struct declare_endpoint *e = call->endpoint;

    if (e->role == DECLARE_PUBLIC)
        return 0;
    int r = identify(call, err);
    if (r < 0)
        return r;
    /* First whether it exists for this key, then whether the key may. */
    r = find_project(call, err);
    if (r < 0)
        return r;
    if (!key_role_allows(call->role, needed[e->role]))
        return error_set(err, -EPERM, "the role %s may not do this; %s may",
                         key_role_name(call->role), key_role_name(needed[e->role]));
    if (e->cloud && !id_is_none(&call->key_project))
        return error_set(err, -EPERM, "a key of one project may not do this");
    return 0;
}
