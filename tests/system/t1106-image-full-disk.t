#!/bin/sh
test_description='a disk that is full in the middle of unpacking: nothing half is to be seen, and later it works'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
berth_needs python3
berth_needs_root

# The state on a small disk of its own; what is unpacked is larger than it.
mkdir -p "$BERTH_STATE" "$BERTH_TEST/src" && mount -t tmpfs -o size=96m,mode=0711 berth-test "$BERTH_STATE" ||
    { skip_all='cannot mount a small disk'; test_done; }
berth_start --reserved-disk 8Mi --image-paths "$BERTH_TEST/src"

refused() { test_expect_code 1 berth image pull "oci:$BERTH_TEST/src/oci:$1" 2>err; }
layers() { ls -A "$BERTH_STATE/layers"; }

test_expect_success 'an image that unpacks to more than the disk has' '
    python3 - "$BERTH_TEST/src/oci" <<-END
	import gzip, hashlib, io, json, pathlib, sys, tarfile
	root = pathlib.Path(sys.argv[1]); blobs = root / "blobs/sha256"; blobs.mkdir(parents=True)
	def put(data):
	    name = hashlib.sha256(data).hexdigest(); (blobs / name).write_bytes(data)
	    return {"digest": "sha256:" + name, "size": len(data)}
	manifests = []
	for tag, size in ("large", 60 << 20), ("small", 1 << 20):
	    out = io.BytesIO()
	    with tarfile.open(fileobj=out, mode="w") as t:
	        for i in range(4):
	            info = tarfile.TarInfo(f"{tag}{i}"); info.size = size // 2
	            t.addfile(info, io.BytesIO(bytes(range(256)) * (size // 512)))
	    tar = out.getvalue(); layer = put(gzip.compress(tar, 1))
	    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/x"]},
	              "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]}}
	    entry = put(json.dumps({"schemaVersion": 2, "config": put(json.dumps(config).encode()), "layers": [layer]}).encode())
	    entry["annotations"] = {"org.opencontainers.image.ref.name": tag}; manifests.append(entry)
	(root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))
	(root / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
	END
    chmod -R a+rX "$BERTH_TEST/src"
'

test_expect_success 'its pull fails with the reason, and nothing of it is there' '
    refused large && grep "No space left on device" err && layers >left && test_must_be_empty left
'

test_expect_success 'the server goes on, and smaller images still come' '
    berth image pull "oci:$BERTH_TEST/src/oci:small" && layers >there && test "$(wc -l <there)" -eq 1
'

test_expect_success 'with room it comes whole' '
    mount -o remount,size=400m "$BERTH_STATE" && berth image pull "oci:$BERTH_TEST/src/oci:large" &&
    layers >there && test "$(wc -l <there)" -eq 2 &&
    find "$BERTH_STATE/layers" -name "large*" -size 30720k >out && test "$(wc -l <out)" -eq 4
'

test_done
