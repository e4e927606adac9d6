#!/usr/bin/env python3
"""Every phase of every run file: what was dumped is continued to the same trainer, byte by byte.

usage: phases.py --contraflow CONTRAFLOW --models DIR --work DIR [--every-link]

From every phase all later dumps are compared, to the lowered code. The link costs ten times as much as all phases
before it, and its input is that code: it is made from the code that was read again, and from one more phase, which is
another one for each run file. --every-link makes it from every phase.
"""
import argparse
import concurrent.futures
import filecmp
import pathlib
import re
import subprocess
import sys

WORKERS = 2  # as lit's tests: one per core of the smallest machine


class Check:
    def __init__(self, contraflow, work, every_link):
        self.contraflow, self.work, self.every_link = contraflow, work, every_link
        text = subprocess.run([contraflow, "--help"], text=True, check=True, stdout=subprocess.PIPE).stdout
        self.phases = re.search(r"^phases: (.*)$", text, re.M).group(1).split(", ")

    def compile(self, source, *arguments):
        result = subprocess.run([self.contraflow, "compile", source, *map(str, arguments)], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return [f"{source} {' '.join(map(str, arguments))}: {result.stdout.strip()}"] if result.returncode else []

    @staticmethod
    def compare(first, second, what):
        if not second.exists():
            return [f"{what}: there is no '{second}'"]
        return [] if filecmp.cmp(first, second, shallow=False) else [f"{what}: '{second}' differs from '{first}'"]

    def name(self, number):
        return f"{number:02}-{self.phases[number - 1]}.mlir"

    def stop_and_go(self, run, folder, number, links):
        """--stop-after=P --dump-phases writes what the whole compilation dumped; --start-from=P goes on to the same."""
        phase, code = self.phases[number - 1], len(self.phases) - 1
        what, stopped, going = f"{run} {phase}", folder / f"stop-{phase}", folder / f"go-{phase}"
        errors = self.compile(run, f"--stop-after={phase}", f"--dump-phases={stopped}")
        errors += self.compare(folder / "dump" / self.name(number), stopped / self.name(number), what)
        end = ["-o", folder / "again"] if links else [f"--stop-after={self.phases[code - 1]}"]
        start = "link" if number == code else phase  # the code's own phase and the next one mean the same
        errors += self.compile(stopped / self.name(number), f"--start-from={start}", f"--dump-phases={going}", *end)
        for later in range(number + 1, code + 1):
            errors += self.compare(folder / "dump" / self.name(later), going / self.name(later), what)
        return errors + (self.compare(folder / "trainer", folder / "again", what) if links else [])

    def check(self, index, run):
        folder, code = self.work / f"{run.parent.name}-{run.stem}", len(self.phases) - 1
        folder.mkdir(parents=True)
        errors = self.compile(run, "--stop-after=link", "-o", folder / "trainer", f"--dump-phases={folder / 'dump'}")
        for number in range(1, code + 1):
            links = self.every_link or number in (code, 1 + index % (code - 1))
            errors += self.stop_and_go(run, folder, number, links)
        return errors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("contraflow", "models", "work"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--every-link", action="store_true")
    options = parser.parse_args()
    check = Check(options.contraflow, pathlib.Path(options.work), options.every_link)
    runs = sorted(pathlib.Path(options.models).glob("*/*.json"))
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        errors = [error for result in pool.map(check.check, range(len(runs)), runs)
                  for error in result]
    print("\n".join(errors))
    print(f"{len(runs)} run files, {len(check.phases)} phases, {len(errors)} failures")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
