#!/usr/bin/env python3
"""Trains on 2 and 4 ranks, all in one process, and on one with as many micro-batches: losses, gradient norms and
parameters agree, two runs have the same bits, one that is interrupted and resumed too, and each number of ranks
resumes the other's. Processes under Open MPI and MPICH have the bits of threads.

usage: ranks.py CONTRAFLOW RUN.json FOLDER [SANITIZERS]
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy

from metrics_file import read

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STEPS, STOP = 5, 2
# Of a loss, and of a parameter as a share of the tensor's norm, after five steps: sums of single precision in another
# order.
LOSS, PARAMETER = 2e-6, 2e-5
contraflow, run, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
sanitizers = sys.argv[4] if len(sys.argv) > 4 else ""


def compile_trainer(name, *assignments):
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([contraflow, "compile", run, "-o", folder / name, "--set", *assignments], check=True)


def command_of(trainer, name, *options, steps=STEPS):
    return [f"./{trainer}", "--data", ROOT / "dialects", ROOT / "passes", "--include", "*.cpp", "--steps", str(steps),
            "--set", "train.validate_every=2", "train.validation_tokens=1024", "--sample-length", "0", "--threads",
            "2", "--checkpoint", name, "--metrics", f"{name}.jsonl", *options]


def start(trainer, name, *options, steps=STEPS):
    return subprocess.Popen(command_of(trainer, name, "--in-process", *options, steps=steps), cwd=folder,
                            stdout=subprocess.DEVNULL)


def train(trainer, name, *options):
    if start(trainer, name, *options).wait():
        sys.exit(f"run '{name}' failed")
    return read(folder / f"{name}.jsonl"), newest_of(name)


def newest_of(name):
    return sorted((folder / name).glob("step-*/model.safetensors"))[-1]


def launch(launcher, trainer, name, *options):
    """With an MPI; None where it is not installed, or a sanitizer looks into it."""
    if not shutil.which(launcher[0]) or sanitizers == "thread":
        return None
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    if sanitizers:
        # Leaks are those of MPI, and UCX, which MPICH uses, has a malloc of its own.
        environment.update(ASAN_OPTIONS="detect_leaks=0", UCX_MEM_EVENTS="n")
    return subprocess.run([*launcher, *command_of(trainer, name, *options)], cwd=folder, env=environment,
                          capture_output=True, text=True)


def tensors_of(path):
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__")
    return {name: numpy.frombuffer(data[8 + size:][slice(*entry["data_offsets"])], "<f4").astype(float)
            for name, entry in header.items()}


def bytes_of(path):
    """All numbers; the metadata names the trainer."""
    return {name: tensor.tobytes() for name, tensor in tensors_of(path).items()}


def require_close(name, one, many):
    rows, others = one[0], many[0]
    if len(rows) != STEPS or len(others) != STEPS:
        sys.exit(f"{name}: {len(rows)} and {len(others)} steps in the metrics")
    if rows[0]["losses/main"] != others[0]["losses/main"]:
        sys.exit(f"{name}: the first loss is not the same, {rows[0]['loss']} and {others[0]['loss']}")
    for row, other in zip(rows, others):
        for key in ("loss", "total", "grad_norm", "validation_loss"):
            if abs(row.get(key, 0) - other.get(key, 0)) > LOSS * abs(row.get(key, 0)):
                sys.exit(f"{name}: step {row['step']}: {key} {row[key]} and {other[key]}")
        for key in row:
            # Which expert gets a token may turn where two are as good as equal; the first steps are far from that.
            if re.search("load", key) and row[key] != other[key]:
                sys.exit(f"{name}: step {row['step']}: {key} {row[key]} and {other[key]}")
    mine, theirs = tensors_of(one[1]), tensors_of(many[1])
    if mine.keys() != theirs.keys():
        sys.exit(f"{name}: other tensors in the checkpoint")
    for tensor, value in mine.items():
        error = numpy.linalg.norm(value - theirs[tensor]) / max(numpy.linalg.norm(value), 1e-30)
        if error > PARAMETER and "exp_avg" not in tensor:
            sys.exit(f"{name}: '{tensor}' differs by {error:.1e} of its norm")


def interrupt_and_resume(trainer, name):
    process = start(trainer, name)
    path = folder / f"{name}.jsonl"
    while process.poll() is None and (not path.exists() or len(path.read_text().splitlines()) < STOP):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    # On a busy machine the signal may come when all is saved: then it ends the process as usual, or is too late.
    if process.wait() not in (130, 0, -signal.SIGINT):
        sys.exit(f"exit status {process.returncode} of the interrupted run, wanted 130")
    if process.returncode == 130:
        train(trainer, name, "--resume")


def main():
    compile_trainer("ranks2", "mesh.dp=2")
    compile_trainer("ranks4", "mesh.dp=4")
    for ranks in (2, 4):
        compile_trainer(f"one{ranks}", f"batch.micro_batches={ranks}")
        one, many = train(f"one{ranks}", f"one{ranks}.run"), train(f"ranks{ranks}", f"ranks{ranks}.run")
        require_close(f"dp {ranks}", one, many)
    again = train("ranks4", "again")
    if again[0] != many[0] or bytes_of(again[1]) != bytes_of(many[1]):
        sys.exit("two runs of the same ranks differ")
    interrupt_and_resume("ranks4", "resumed")
    if bytes_of(newest_of("resumed")) != bytes_of(many[1]):
        sys.exit("the resumed run differs")
    # A checkpoint knows no ranks.
    for trainer, other in (("ranks2", "ranks4.run"), ("one2", "ranks4.run"), ("ranks4", "one2.run")):
        if start(trainer, f"{trainer}.{other}", "--resume", other, steps=STEPS + 1).wait():
            sys.exit(f"'{trainer}' does not resume '{other}'")
    for launcher in (["mpirun.openmpi", "--oversubscribe", "-n"], ["mpiexec.mpich", "-n"]):
        result = launch([*launcher, "4"], "ranks4", launcher[0])
        if not result:
            continue
        if result.returncode or bytes_of(newest_of(launcher[0])) != bytes_of(many[1]):
            sys.exit(f"{launcher[0]}: status {result.returncode}, or other bits than threads: {result.stderr}")
        both = launch([*launcher, "2"], "ranks2", "both", "--in-process")
        if both.returncode == 0 or "--in-process makes all ranks threads of one process" not in both.stderr:
            sys.exit(f"{launcher[0]} and --in-process: status {both.returncode}, {both.stderr}")
        few = launch([*launcher, "2"], "ranks4", "few")
        if few.returncode == 0 or "this trainer is for ranks: 4" not in few.stderr + few.stdout:
            sys.exit(f"{launcher[0]}, 2 ranks of 4: status {few.returncode}, {few.stderr}")
    # Where one rank cannot go on, all end, with its error and no other.
    path = "/proc/none/metrics"
    failed = subprocess.run(command_of("ranks4", "failed", "--in-process", "--metrics", path), cwd=folder,
                            capture_output=True, text=True)
    errors = [line for line in failed.stderr.splitlines() if line.startswith("contraflow: error:")]
    if failed.returncode != 1 or len(errors) != 1 or path not in errors[0]:
        sys.exit(f"a rank without its metrics: status {failed.returncode}, {failed.stderr}")
    alone = subprocess.run(["./ranks2", "--data", ROOT / "passes"], cwd=folder, capture_output=True, text=True)
    if alone.returncode != 1 or "this trainer is for 2 ranks; start it with 'mpirun -n 2'" not in alone.stderr:
        sys.exit(f"started alone: {alone.returncode}, {alone.stderr}")
    print("dp 2, 4: losses and gradients of one process; same bits twice; resumed with the same bits")


main()
