#!/usr/bin/python3
"""bad-layers.py DIR: one OCI layout with an image for each thing that a layer must not do"""
import gzip
import hashlib
import io
import json
import pathlib
import sys
import tarfile

root = pathlib.Path(sys.argv[1]) / "oci"
blobs = root / "blobs/sha256"
blobs.mkdir(parents=True)
manifests = []


def put(data):
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


def image(tag, tar, diff_id=None, pack=True):
    layer = put(gzip.compress(tar, 9, mtime=0) if pack else tar)
    layer["mediaType"] = "application/vnd.oci.image.layer.v1.tar" + ("+gzip" if pack else "")
    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]},
              "rootfs": {"type": "layers", "diff_ids": [diff_id or "sha256:" + hashlib.sha256(tar).hexdigest()]}}
    manifest = {"schemaVersion": 2, "config": put(json.dumps(config).encode()), "layers": [layer]}
    entry = put(json.dumps(manifest).encode())
    entry["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
    entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
    manifests.append(entry)


def tar(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for name, kind, value in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(value)
            elif kind in (tarfile.LNKTYPE, tarfile.SYMTYPE):
                info.linkname = value
            elif value:
                info.uid = value
            t.addfile(info, io.BytesIO(value) if kind == tarfile.REGTYPE else None)
    return out.getvalue()


FILE, LINK, SYM, DIR, CHR = tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE
image("dotdot", tar(("a/../../escape", FILE, b"x")))
image("hardlink", tar(("shadow", LINK, "/etc/shadow")))
image("hardlink-up", tar(("shadow", LINK, "../../../../etc/shadow")))
# Whatever is written behind a link lands inside.
image("symlink", tar(("tmp", DIR, 0), ("out", SYM, "/../../../../../../tmp"), ("out/berth-escaped", FILE, b"x"),
                     ("up", SYM, "../../../../../tmp"), ("up/berth-escaped", FILE, b"y")))
image("absolute", tar(("/berth-escaped", FILE, b"x")))
image("device", tar(("dev", DIR, 0), ("dev/sda", CHR, 0), ("fine", FILE, b"yes")))
image("uid", tar(("file", FILE, b"x"), ("dir", DIR, 200000)))
image("bomb", tar(("zeros", FILE, bytes(128 << 20))))
image("entries", tar(*[(f"d/{i}", FILE, b"") for i in range(3000)]))
image("names", tar(("ünï/cödé", FILE, b"1"), ("日本/語", FILE, b"2"), ("new\nline", FILE, b"3"),
                   ("\U0001f600", FILE, b"4"), ("n" * 255, FILE, b"5"), ("-rf", FILE, b"6")))
image("long", tar(("x" * 256, FILE, b"x")))
image("liar", tar(("file", FILE, b"x")), diff_id="sha256:" + "0" * 64)
image("cut", tar(("file", FILE, b"x" * 100000))[:50000], pack=False)
image("garbage", b"this is no tar at all" * 1000, pack=False)
image("replaced", tar(("a", FILE, b"1"), ("a", SYM, "b"), ("c", DIR, 0), ("c/d", FILE, b"2"), ("c", FILE, b"3"),
                      ("e", SYM, "/etc"), ("e", DIR, 0), ("e/f", FILE, b"4")))
image("big", tar(("big", FILE, bytes(range(256)) * (4 << 12))), pack=False)
# Large enough to be unpacked while it arrives.
image("noise", b"this is no tar at all" * (1 << 17), pack=False)
(root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))
(root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
