#!/bin/sh
test_description='tags: on every object, and a filter by tag in every list, with one grammar'
. "$(dirname "$0")/lib.sh"
berth_start

# Lists whose items are things of their own have an id. Parts and records of things have no tags: they are named here.
test_expect_success 'what the description of the API lists can be tagged, and found by tag' '
    api GET /openapi.json >openapi.json &&
    cat >check.py <<-\EOF &&
	import json, sys
	api = json.load(open("openapi.json"))
	schemas = api["components"]["schemas"]
	parts = {"attempt_list": "of a job", "session_list": "open connections to a job", "event_list": "records", "flavor_list": "settings", "chart_list": "of a job"}
	def follow(s):
	    while "$ref" in s:
	        s = schemas[s["$ref"].rsplit("/", 1)[1]]
	    return s
	def names(p):
	    p = api["components"]["parameters"][p["$ref"].rsplit("/", 1)[1]] if "$ref" in p else p
	    return p["name"]
	checked, bad = [], []
	for path, methods in api["paths"].items():
	    get = methods.get("get")
	    if not get:
	        continue
	    content = get["responses"].get("200", {}).get("content", {}).get("application/json")
	    ref = content and content["schema"].get("$ref", "").rsplit("/", 1)[-1]
	    whole = follow(content["schema"]) if content else {}
	    lists = [p for p in whole.get("properties", {}).values() if p.get("type") == "array"]
	    for array in lists:
	        item = follow(array["items"]).get("properties", {})
	        item = follow(item["job"]).get("properties", {}) if "job" in item and "why" in item else item
	        if "id" not in item or ref in parts or "{" in path.rsplit("/", 1)[1]:
	            continue
	        checked.append(path)
	        tag = [names(p) for p in get.get("parameters", []) + methods.get("parameters", [])]
	        if "tag" not in tag:
	            bad.append(f"{path}: no filter by tag")
	        if "tags" not in item and not path.endswith("/top"):
	            bad.append(f"{path}: items without tags")
	        one = [p for p in api["paths"] if p.startswith(path + "/{") and p.count("/") == path.count("/") + 1]
	        if not path.endswith(("/top", "/queue")) and not any(
	            "patch" in api["paths"][p] and "tags" in json.dumps(
	                follow(api["paths"][p]["patch"]["requestBody"]["content"].popitem()[1]["schema"])) for p in one):
	            bad.append(f"{path}: tags cannot be changed")
	print("\n".join(checked + bad))
	sys.exit(1 if bad or len(checked) < 9 else 0)
	EOF
    /usr/bin/python3 check.py
'

test_expect_success 'each kind is tagged, found and untagged in the same way' '
    mkdir d && echo 1 >d/a && berth dataset push corpus d && berth run --source none --name j -- true &&
    echo value | berth secret set TOKEN && berth key create ci --role viewer >/dev/null &&
    node=$(berth node list -o name) &&
    set -- org:acme project:lab key:ci secret:TOKEN dataset:corpus job:j "node:$node" &&
    for x; do
        kind=${x%%:*} name=${x#*:} &&
        berth "$kind" update "$name" --tag team=nlp --tag "note=a b=c" &&
        berth "$kind" list --tag team=nlp -o name >out && grep -q "^$name$\|-" out &&
        berth "$kind" list --tag "note=a b=c" -o json >out.json &&
        jq -e ".items | length == 1 and .[0].tags == {\"team\": \"nlp\", \"note\": \"a b=c\"}" out.json &&
        berth "$kind" list --tag team -o json | jq -e ".items | length == 1" &&
        berth "$kind" list --tag team=ml -o json | jq -e ".items == []" &&
        berth "$kind" update "$name" --untag team,note --tag x=1 &&
        berth "$kind" list --tag team -o json | jq -e ".items == []" &&
        berth "$kind" list --tag x -o json | jq -e ".items[0].tags == {\"x\": \"1\"}" || { echo "$kind" >&2; return 1; }
    done
'

test_expect_success 'tags come with what is made' '
    berth org create beta --tag stage=trial && berth org list --tag stage=trial -o json | jq -e ".items[].name == \"beta\"" &&
    berth project create other --tag cost=42 && berth project list --tag cost=42 -o json | jq -e "[.items[].name] == [\"other\"]" &&
    berth key create robot --tag use=ci >/dev/null && berth key list --tag use=ci -o json | jq -e "[.items[].name] == [\"robot\"]" &&
    echo v | berth secret set HF --tag owner=anna && echo w | berth secret set HF &&
    berth secret list --tag owner=anna -o json | jq -e "[.items[].name] == [\"HF\"]" &&
    berth run --source none --name waits --tag k=1 --detach -- sleep 60 &&
    berth queue --tag k=1 | grep waits && ! berth queue --tag k=2 | grep waits &&
    api GET "/v1/projects/lab/queue?tag=k%3D1" | jq -e ".items | length == 1" && api GET "/v1/projects/lab/queue?tag=k%3D2" | jq -e ".items == []" &&
    await 10 sh -c "berth top -o json --tag k=1 | jq -e \".jobs[].name == \\\"waits\\\"\"" && berth top -o json --tag k=2 | jq -e ".jobs == []" &&
    berth stop waits --wait
'

test_expect_success 'what no tag can be is refused' '
    test_expect_code 2 berth key update ci 2>err && grep "nothing to change" err &&
    test_expect_code 2 berth key update ci --tag "bad key=1" 2>err && grep tags err &&
    test_expect_code 2 berth secret update TOKEN --tag novalue 2>err &&
    test_expect_code 3 berth org update nobody --tag a=1 2>err &&
    test_expect_code 3 berth secret update NOTHING --tag a=1 2>err &&
    api PATCH /v1/keys/ci -d "{\"tags\": {\"a\": 1}}" | jq -e ".status == 400" &&
    api PATCH /v1/keys/ci -d "{\"name\": \"x\"}" | jq -e ".status == 400" &&
    /usr/bin/python3 -c "import json; print(json.dumps({\"tags\": {f\"k{i}\": \"\" for i in range(70)}}))" >many &&
    api PATCH /v1/keys/ci -d @many | jq -e ".status == 400"
'

test_expect_success 'they outlive the server, and go with what they are of' '
    berth_stop && berth store verify && berth_server &&
    berth key list --tag x=1 -o json | jq -e ".items | length == 1" &&
    berth node list --tag x=1 -o json | jq -e ".items | length == 1" &&
    berth key delete ci && berth key create ci >/dev/null && berth key list --tag x -o json | jq -e ".items == []" &&
    berth secret delete TOKEN && berth secret list --tag x -o json | jq -e ".items == []" &&
    api GET "/v1/projects/lab/events?limit=1000" | jq -e "[.items[] | select(.type == \"secret.updated\") | .data.tags] | .[0].team == \"nlp\""
'

test_done
