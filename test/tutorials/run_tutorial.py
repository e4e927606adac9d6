#!/usr/bin/env python3
"""Runs documents: their fenced blocks, from top to bottom, in a copy of the tree.

usage: run_tutorial.py --build DIR --work DIR [--rebuild] [--timeout N] DOCUMENT.md...

What stands behind the opening fence, which no page shows, says what a block is:

    ```sh                     commands; bash -e runs them, in the folder where the block before ended
    ```sh fails               the last command must fail
    ```sh NAME=VALUE          the line that assigns NAME assigns VALUE instead: sizes for a test
    ```sh skip="reason"       not run; the reason is printed and counted
    ```text                   what the commands before it print: these lines in this order. `...` is any text, in a
                              line or instead of lines
    ```text like              the same, and a number stands for any number
    ```LANGUAGE file=PATH     the file, whole
    ```diff file=PATH         an edit of the file: the lines with ' ' and '-' stand in it once, and are replaced by
                              those with ' ' and '+'

Where the environment has CONTRAFLOW_TOOLS, as at level `checked` of test/run.py, trainers check their memory.

Other blocks are not allowed: nobody would notice when they become wrong. All documents share the copy. Its
build/release is the build of the tree, or with --rebuild one that compiles what documents change (CMakeLists.txt here).
"""
import argparse
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FENCE = re.compile(r"^```(\S*)[ \t]*(.*?)\n(.*?)^```$", re.M | re.S)
# A function comes before whatever a document does to PATH.
CHECKED = f'contraflow() {{ "{ROOT}/test/e2e/checked/contraflow" "$@"; }}\n' if "CONTRAFLOW_TOOLS" in os.environ else ""
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


class Failure(Exception):
    pass


class Block:
    def __init__(self, path, text, match):
        self.place = f"{path}:{text[:match.start()].count(chr(10)) + 1}"
        self.language, self.text = match.group(1), match.group(3)
        self.flags, self.values = set(), {}
        for word in shlex.split(match.group(2)):
            name, equals, value = word.partition("=")
            if equals:
                self.values[name] = value
            else:
                self.flags.add(name)


def read_blocks(path):
    text = path.read_text()
    return [Block(os.path.relpath(path, ROOT), text, match) for match in FENCE.finditer(text)]


def copy_tree(target):
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True, check=True,
                             stdout=subprocess.PIPE).stdout
    for name in listing.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def make_build(target, build, rebuild):
    folder = target / "build/release"
    folder.parent.mkdir(parents=True)
    if not rebuild:
        folder.symlink_to(build)
        return
    result = subprocess.run(["cmake", "-S", HERE, "-B", folder, "-G", "Ninja", f"-DCOPY={target}", f"-DBUILT={build}"],
                            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode:
        raise Failure(result.stdout)


def to_pattern(line, like):
    parts = [NUMBER.sub("\0", part) if like else part for part in re.sub(r"\s+", " ", line.strip()).split("...")]
    number = NUMBER.pattern.replace("(?:", "(?:")
    return ".*".join(re.escape(part).replace(re.escape("\0"), number).replace("\0", number) for part in parts)


def check_output(block, output):
    """Expected lines in order; others may stand between them only where `...` stands alone."""
    lines = [re.sub(r"\s+", " ", line.strip()) for line in output.splitlines() if line.strip()]
    at, anywhere = 0, True
    for line in filter(str.strip, block.text.splitlines()):
        if line.strip() == "...":
            anywhere = True
            continue
        pattern = re.compile(to_pattern(line, "like" in block.flags))
        found = next((i for i in range(at, len(lines)) if pattern.fullmatch(lines[i])), None)
        if found is None or (not anywhere and found != at):
            raise Failure(f"expected '{line.strip()}', found:\n{output[-6000:]}")
        at, anywhere = found + 1, False


class Runner:
    def __init__(self, work, tree, timeout):
        self.tree, self.timeout, self.script = tree, timeout, work / "block.sh"
        self.state, self.folder = work / "environment.sh", tree
        # python3 is the one that NumPy was installed for.
        (work / "bin").mkdir(exist_ok=True)
        (work / "bin/python3").unlink(missing_ok=True)
        (work / "bin/python3").symlink_to(sys.executable)
        path = [str(work / "bin"), str(tree / "build/release/bin"), os.environ["PATH"]]
        self.environment = dict(os.environ, PATH=os.pathsep.join(path))
        self.commands = self.skipped = 0
        self.output = None

    def run(self, block):
        if "skip" in block.values:
            print(f"{block.place}: skipped: {block.values['skip']}")
            self.skipped += 1
            self.output = None
            return
        text = block.text
        for name, value in block.values.items():
            line = f"{name}={shlex.quote(value)}"
            text, count = re.subn(rf"^{name}=.*$", lambda _: line, text, flags=re.M)
            if count != 1:
                raise Failure(f"{count} lines assign {name}")
        # Variables and the folder outlive a block, as they do in the reader's shell.
        self.script.write_text(f"set -a\n{CHECKED}[ ! -f {self.state} ] || . {self.state} 2>/dev/null\nset -e\n{text}\n"
                               f"export -p > {self.state}\npwd > {self.state}.pwd\n")
        status, self.output = self.execute()
        if (status != 0) != ("fails" in block.flags):
            raise Failure(f"exit status {status}:\n{self.output[-6000:]}")
        if status == 0:
            self.folder = pathlib.Path(pathlib.Path(f"{self.state}.pwd").read_text().strip())
        self.commands += 1

    def execute(self):
        """Exit status and output of the script, which ends in time with all that it started."""
        process = subprocess.Popen(["bash", str(self.script)], cwd=self.folder, env=self.environment, text=True,
                                   errors="replace", start_new_session=True, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            output, _ = process.communicate(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            raise Failure(f"did not end within {self.timeout} seconds:\n{output[-6000:]}")
        return process.returncode, output

    def edit(self, block):
        path = self.folder / block.values["file"]
        lines = [line or " " for line in block.text.splitlines()]
        wrong = [line for line in lines if line[0] not in " -+"]
        if wrong:
            raise Failure(f"a line of a diff begins with ' ', '-' or '+', found '{wrong[0]}'")
        old = "".join(line[1:].rstrip() + "\n" for line in lines if line[0] != "+")
        new = "".join(line[1:].rstrip() + "\n" for line in lines if line[0] != "-")
        text = path.read_text()
        count = ("\n" + text).count("\n" + old)
        if count != 1:
            raise Failure(f"the old lines occur {count} times in {block.values['file']}")
        path.write_text(("\n" + text).replace("\n" + old, "\n" + new, 1)[1:])

    def perform(self, block):
        if block.language == "sh":
            self.run(block)
        elif block.language == "diff" and "file" in block.values:
            self.edit(block)
        elif "file" in block.values:
            path = self.folder / block.values["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.language == "text":
            if self.output is not None:
                check_output(block, self.output)
        else:
            raise Failure(f"a block of '{block.language}' is neither commands nor their output nor a file")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--rebuild", action="store_true")
    parser.add_argument("--timeout", type=int, default=600, help="seconds of a block (default: 600)")
    parser.add_argument("documents", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    work = options.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    tree = work / "tree"
    copy_tree(tree)
    block = None
    try:
        make_build(tree, options.build.resolve(), options.rebuild)
        for document in options.documents:
            path = pathlib.Path(os.path.relpath(document, ROOT))
            runner = Runner(work, tree, options.timeout)
            for block in read_blocks(document):
                runner.perform(block)
            (work / "environment.sh").unlink(missing_ok=True)
            print(f"{path}: {runner.commands} blocks of commands ran, {runner.skipped} skipped")
    except (Failure, OSError) as failure:
        print(f"{block.place if block else 'copy of the tree'}: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
