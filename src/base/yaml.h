/* yaml.h - YAML (libyaml) into the same JSON tree, with limits
 *
 * Core schema of YAML 1.2 for plain scalars (null, true, false, integers, floats); every other
 * scalar is a string. Anchors and aliases are refused (they make small files huge), as are
 * duplicate keys, several documents, tags and depth beyond JSON_MAX_DEPTH. JSON is a subset and parses too.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/json.h"

int yaml_parse(const char *bytes, size_t len, json_t **ret, struct error *err);
/* The tree as block-style YAML, for `-o yaml`; owned by the caller. */
char *yaml_text(const json_t *json);

#endif
