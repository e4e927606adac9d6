#!/usr/bin/env python3
"""Plants errors in run files, configurations, graphs, text, checkpoints and command lines, and looks at what is said.

usage: planted_errors.py [--filter REGEX] [--verbose] [--sanitizers NAMES]

The list is in test/e2e/planted. Each error gets its message with the right place and key, and the right exit status; no
file is changed, made or lost. At the end every row of the error tables must have been seen, here or in the test that
ELSEWHERE names. Programs with sanitizers reserve more addresses than a limit lets them: errors of such limits are left
out.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "test/e2e/planted"), str(ROOT / "compiler/errors")]
import catalogue  # noqa: E402
import commands  # noqa: E402,F401
import configs  # noqa: E402,F401
import dumps  # noqa: E402,F401
import graphs  # noqa: E402,F401
import run_files  # noqa: E402,F401
import trainers  # noqa: E402,F401
from cases import CASES  # noqa: E402
from elsewhere import ELSEWHERE  # noqa: E402

TEXT = "".join(f"int function_{i}(int x) {{ return x + {i}; }}\n" for i in range(200))


def apply(base, edits, name):
    """The edited text, and the place of `^` in it as file:line:column."""
    if isinstance(edits, (str, bytes)):
        return edits, ""
    for old, new in edits:
        assert base.count(old) >= 1, f"{name} has no {old!r}"
        base = base.replace(old, new, 1)
    at = base.find("^")
    if at < 0:
        return base, ""
    before = base[:at].encode()
    line = before.count(b"\n") + 1
    return base[:at] + base[at + 1:], f"{name}:{line}:{len(before) - before.rfind(bytes([10]))}"


def split_config(run):
    """nano.json with its configuration in a file of its own."""
    begin = run.index("{", run.index('"model"'))
    end = run.index("  },\n", begin) + 3
    return run[:begin] + '"config.json"' + run[end:], run[begin:end].replace("\n  ", "\n") + "\n"


def write_files(case, folder, tensors):
    """Writes the files of a case; the place where its error is expected."""
    base = (ROOT / case.base).read_text()
    places = []
    if case.config is not None:
        base, config = split_config(base)
        config, place = apply(config, case.config, "config.json")
        places.append(place)
        (folder / "config.json").write_text(config)
    run, place = apply(base, case.run, "run.json")
    places.append(place)
    (folder / "run.json").write_bytes(run if isinstance(run, bytes) else run.encode())
    source = (ROOT / case.base).with_name("model.mlir").read_text()
    model, place = apply(source, case.model if case.model is not None else [], "model.mlir")
    places.append(place)
    (folder / "model.mlir").write_text(model)
    (folder / "text").mkdir()
    (folder / "text/a.txt").write_text(TEXT)
    for name, content in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content(tensors) if callable(content) else content)
    for name, target in case.links.items():
        (folder / name).symlink_to(target)
    return case.place or next((place for place in places if place), "")


def snapshot(folder):
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


class Suite:
    def __init__(self, scratch):
        self.scratch = scratch
        self.tensors = scratch / "tensors.safetensors"

    def prepare(self):
        """A trainer, one that needs more memory, and the tensors of two steps."""
        (self.scratch / "text").mkdir()
        (self.scratch / "text/a.txt").write_text(TEXT)
        run = ROOT / "models/deepseek-v3/nano.json"
        for name, sizes in (("trainer", trainers.SMALL), ("large", [*trainers.SMALL, "model.vocab_size=20000"])):
            subprocess.run(["contraflow", "compile", run, "-o", self.scratch / name, "--set", *sizes], check=True)
        subprocess.run([self.scratch / "trainer", *trainers.TRAIN.split()[:1], "--data", "text", "--steps", "2",
                        "--threads", "1",
                        "--sample-length", "0", "--checkpoint", "checkpoint"], cwd=self.scratch, check=True,
                       stdout=subprocess.DEVNULL)
        found = sorted((self.scratch / "checkpoint").rglob("model.safetensors"))
        shutil.copy(found[-1], self.tensors)

    def run(self, case):
        """What is wrong, and what was printed."""
        with tempfile.TemporaryDirectory(dir=self.scratch) as name:
            folder = pathlib.Path(name)
            place = write_files(case, folder, self.tensors)
            before = snapshot(folder)
            paths = {"trainer": self.scratch / "trainer", "large": self.scratch / "large"}
            command = f"{case.program.format(**paths)} {case.command}"
            shell = case.shell.replace("{command}", command).replace("{trainer}", str(paths["trainer"]))
            result = subprocess.run(["bash", "-c", shell], cwd=folder, text=True, errors="replace",
                                    stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)
            after = {path: content for path, content in snapshot(folder).items() if path.split("/")[0] not in case.made}
        return self.judge(case, place, result, before, after), result.stderr

    def judge(self, case, place, result, before, after):
        lines = result.stderr.splitlines()
        text = f"{case.kind}: {case.message}"

        def matches(line):
            # A place may end before the column where that is the parser's own.
            return line.startswith(place) and text in line if case.prefix else line == f"{place}: {text}"

        problems = [] if any(map(matches, lines)) else [f"expected '{place}: {text}'"]
        problems += [f"expected '{line}'" for line in case.also if line not in lines]
        if result.returncode != case.status:
            problems.append(f"exit status {result.returncode}, expected {case.status}")
        if before != after:
            changed = [path for path in {*before, *after} if before.get(path) != after.get(path)]
            problems.append(f"changed {', '.join(sorted(changed))}")
        return problems


def report_unseen(output, left_out):
    """Rows of the tables that no message came from, and none would have come from what was left out."""
    lines = [line for line in output.splitlines() if len(line) < 1000]
    problems = 0
    for table in catalogue.TABLES:
        for entry in catalogue.read_table(table):
            key = f"{table}.{entry.name}"
            test = ELSEWHERE.get(key)
            pattern = entry.pattern()
            seen = any(pattern.search(line) for line in lines)
            seen = seen or any(entry.text.startswith(case.message) or pattern.search(case.message) for case in left_out)
            if isinstance(test, tuple):
                seen = test[1] in (ROOT / test[0]).read_text()
            if not seen and not isinstance(test, str):
                print(f"nothing reaches {key}: {entry.text}")
                problems += 1
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", default="")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--sanitizers", default="", help="what the programs were built with")
    options = parser.parse_args()
    cases = [case for case in CASES if re.search(options.filter, f"{case.category} {case.message}")]
    left_out = [case for case in cases if options.sanitizers and re.search("ulimit -[vn]", case.shell)]
    cases = [case for case in cases if case not in left_out]
    failed, output = 0, []
    with tempfile.TemporaryDirectory() as name:
        suite = Suite(pathlib.Path(name))
        suite.prepare()
        with concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            for number, (case, (problems, text)) in enumerate(zip(cases, pool.map(suite.run, cases))):
                output.append(text)
                failed += bool(problems)
                if problems or options.verbose:
                    print(f"{'FAILED' if problems else 'ok'} {number} {case.category}: {case.message}")
                    print("".join(f"  {problem}\n" for problem in problems), end="")
                    print("".join(f"  | {line}\n" for line in text.splitlines()))
    unseen = 0 if options.filter else report_unseen("\n".join(output), left_out)
    print(f"{len(cases)} planted errors, {failed} not as expected, {unseen} rows of the tables not reached")
    sys.exit(1 if failed or unseen else 0)


if __name__ == "__main__":
    main()
