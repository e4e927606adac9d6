#!/usr/bin/env python3
"""Checks that what `contraflow inspect --json --ops --program --memory` says of a trainer agrees with itself and with
what it says of the trainer's run file.

usage: check_inspect.py TRAINER.json RUN.json
"""
import json
import pathlib
import sys

trainer, run = (json.loads(pathlib.Path(path).read_text()) for path in sys.argv[1:])
COSTS = ("flops", "bytes_read", "bytes_written")


def expect(condition, message):
    if not condition:
        sys.exit(f"check_inspect: {message}")


for program, costs in trainer["operations"].items():
    rows = trainer["rows"][program]
    for key in COSTS:
        sums = {
            "rows": sum(row[key] for row in rows),
            "functions": sum(f["calls"] * f[key] for f in costs["functions"]),
            "operations": sum(f["calls"] * o[key] for f in costs["functions"] for o in f["operations"]),
            "kinds": sum(kind[key] for kind in costs["kinds"]),
        }
        for name, value in sums.items():
            expect(value == costs[key], f"{program}: {name} have {value} {key}, the program has {costs[key]}")
    expect(sum(f["calls"] for f in costs["functions"]) == len(rows), f"{program}: calls are not rows")
expect(trainer["operations"]["train"]["flops"] == trainer["flops_per_step"],
       "flops of operations are not flops_per_step")

# One product, by hand: the head sees 256 rows of 128 columns and makes 264 of each.
head = [o for f in trainer["operations"]["train"]["functions"] if f["function"] == "predict.forward"
        for o in f["operations"] if o["op"] == "linear"]
expect([(o["count"], *(o[key] for key in COSTS)) for o in head]
       == [(1, 2 * 256 * 128 * 264, 4 * (256 * 128 + 264 * 128), 4 * 256 * 264)], f"the head is {head}")

for program, memory in trainer["memory"].items():
    live = [0] * memory["rows"]
    for buffer in memory["buffers"]:
        for row in range(buffer["first"], min(buffer["last"] + 1, memory["rows"])):
            live[row] += -(-buffer["bytes"] // 64) * 64
    expect(memory["live_bytes"] == max(live),
           f"{program}: live_bytes is {memory['live_bytes']}, buffers have {max(live)}")
    expect(live[memory["peak_row"]] == max(live), f"{program}: row {memory['peak_row']} is not the peak")
    expect(max(live) <= trainer["max_live_bytes"] <= trainer["arena_bytes"],
           f"{program}: more is live than the arena has")

same = ("step", "vocab", "flops_per_step", "parameters", "buffers", "blocks", "arena_bytes", "max_live_bytes",
        "regions", "programs", "directions", "rows", "memory", "operations", "addresses", "functions")
for key in same:
    expect(trainer[key] == run["compiled"][key], f"'{key}' of the trainer is not that of the run file")
