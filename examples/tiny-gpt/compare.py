#!/usr/bin/python3
"""compare.py A B - are the weights of two checkpoints the same, up to the rounding of sums made in another order?"""
import sys

import numpy as np

TOLERANCE = 1e-5

with np.load(sys.argv[1]) as a, np.load(sys.argv[2]) as b:
    if a["step"] != b["step"]:
        sys.exit(f"step {int(a['step'])} and step {int(b['step'])}")
    names = [name for name in a.files if name.startswith("w:")]
    difference, where = max((float(np.abs(a[name] - b[name]).max()), name) for name in names)
print(f"largest difference of {len(names)} weight arrays is {difference:.1e} in {where[2:]}")
sys.exit(difference > TOLERANCE)
