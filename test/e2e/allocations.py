#!/usr/bin/env python3
"""Trains a run file under an allocator that counts: steps 2 to 10 ask for no memory, and resident memory grows by no
more than the trainer says of itself and 16 MB.

usage: allocations.py CONTRAFLOW RUN.json COUNT_ALLOCATIONS.so DATA FOLDER
"""
import json
import os
import pathlib
import subprocess
import sys

THREADS, LAST = 2, 10
MOST_ABOVE = 16 << 20  # code, stacks of threads, buffers of the C library
contraflow, run, library = sys.argv[1:4]
data, folder = pathlib.Path(sys.argv[4]), pathlib.Path(sys.argv[5])


def train(trainer, log):
    """What the trainer prints: a line for steps 1, LAST + 1 and the last one among others."""
    command = [trainer, "--data", data, "--include", "*.cpp", "--steps", str(2 * LAST), "--threads", str(THREADS),
               "--set", f"train.log_every={LAST + 1}", "train.validate_every=0", "train.validation_tokens=64",
               "--sample-length", "0", "--checkpoint", folder / "checkpoint"]
    environment = {**os.environ, "LD_PRELOAD": library, "ALLOCATION_LOG": str(log)}
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return result.stdout.splitlines()


def main():
    folder.mkdir(parents=True, exist_ok=True)
    trainer, log = folder / "trainer", folder / "log"
    subprocess.run([contraflow, "compile", run, "-o", trainer], check=True)
    said = train(trainer, log)
    words = [line.split() for line in log.read_text().splitlines()]
    lines, resident = [list(map(int, line[1:])) for line in words[:-1]], list(map(int, words[-1][1:]))

    numbers = [number for number, line in enumerate(said) if line.startswith("step ")]
    if len(numbers) < 2 or f"{LAST + 1}/" not in said[numbers[1]] or numbers[1] != numbers[0] + 1:
        sys.exit(f"expected lines about steps 1 and {LAST + 1}, got\n" + "\n".join(said))
    between, clocks, calls = lines[numbers[1]]
    if clocks < 2 * LAST:
        sys.exit(f"{clocks} looks at the clock in {LAST} steps: this test does not see them")
    if lines[numbers[0]][2] == 0 or calls == 0:
        sys.exit("no call is seen where there are some: this test is blind")
    print(f"steps 2 to {LAST}: {between} calls for memory")

    manifest = json.loads(subprocess.run([trainer, "--info", "--json"], stdout=subprocess.PIPE, check=True).stdout)
    text = sum(path.stat().st_size for path in data.rglob("*.cpp"))
    predicted = manifest["arena_bytes"] + THREADS * manifest["scratch_bytes_per_worker"] + text
    grown = (resident[1] - resident[0]) * 1024
    print(f"resident memory grew by {grown} bytes, predicted {predicted}, arena {manifest['arena_bytes']}, "
          f"live {manifest['max_live_bytes']}")
    if between:
        sys.exit(f"a step asks for memory: {between} calls in steps 2 to {LAST}")
    if grown > predicted + MOST_ABOVE:
        sys.exit(f"resident memory grew by {grown - predicted} bytes more than predicted")
    if grown < manifest["arena_bytes"] // 2:
        sys.exit("less than half of the arena was touched: this test does not see it")


main()
