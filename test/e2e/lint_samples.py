#!/usr/bin/env python3
"""Copies the lints into a tree of files with one mistake each and prints what they find.

usage: lint_samples.py FOLDER
"""
import json
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BANNER = "//===- {name} - a sample ---===//\n// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception\n"
LONG = "void longFunction() {\n" + "  step();\n" * 130 + "}\n"
SAMPLES = {
    "runtime/base/Thrown.cpp": "void f() {\n  (void)verify(1);\n  (void)unused;\n}\n",
    "runtime/base/Named.cpp": "int attentionMask;\nint smoes;\n",
    "runtime/base/Includes.cpp": '#include "mlir/IR/Value.h"\n',
    "runtime/base/Layout.cpp": "int  x ;\n",
    "runtime/base/BadName.cpp": "int Bad_Name = 3;\n",
    "passes/memory/Long.cpp": LONG,
    "passes/memory/TestPass.cpp": "int x;\n",
    "passes/memory/Asserted.cpp": "void f() { assert(succeeded(verify())); }\n// TODO: later\n",
    "compiler/tools/tool.cpp": "int x;\n" * 50,
    "compiler/tools/contraflow-opt.cpp": '#include "runtime/abi/Header.h"\n',
    "runtime/abi/Header.h": "struct lower_case {};\n",
    "test/lit/Passes/issue_402.mlir": "// RUN: contraflow-opt %s\n// CHEKC: x\n",
    "test/lit/Passes/errors.mlir": "// RUN: not contraflow-opt %s 2>&1 | FileCheck %s\n// CHECK: %0 = nn.add\n",
    "test/e2e/bare.test": "RUN: true | FileCheck %s\nCHECK-NEXT foo\nCHECK: foo\nOTHER: bar\n",
    "README.md": "see `passes/nowhere`\n",
    "dialects/bare/BareDialect.td": BANNER.format(name="BareDialect.td"),
}


def build(folder):
    shutil.copytree(ROOT / "test/lint", folder / "test/lint")
    for name in (".clang-format", ".clang-tidy"):
        shutil.copy(ROOT / name, folder)
    for name, text in SAMPLES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        banner = BANNER.format(name=path.name) if path.suffix in (".cpp", ".h") else ""
        path.write_text(banner + text)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    sources = [folder / name for name in ("runtime/base/BadName.cpp", "compiler/tools/contraflow-opt.cpp")]
    commands = [{"directory": str(folder), "file": str(s), "command": f"clang++-22 -std=c++20 -I{folder} -c {s}"}
                for s in sources]
    (folder / "compile_commands.json").write_text(json.dumps(commands))


def git(folder, *arguments):
    identity = ["-c", "user.name=x", "-c", "user.email=x", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True)


def commit(folder, name):
    (folder / name).write_text("")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", name)


def edited(folder):
    """What check_tidy.py takes for edited."""
    program = "import check_tidy\nfor p in sorted(check_tidy.changed()): print(p.relative_to(check_tidy.ROOT))"
    subprocess.run([sys.executable, "-B", "-c", program], cwd=folder / "test/lint", check=True)


def show_edited(folder):
    shutil.rmtree(folder / "test/lint/__pycache__", ignore_errors=True)
    git(folder, "checkout", "-q", "-B", "main")
    commit(folder, "first.cpp")
    commit(folder, "second.cpp")
    print("edited on main:", flush=True)
    edited(folder)
    git(folder, "checkout", "-q", "-b", "topic")
    commit(folder, "third.cpp")
    commit(folder, "fourth.cpp")
    print("edited in a clone of a branch:", flush=True)
    git(folder, "clone", "-q", "-b", "topic", str(folder), str(folder / "clone"))
    edited(folder / "clone")


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    build(folder)
    for name in ("directives", "docs", "format", "includes", "lengths", "names", "tidy"):
        script = folder / "test/lint" / f"check_{name}.py"
        result = subprocess.run([sys.executable, str(script), "--build", str(folder)], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        print(f"{name}: exit status {result.returncode}\n{result.stdout}", end="")
    show_edited(folder)


main()
