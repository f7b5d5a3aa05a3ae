#!/bin/sh
test_description='an upload of a large file that was cut off goes on where it was'
. "$(dirname "$0")/lib.sh"
berth_start

# cut FILE BYTES: an upload that ends after so many bytes
cut_off() {
    /usr/bin/python3 - "$1" "$2" "$BERTH_SOCKET" <<-\EOF
	import hashlib, os, socket, sys
	data = open(sys.argv[1], "rb").read()
	s = socket.socket(socket.AF_UNIX)
	s.connect(sys.argv[3])
	sum = hashlib.sha256(data).hexdigest()
	s.sendall(f"PUT /v1/projects/lab/blobs/{sum} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: {len(data)}\r\n\r\n".encode())
	s.sendall(data[: int(sys.argv[2])])
	s.close()
	EOF
}
kept() { api GET "/v1/projects/lab/blobs/$(sha256sum <"$1" | cut -c1-64)" | jq .size; }
part() { find "$BERTH_STATE/blobs/tmp" -name "tmp-part-*"; }
# The server has given it up (who writes it has it locked), and has most of it: what was still on its way is lost.
has_kept() { flock -n "$(part)" true && [ "$(kept "$1")" -ge 50000000 ]; }

test_expect_success 'what came is kept, and only the rest is sent' '
    mkdir d && head -c 80M /dev/urandom >d/big && test "$(kept d/big)" = 0 &&
    cut_off d/big 60000000 && await 10 has_kept d/big &&
    berth dataset push big d >out 2>err && grep "1 of them sent (2[0-9]\\.[0-9]* MiB)\\|1 of them sent (3[0-2]" err &&
    berth dataset verify big && berth dataset pull big p && cmp d/big p/big &&
    test -z "$(part)" && test "$(kept d/big)" = 0
'

test_expect_success 'what came is kept when the server is killed' '
    head -c 80M /dev/urandom >d/big &&
    { cut_off d/big 70000000; kill -9 "$berth_pid"; wait "$berth_pid" 2>/dev/null; berth_server; } &&
    test -n "$(part)" && berth dataset push big d && berth dataset verify big && test -z "$(part)"
'

test_expect_success 'what was torn is sent again, never taken' '
    head -c 80M /dev/urandom >d/big && cut_off d/big 60000000 && await 10 has_kept d/big &&
    printf x | dd of="$(part)" bs=1 seek=1000 conv=notrunc 2>/dev/null &&
    berth dataset push big d 2>err && berth dataset verify big && berth dataset pull big q && cmp d/big q/big
'

test_expect_success 'nobody else can see or take what a project has sent' '
    berth project create other >/dev/null && head -c 80M /dev/urandom >d/big && cut_off d/big 60000000 && await 10 has_kept d/big &&
    sum=$(sha256sum <d/big | cut -c1-64) &&
    api GET "/v1/projects/other/blobs/$sum" | jq -e ".size == 0" &&
    tail -c +50000001 d/big | api PUT "/v1/projects/other/blobs/$sum?offset=50000000" -H "Content-Type: application/octet-stream" --data-binary @- | jq -e ".status >= 400"
'

test_expect_success 'bad offsets are refused' '
    sum=$(echo | sha256sum | cut -c1-64) &&
    echo | api PUT "/v1/projects/lab/blobs/$sum?offset=-1" -H "Content-Type: application/octet-stream" --data-binary @- | jq -e ".status == 400" &&
    echo | api PUT "/v1/projects/lab/blobs/$sum?offset=99" -H "Content-Type: application/octet-stream" --data-binary @- | jq -e ".status == 412"
'

test_done
