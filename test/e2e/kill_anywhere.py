#!/usr/bin/env python3
"""Kills a trainer without warning at random moments, also while it saves, and continues it until it is done.

usage: kill_anywhere.py CONTRAFLOW RUN.json FOLDER [--kills N] [--saves N] [--steps N]

Every checkpoint that a kill leaves must be one of the uninterrupted run, bit for bit, and of no step before the last
one that was due; so must the end of each life and its metrics. The moments come from a seed. Half of the kills wait
until a save has begun; at least --saves of all must have hit one.
"""
import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "numerics"))
from safetensors_io import header_of  # noqa: E402
from metrics_file import MACHINE

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
parser = argparse.ArgumentParser()
parser.add_argument("contraflow")
parser.add_argument("run", type=pathlib.Path)
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--kills", type=int, default=24)
parser.add_argument("--saves", type=int, default=6)
parser.add_argument("--steps", type=int, default=16)
options = parser.parse_args()
random_numbers = random.Random(20)


def start(folder, every, *arguments):
    """A checkpoint after every step keeps the trainer saving half of the time."""
    return subprocess.Popen(
        ["./trainer", "--data", ROOT / "dialects", "--include", "*.cpp", "--steps", str(options.steps), "--set",
         f"train.checkpoint_every={every}", "train.validate_every=5", "train.validation_tokens=512", "--sample-length",
         "0", "--checkpoint", folder, "--metrics", f"{folder}.jsonl", *arguments],
        cwd=options.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def content_of(file):
    """Header and data without the settings, which differ between lives."""
    content = file.read_bytes()
    begin, header = header_of(content)
    for key in ("run", "header_checksum"):
        del header["__metadata__"][key]
    return header, content[begin:]


def checkpoints_in(folder):
    """Contents by step."""
    files = sorted((options.folder / folder).glob("step-*[0-9]/model.safetensors"))
    return {int(file.parent.name.removeprefix("step-")): content_of(file) for file in files}


def partial_in(folder):
    return list((options.folder / folder).glob("step-*.partial"))


def whole_lines(folder):
    """Of the metrics, without what is measured of the machine."""
    path = options.folder / f"{folder}.jsonl"
    text = path.read_text() if path.exists() else ""
    rows = [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]
    return [{key: value for key, value in row.items() if key not in MACHINE} for row in rows]


def run_whole():
    begin = time.monotonic()
    process = start("whole", 1, "--set", "train.keep_last=0")
    output, _ = process.communicate()
    if process.returncode:
        sys.exit(f"the uninterrupted run failed:\n{output}")
    return checkpoints_in("whole"), whole_lines("whole"), time.monotonic() - begin


def kill_somewhere(process, folder, seconds, during_save):
    """False where the run ended before."""
    if during_save:
        before = {path.name for path in partial_in(folder)}
        while process.poll() is None and {path.name for path in partial_in(folder)} <= before:
            time.sleep(0.0002)
        time.sleep(random_numbers.choice((0, 0, 0.001, 0.003)))
    else:
        time.sleep(random_numbers.uniform(0, seconds))
    process.kill()
    process.communicate()
    return process.returncode < 0


class Life:
    """A run from its first step to its last, over as many processes as it takes."""

    def __init__(self, number, whole):
        self.folder, self.whole = f"life{number}", whole
        self.every, self.threads = random_numbers.choice((1, 1, 3)), str(random_numbers.choice((1, 2)))
        self.keep = str(random_numbers.choice((1, 2)))

    def start(self):
        resume = ["--resume"] if checkpoints_in(self.folder) else []
        return start(self.folder, self.every, "--threads", self.threads, "--set", f"train.keep_last={self.keep}",
                     *resume)

    def require_whole(self):
        """What is there is what the uninterrupted run had, and no older than the last checkpoint that was due: a
        step's line is written before its checkpoint."""
        found, lines = checkpoints_in(self.folder), whole_lines(self.folder)
        for step, content in found.items():
            if content != self.whole[step]:
                sys.exit(f"{self.folder}: the checkpoint of step {step} has other bits")
        due, last = (len(lines) - 1) // self.every * self.every, max(found, default=0)
        if due > last:
            sys.exit(f"{self.folder}: {len(lines)} steps were done, but the last checkpoint is of step {last}")

    def finish(self, lines):
        process = self.start()
        output, _ = process.communicate()
        if process.returncode:
            sys.exit(f"{self.folder}: the last resume failed:\n{output}")
        self.require_whole()
        if whole_lines(self.folder) != lines:
            sys.exit(f"{self.folder}: other metrics than those of the uninterrupted run")
        left = [path.name for path in (options.folder / self.folder).iterdir() if not path.name[-1].isdigit()]
        if max(checkpoints_in(self.folder)) != options.steps or left or partial_in(self.folder):
            sys.exit(f"{self.folder}: {sorted(checkpoints_in(self.folder))} are there, and {left}")
        shutil.rmtree(options.folder / self.folder)


def main():
    options.folder.mkdir(parents=True)
    subprocess.run([options.contraflow, "compile", options.run, "-o", options.folder / "trainer"], check=True)
    whole, lines, seconds = run_whole()
    kills = saves = lives = 0
    life = Life(lives, whole)
    while kills < options.kills:
        process = life.start()
        if kill_somewhere(process, life.folder, seconds, during_save=kills % 2 == 1):
            kills += 1
            saves += bool(partial_in(life.folder))
            life.require_whole()
        elif process.returncode:
            sys.exit(f"{life.folder}: exit status {process.returncode}")
        if max(checkpoints_in(life.folder), default=0) == options.steps:
            life.finish(lines)
            lives += 1
            life = Life(lives, whole)
    life.finish(lines)
    print(f"{kills} kills in {lives + 1} lives, {saves} of them during a save, same bits")
    if saves < options.saves:
        sys.exit(f"wanted {options.saves} during a save")


main()
