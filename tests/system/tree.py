#!/usr/bin/python3
"""tree.py DIR [OFFSET]: one line for everything in a tree, to be compared; OFFSET is taken off owners"""
import hashlib
import os
import stat
import sys

root, offset = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
first = {}


def attributes(path):
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        value = os.getxattr(path, name, follow_symlinks=False)
        if name.startswith("user."):
            yield f"{name}={value.hex()}"
        elif name == "security.capability":
            # What is permitted and inherited; the rest says whose root it is for.
            yield f"{name}={value[4:20].hex()}"


def line(path):
    st = os.lstat(path)
    name = os.path.relpath(path, root)
    kind = stat.S_IFMT(st.st_mode)
    content = ""
    if kind == stat.S_IFREG:
        with open(path, "rb") as f:
            content = hashlib.sha256(f.read()).hexdigest()[:16]
        content += f" {st.st_size} same as {first.setdefault(st.st_ino, name)}"
    elif kind == stat.S_IFLNK:
        content = "-> " + os.readlink(path)
    mode = 0 if kind == stat.S_IFLNK else stat.S_IMODE(st.st_mode)
    return " ".join([ascii(name), oct(kind), oct(mode), f"{st.st_uid - offset}:{st.st_gid - offset}",
                     f"{st.st_mtime_ns // 1000000000}", content, *attributes(path)])


for folder, folders, files in os.walk(root):
    folders.sort()
    for entry in sorted(files + folders):
        print(line(os.path.join(folder, entry)))
