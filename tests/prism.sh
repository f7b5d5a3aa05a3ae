# prism.sh - everything that a test says to the API passes a checker that was not written here
# shellcheck shell=sh disable=SC3043
#
# Sourced by server.sh where BERTH_PRISM is set (tools/check-deep prism). nginx stands in front and writes down
# what prism found about each request; what never ends (followed streams, sessions) goes by prism, which would
# wait for its end, and so do files that are sent or fetched, of which it would make text. Without --errors: many tests
# send what is wrong on purpose.

prism_tools=$BERTH_SOURCE/tests/npm/node_modules/.bin
prism_pids=

# Between clients and the server at $BERTH_PORT: BERTH_URL names the front.
prism_start() {
    [ -z "$prism_pids" ] || { export BERTH_URL="$prism_url"; return 0; }
    local dir=$BERTH_TEST/prism port front
    mkdir "$dir"
    port=$(free_port) front=$(free_port)
    curl -sf "$BERTH_URL/openapi.json" >"$dir/openapi.json" || return 1
    cat >"$dir/nginx.conf" <<-END
	daemon off; worker_processes 1; pid $dir/nginx.pid; error_log $dir/nginx.err;
	events {}
	http {
	    map "\$arg_follow:\$http_upgrade:\$request_method\$uri" \$to {
	        default $port;
	        ~^(true|1): $BERTH_PORT;
	        ~^[^:]*:[^:] $BERTH_PORT;
	        ~:PUT/.*/blobs/ $BERTH_PORT;
	        ~:POST/.*/image-archives $BERTH_PORT;
	        ~:GET/.*/(artifacts|files)/. $BERTH_PORT;
	        ~:[A-Z]+/(console|$) $BERTH_PORT;
	    }
	    map "\$http_origin" \$origin { "" ""; default http://127.0.0.1:$BERTH_PORT; }
	    log_format seen escape=none '\$status \$request_method \$request_uri \$upstream_http_sl_violations';
	    access_log $dir/seen seen;
	    client_body_temp_path $dir; proxy_temp_path $dir; fastcgi_temp_path $dir; uwsgi_temp_path $dir; scgi_temp_path $dir;
	    server {
	        listen 127.0.0.1:$front;
	        client_max_body_size 0;
	        location / {
	            proxy_pass http://127.0.0.1:\$to;
	            proxy_http_version 1.1;
	            proxy_buffering off; proxy_request_buffering off; proxy_read_timeout 1h;
	            proxy_set_header Host 127.0.0.1:$BERTH_PORT; proxy_set_header Origin \$origin;
	            proxy_set_header Upgrade \$http_upgrade; proxy_set_header Connection \$http_connection;
	        }
	    }
	}
	END
    "$prism_tools/prism" proxy "$dir/openapi.json" "$BERTH_URL" --port "$port" >"$dir/prism.log" 2>&1 &
    prism_pids=$!
    nginx -p "$dir" -c "$dir/nginx.conf" 2>"$dir/nginx.out" &
    prism_pids="$prism_pids $!"
    prism_url=http://127.0.0.1:$front
    export BERTH_URL="$prism_url"
    await 60 curl -sf "$BERTH_URL/healthz"
}

# What was accepted must be described, whoever sent it; what was refused must be refused as described. OpenAPI
# has no form for a parameter of several parts, as in artifacts/DIR/FILE and images/HOST/NAME.
prism_end() {
    local seen=$BERTH_TEST/prism/seen bad
    [ -n "$prism_pids" ] || return 0
    # shellcheck disable=SC2086  # two
    kill $prism_pids 2>/dev/null
    bad=$(awk 'NF > 3 && ($1 < 400 || /"location":\["response/)' "$seen" |
        grep -vE '/(artifacts|files|images)/.*Selected route not found' | sort -u)
    echo "# prism looked at $(wc -l <"$seen") requests" >&2
    [ -n "$bad" ] || return 0
    echo "# prism: accepted or said, but not described:" >&2
    printf '%s\n' "$bad" | cut -c 1-600 | sed 's/^/#   /' >&2
    [ -z "${BERTH_PRISM_LOG:-}" ] || printf '%s\n' "$bad" >>"$BERTH_PRISM_LOG"
}
