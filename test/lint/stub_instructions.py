#!/usr/bin/env python3
"""Reads `objdump -d` of the stub (x86) and refuses sums in single precision.

Tensors are float, and every product of matrices, norm or update adds floats. The runtime's own numbers (times,
losses, probabilities) are double.
"""
import collections
import re
import sys

SUM = re.compile(r"v?addss|v?addps|vfn?m(?:add|sub)\w*|v?dpps|v?haddps")
counts = collections.Counter()
function, bad = "", []
for line in sys.stdin:
    if match := re.match(r"[0-9a-f]+ <(.*)>:$", line):
        function = match.group(1)
    elif match := re.match(r"\s+[0-9a-f]+:\t(\w+)", line):
        counts[match.group(1)] += 1
        if SUM.fullmatch(match.group(1)):
            bad.append(f"{function}: {line.strip()}")
if bad:
    sys.exit("\n".join(bad))
if counts["addsd"] + counts["vaddsd"] == 0 or sum(counts.values()) < 10000:
    sys.exit(f"only {sum(counts.values())} instructions, or no sum of doubles: is this the stub of an x86 machine?")
