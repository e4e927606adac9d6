#!/usr/bin/env python3
"""Flips bytes at random places of a checkpoint: the trainer refuses each and says where.

usage: damage_checkpoint.py CONTRAFLOW RUN.json FOLDER [--flips N]
"""
import argparse
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "numerics"))
from safetensors_io import header_of  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
parser = argparse.ArgumentParser()
parser.add_argument("contraflow")
parser.add_argument("run")
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--flips", type=int, default=40)
options = parser.parse_args()
random_numbers = random.Random(3)


def train(*arguments):
    return subprocess.run(["./trainer", "--data", ROOT / "dialects", "--include", "*.cpp", "--sample-length", "0",
                           *arguments], cwd=options.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def main():
    options.folder.mkdir(parents=True)
    subprocess.run([options.contraflow, "compile", options.run, "-o", options.folder / "trainer"], check=True)
    train("--steps", "1", "--checkpoint", "ck")
    (file,) = options.folder.glob("ck/step-*/model.safetensors")
    whole = file.read_bytes()
    begin, entries = header_of(whole)
    del entries["__metadata__"]
    for flip in range(options.flips):
        # A header is small: every fourth flip is in it.
        place = random_numbers.randrange(begin if flip % 4 == 0 else len(whole))
        damaged = bytearray(whole)
        damaged[place] ^= random_numbers.randrange(1, 256)
        file.write_bytes(damaged)
        result = train("--steps", "2", "--resume", "ck")
        wanted = next((f"is damaged: tensor '{name}' has the checksum " for name, entry in entries.items()
                       if entry["data_offsets"][0] <= place - begin < entry["data_offsets"][1]),
                      "is damaged: its header has the checksum " if place >= 8 else "error: 'ck/step-00000001/")
        if result.returncode != 1 or wanted not in result.stdout:
            sys.exit(f"byte {place}: exit status {result.returncode}, wanted '{wanted}':\n{result.stdout}")
    file.write_bytes(whole)
    if train("--steps", "1", "--resume", "ck").returncode:
        sys.exit("the checkpoint as it was is refused, too")
    print(f"{options.flips} flips refused")


main()
