/* tenant.c - orgs, projects, keys and secrets as values */
#include "tenant/tenant.h"

#include "base/time.h"

#include <string.h>

void org_free(struct org *org)
{
    if (!org)
        return;
    free(org->name);
    free(org);
}

void project_free(struct project *project)
{
    if (!project)
        return;
    free(project->name);
    free(project->account);
    free(project);
}

void key_free(struct key *key)
{
    if (!key)
        return;
    free(key->name);
    free(key->prefix);
    free(key);
}

void secret_free(struct secret *secret)
{
    if (!secret)
        return;
    free(secret->name);
    free(secret->sealed);
    free(secret);
}

static const char *const role_names[KEY_ROLE_MAX] = {
    [KEY_ROLE_ADMIN] = "admin", [KEY_ROLE_MEMBER] = "member", [KEY_ROLE_VIEWER] = "viewer",
    [KEY_ROLE_NODE] = "node",   [KEY_ROLE_JOIN] = "join",
};

const char *key_role_name(enum key_role role)
{
    return role >= 0 && role < KEY_ROLE_MAX ? role_names[role] : NULL;
}

enum key_role key_role_parse(const char *name)
{
    for (int role = 0; role < KEY_ROLE_MAX; role++)
        if (str_equal(name, role_names[role]))
            return (enum key_role) role;
    return KEY_ROLE_INVALID;
}

bool key_role_allows(enum key_role role, enum key_role needed)
{
    /* The enum runs from the most to the least of what people may; machines are beside it. */
    return role >= 0 && role <= KEY_ROLE_VIEWER && needed >= 0 && role <= needed;
}

void key_text(const uint8_t random[static 32], char buf[static KEY_TEXT_LEN + 1])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned bits = 0, n_bits = 0;
    char *out = buf;

    memcpy(out, "berth_", 6);
    out += 6;
    for (int i = 0; i < 32; i++) {
        bits = bits << 8 | random[i];
        for (n_bits += 8; n_bits >= 6; n_bits -= 6)
            *out++ = alphabet[bits >> (n_bits - 6) & 63];
    }
    *out++ = alphabet[bits << (6 - n_bits) & 63];
    *out = '\0';
}

json_t *org_to_json(const struct org *org)
{
    json_t *json = json_object();

    json_put_id(json, "id", &org->id);
    json_put_str(json, "name", org->name);
    json_put_int(json, "weight", org->weight);
    json_put_time(json, "created", org->created_us);
    return json;
}

json_t *project_to_json(const struct project *project)
{
    json_t *json = json_object();

    json_put_id(json, "id", &project->id);
    json_put_id(json, "org", &project->org);
    json_put_str(json, "name", project->name);
    json_put_int(json, "weight", project->weight);
    json_put_str(json, "account", project->account);
    json_put_time(json, "created", project->created_us);
    return json;
}

json_t *key_to_json(const struct key *key)
{
    json_t *json = json_object();

    json_put_id(json, "id", &key->id);
    json_put_id(json, "project", &key->project);
    json_put_str(json, "name", key->name);
    json_put_str(json, "prefix", key->prefix);
    json_put_str(json, "role", key_role_name(key->role));
    json_put_time(json, "created", key->created_us);
    json_put_time(json, "expires", key->expires_us);
    return json;
}

json_t *secret_to_json(const struct secret *secret)
{
    json_t *json = json_object();

    json_put_id(json, "id", &secret->id);
    json_put_str(json, "name", secret->name);
    json_put_time(json, "created", secret->created_us);
    json_put_time(json, "updated", secret->updated_us);
    return json;
}
