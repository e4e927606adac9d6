#!/usr/bin/env python3
"""Reads `objdump -d` of the stub (x86) and refuses sums and products in single precision.

Tensors are float, and every product of matrices, norm or update adds and multiplies floats. The runtime's own numbers
(times, losses, probabilities) are double.

Sums over ranks are the exception: no program has what other ranks have made.

Not seen: arithmetic in double precision, also on floats that were widened; differences, quotients, roots and maxima;
x87 instructions; integer arithmetic on the bits of numbers; and what a library outside the stub computes.
"""
import collections
import re
import sys

FLOAT = re.compile(r"v?addss|v?addps|v?mulss|v?mulps|vfn?m(?:add|sub)\w*|v?dpps|v?haddps")
SUMS_OVER_RANKS = "contraflow::comm::Runner::sum("
counts = collections.Counter()
function, bad = "", []
for line in sys.stdin:
    if match := re.match(r"[0-9a-f]+ <(.*)>:$", line):
        function = match.group(1)
    elif match := re.match(r"\s+[0-9a-f]+:\t(\w+)", line):
        counts[match.group(1)] += 1
        if FLOAT.fullmatch(match.group(1)) and not function.startswith(SUMS_OVER_RANKS):
            bad.append(f"{function}: {line.strip()}")
if bad:
    sys.exit("\n".join(bad))
if counts["addsd"] + counts["vaddsd"] == 0 or sum(counts.values()) < 10000:
    sys.exit(f"only {sum(counts.values())} instructions, or no sum of doubles: is this the stub of an x86 machine?")
