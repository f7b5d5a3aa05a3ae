# submit.sh - how many jobs a second a server accepts
# shellcheck shell=bash

# One job holds every core, so that what follows is accepted and queued but not started.
submit_prepare() {
    berth run --detach --source none --cpus "$(nproc)" --name holder -- sleep 3600 >/dev/null
    cat >post.lua <<END
local thread_count, thread_id, count = 0, 0, 0
function setup(thread) thread:set("id", thread_count); thread_count = thread_count + 1 end
function init() thread_id = id end
function request()
  count = count + 1
  return wrk.format("POST", "/v1/projects/lab/jobs", {
    ["Content-Type"] = "application/json", ["Authorization"] = "Bearer $BERTH_KEY",
    ["Idempotency-Key"] = "bench-" .. os.time() .. "-" .. thread_id .. "-" .. count,
  }, '{"command":["true"],"cpus":1}')
end
function response(status) if status ~= 201 then wrk.thread:set("bad", (wrk.thread:get("bad") or 0) + 1) end end
END
}

# submit_rate SECONDS: durable submits a second, 32 connections
submit_rate() {
    wrk -t1 -c32 "-d$1s" -s post.lua "$BERTH_URL/" >wrk.out
    ! grep -q 'Non-2xx' wrk.out || { cat wrk.out >&2; return 1; }
    sed -n 's/^Requests\/sec: *//p' wrk.out
}
