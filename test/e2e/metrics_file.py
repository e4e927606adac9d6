"""Reads files of `--metrics`."""
import json

# What is measured of the machine: all that two runs with the same bits may differ in (runtime/metrics/README.md).
MACHINE = ("step_seconds", "tokens_per_second", "gigaflops_per_second", "resident_bytes", "peak_resident_bytes")


def read(path):
    """One dictionary per step, without what is measured of the machine."""
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [{key: value for key, value in row.items() if key not in MACHINE} for row in rows]
