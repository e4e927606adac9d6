#!/usr/bin/env python3
"""Trains with micro-batches, a cosine and validations: two runs, one to three threads, and a run that is interrupted
and resumed give the same losses and the same checkpoint, bit for bit.

usage: same_bits.py CONTRAFLOW RUN.json FOLDER
"""
import json
import pathlib
import signal
import subprocess
import sys
import time

from metrics_file import read

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STEPS, STOP = 40, 4
contraflow, run, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])


def compile_trainer():
    folder.mkdir(parents=True)
    document = json.loads(run.read_text())
    document["architecture"] = str((run.parent / document.get("architecture", "model.mlir")).resolve())
    document["batch"]["micro_batches"] = 2
    document["optimizer"].update(schedule="cosine", warmup_steps=3, lr=3e-3, min_lr=1e-4)
    (folder / "run.json").write_text(json.dumps(document))
    subprocess.run([contraflow, "compile", folder / "run.json", "-o", folder / "trainer"], check=True)


def start(name, threads, *options):
    return subprocess.Popen(
        ["./trainer", "--data", ROOT / "dialects", ROOT / "passes", "--include", "*.cpp", "--steps", str(STEPS),
         "--set", "train.validate_every=7", "train.validation_tokens=512", "--sample-length", "0", "--threads",
         str(threads), "--checkpoint", name, "--metrics", f"{name}.jsonl", *options],
        cwd=folder, stdout=subprocess.DEVNULL)


def lines_of(name):
    path = folder / f"{name}.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def newest_of(name):
    return sorted((folder / name).glob("step-*/model.safetensors"))[-1]


def result_of(name):
    return read(folder / f"{name}.jsonl"), newest_of(name).read_bytes()


def interrupt_and_resume(name):
    process = start(name, 2)
    while len(lines_of(name)) < STOP and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    if process.wait() != 130:
        sys.exit(f"exit status {process.returncode} of the interrupted run, wanted 130")
    done = len(lines_of(name))
    if not STOP <= done < STEPS:
        sys.exit(f"interrupted after {done} of {STEPS} steps")
    if start(name, 1, "--resume").wait():
        sys.exit("the resumed run failed")


def main():
    compile_trainer()
    for name, threads in (("two", 2), ("again", 2), ("one", 1), ("three", 3)):
        if start(name, threads).wait():
            sys.exit(f"run '{name}' failed")
    interrupt_and_resume("resumed")
    rows, checkpoint = result_of("two")
    if len(rows) != STEPS or sum("validation_loss" in row for row in rows) != STEPS // 7 + 1:
        sys.exit(f"{len(rows)} steps in metrics, or too few validations")
    if rows[-1]["loss"] > rows[0]["loss"] - 0.5:
        sys.exit(f"nothing was learnt: {rows[0]['loss']} to {rows[-1]['loss']}")
    for name in ("again", "one", "three", "resumed"):
        others, other = result_of(name)
        different = [pair for pair in zip(rows, others) if pair[0] != pair[1]]
        if different or len(others) != len(rows):
            sys.exit(f"'{name}': {len(others)} steps, {len(different)} differ, first {different[:1]}")
        if other != checkpoint:
            sys.exit(f"'{name}': the same losses, another checkpoint")
    print(f"{STEPS} steps, 5 runs, same bits")


main()
