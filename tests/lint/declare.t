#!/bin/bash
# tools/gen-declare refuses declarations that are wrong, with their place
. "$(dirname "$0")/lib.sh"

declare_job() {
    rm -rf "${tree:?}"/*
    cat >"$tree/job.json" <<'JSON'
{
  "doc": "A job.",
  "types": {
    "job": { "doc": "A job.", "fields": { "name": { "type": "name", "flag": "name", "doc": "Its name." },
             "tag": { "type": "string", "pattern": "[a-z][a-z0-9-]{0,9}", "doc": "A tag." } } }
  },
  "params": { "project": { "type": "string", "doc": "The project." } },
  "endpoints": {
    "job.create": { "method": "POST", "path": "/v1/{project}/jobs", "role": "member", "summary": "Make.", "body": "job" }
  }
}
JSON
}
check() { "$tools/gen-declare" "$tree/out.c" "$tree"/*.json; }
change() {
    declare_job
    sed -i "$1" "$tree/job.json"
}

declare_job
passes 'what is right' check
change 's/"flag"/"flags"/'
refuses 'an unknown key of a field' "job.name: unknown key 'flags'" check
change 's/"type": "name"/"type": "nome"/'
refuses 'an unknown type' "unknown type 'nome'" check
change 's/{project}/{tenant}/'
refuses 'a parameter that nobody declares' "job.create: no parameter 'tenant'" check
change 's/"member"/"boss"/'
refuses 'an unknown role' "unknown role 'boss'" check
change 's/, "summary": "Make."//'
refuses 'an endpoint without a summary' "job.create: 'summary' is missing" check
change 's/\[a-z\]\[/(a|b)[/'
refuses 'a pattern beyond sets and repetition' 'only sets, literals and repetition' check
change 's/"doc": "A job."/"doc": "A job.", "doc": "Twice."/'
refuses 'a key twice' "the key 'doc' is there twice" check
declare_job
cp "$tree/job.json" "$tree/twin.json"
refuses 'a name in two files' 'is declared twice' check
finish
