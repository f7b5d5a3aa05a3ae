#!/bin/sh
test_description='over TLS: the proxy of docs/operations.md in front, the command line through it'
. "$(dirname "$0")/lib.sh"

command -v nginx >/dev/null || {
    skip_all='nginx is not installed (tools/install-deps test)'
    test_done
}

front=$(free_port)
nginx_pid=

# nginx as the page has it, with this test's places; the name of the server is localhost
begin_proxy() {
    sed -n '/^server {/,/^}/p' "$BERTH_SOURCE/docs/operations.md" |
        sed "s|/etc/ssl|$BERTH_TEST|; s|listen 443|listen 127.0.0.1:$front|; s|127.0.0.1:7077|127.0.0.1:$BERTH_PORT|; s|berth.example.org|localhost|g" >site &&
        grep "listen 127.0.0.1:$front ssl" site && grep "proxy_pass http://127.0.0.1:$BERTH_PORT;" site &&
        cat >nginx.conf <<-END &&
	daemon off; worker_processes 1; pid $BERTH_TEST/nginx.pid; error_log $BERTH_TEST/nginx.err; events {}
	http {
	    access_log off;
	    client_body_temp_path $BERTH_TEST; proxy_temp_path $BERTH_TEST; fastcgi_temp_path $BERTH_TEST;
	    uwsgi_temp_path $BERTH_TEST; scgi_temp_path $BERTH_TEST;
	    $(cat site)
	}
	END
        { nginx -p "$BERTH_TEST" -c "$PWD/nginx.conf" 2>"$BERTH_TEST/nginx.out" & nginx_pid=$!; } &&
        await 20 curl -sk "https://localhost:$front/healthz"
}

berth_start

test_expect_success 'a proxy with a certificate of its own' '
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$BERTH_TEST/berth.key" -out "$BERTH_TEST/berth.pem" -days 2 \
        -subj /CN=localhost -addext "subjectAltName=DNS:localhost" 2>/dev/null &&
    begin_proxy
'

test_expect_success 'who does not trust the certificate is told so, and sends nothing' '
    key=$(sed -n "s/^ *key: *//p" "$HOME/.config/berth/config.yaml" | tr -d \") &&
    export BERTH_URL="https://localhost:$front" BERTH_KEY="$key" BERTH_PROJECT=lab &&
    test_expect_code 1 berth ps 2>err && grep "certificate of localhost is not trusted: self-signed certificate" err &&
    test_expect_code 1 env BERTH_URL="https://127.0.0.1:$front" SSL_CERT_FILE="$BERTH_TEST/berth.pem" berth ps 2>err &&
    grep "not trusted.*IP address mismatch" err &&
    test_expect_code 1 env BERTH_URL="https://localhost:$BERTH_PORT" berth ps 2>err && grep "does not speak TLS" err
'

test_expect_success 'the check of an engine says whether the API answers at home_url with a certificate of home_ca' '
    look() { env BERTH_HOME_URL="$1" ${2:+BERTH_HOME_CA="$2"} "$BERTH_BUILD/berth" engine check -o json >check; } &&
    found() { jq -e ".items[] | select(.check == \"$1\") | .state == \"$2\" and (.seen | test(\"$3\"))" check; } &&
    test_might_fail look "https://localhost:$front" "$BERTH_TEST/berth.pem" && found home_url ok answers &&
    test_expect_code 1 look "https://127.0.0.1:$front" "$BERTH_TEST/berth.pem" && found home_url fail "IP address mismatch" &&
    test_expect_code 1 look "https://localhost:$front" && found home_url fail "not trusted: self-signed" &&
    test_expect_code 1 look "https://localhost:$front" "$BERTH_TEST/berth.key" && found home_ca fail "holds no certificate" &&
    test_might_fail look "https://localhost:$front" "$BERTH_TEST/none.pem" && found home_ca warn "is not on this machine" &&
    test_might_fail look "http://127.0.0.1:1" && found home_url warn refused
'

test_expect_success 'a context for it, and a job with its log and exit code' '
    export SSL_CERT_FILE="$BERTH_TEST/berth.pem" &&
    unset BERTH_URL BERTH_KEY BERTH_PROJECT &&
    echo "$key" | berth login --context cloud --project lab "https://localhost:$front" &&
    test_expect_code 3 berth run --context cloud --source none -- sh -c "seq 3; exit 3" >out &&
    seq 3 | test_cmp - out
'

test_expect_success 'a workspace goes up, an artifact comes down' '
    mkdir work && head -c 20000000 /dev/urandom >work/big &&
    berth run --context cloud --source work --name copy -- cp big /artifacts/ &&
    berth artifact get --context cloud copy big --to got && cmp work/big got/big
'

test_expect_success 'a session, with its input and exit code' '
    berth run --context cloud --source none --detach --name long -- sleep 600 &&
    await 20 sh -c "berth job show --context cloud long -o json | jq -e \".state == \\\"running\\\"\"" &&
    head -c 300000 work/big | test_expect_code 4 berth exec -i --context cloud long -- sh -c "sha256sum; exit 4" >sum &&
    head -c 300000 work/big | sha256sum | test_cmp - sum &&
    berth stop --context cloud --grace 0s --wait long
'

test_expect_success DIRECT 'a context that is made on the machine names where the server listens' '
    grep "http://127.0.0.1:$BERTH_PORT" "$HOME/.config/berth/config.yaml" &&
    HOME=$PWD/other berth init && grep "http://127.0.0.1:$BERTH_PORT" other/.config/berth/config.yaml
'

kill "$nginx_pid"

test_done
