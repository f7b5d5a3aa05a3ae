#!/bin/sh
test_description='registries behind a proxy, without TLS, with authorities of their own, and no others'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
berth_needs umoci skopeo docker-registry busybox python3 openssl
berth_needs_root

# One registry; the same behind TLS; a proxy that alone knows their names.
registry_start auth
tls_port=$(free_port)
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=secure.test" -addext "subjectAltName=DNS:secure.test" \
    -keyout key.pem -out ca.pem 2>/dev/null
sed "s|^http: .*|http: {addr: '127.0.0.1:$tls_port', tls: {certificate: '$PWD/ca.pem', key: '$PWD/key.pem'}}|" \
    "$BERTH_TEST/registry.yml" >tls.yml
docker-registry serve tls.yml >tls.log 2>&1 &
tls_pid=$!
python3 "$BERTH_SOURCE/tests/system/proxy.py" "$BERTH_TEST/proxy.log" "plain.test:5000=${REGISTRY#*:}" \
    "secure.test:443=$tls_port" >port &
proxy_pid=$!
await 10 test -s port
cp ca.pem "$BERTH_TEST/ca.pem" && chmod 0644 "$BERTH_TEST/ca.pem"
berth_start --image-proxy "http://127.0.0.1:$(cat port)" --image-plain-http plain.test:5000 --image-ca "$BERTH_TEST/ca.pem" \
    --image-registries plain.test:5000,secure.test,other.test

log_in() { echo s3cret | berth image login "$1" --username demo --password-stdin; }

test_expect_success 'an image lies in the registry' '
    busybox_tree one && image_layer oci:1 one && image_config oci:1 --config.cmd id && registry_push oci:1 lib/one:1
'

test_expect_success 'it comes through the proxy without TLS where the operator says so' '
    log_in plain.test:5000 && berth image pull plain.test:5000/lib/one:1 >plain &&
    grep "GET plain.test:5000" "$BERTH_TEST/proxy.log"
'

test_expect_success 'with TLS the proxy sees a tunnel, and the authority is the one that was named' '
    log_in secure.test && berth image pull secure.test/lib/one:1 >secure && test_cmp plain secure &&
    grep "CONNECT secure.test:443" "$BERTH_TEST/proxy.log"
'

test_expect_success 'a registry that is not listed is not asked' '
    test_expect_code 4 berth image pull "$REGISTRY/lib/one:1" 2>err && grep "setting image_registries" err &&
    test_expect_code 4 berth image push plain.test:5000/lib/one:1 "$REGISTRY/lib/two:1" 2>err && grep "image_registries" err
'

test_expect_success 'without the authority there is no connection' '
    berth_stop &&
    berth_server --image-proxy "http://127.0.0.1:$(cat port)" &&
    berth image delete secure.test/lib/one:1 && test_expect_code 1 berth image pull secure.test/lib/one:1 2>err && grep -i "certificate" err
'

kill "$tls_pid" "$proxy_pid"
registry_stop
test_done
