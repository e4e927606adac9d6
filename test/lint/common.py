"""Shared by the lints: the files of the tree, and how a finding is reported."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def tracked(*suffixes):
    """Files that git knows or would add, with one of the suffixes."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True, check=True,
                             stdout=subprocess.PIPE).stdout
    paths = [ROOT / line for line in listing.splitlines()]
    return [p for p in paths if p.is_file() and (not suffixes or p.suffix in suffixes)]


def finish(findings):
    for finding in findings:
        print(finding)
    sys.exit(1 if findings else 0)


def where(path, number):
    return f"{path.relative_to(ROOT)}:{number}"
