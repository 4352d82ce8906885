#!/usr/bin/env python3
"""Checks that the paths of ours which the documents name in backticks exist.

usage: doc_paths.py SOURCE_DIR
       doc_paths.py --self-test

README.md, CONTRIBUTING.md and docs/*.md are read. A path of ours starts with src, docs, tests, bench, scripts, cmake or a
directory of src/, or is a source file named with a directory, as in `http/connection.cc`. `*` stands for a part of a
name; words in capitals and "thing" stand for names to be chosen, so such paths are not looked for.
"""

import fnmatch
import glob
import os
import re
import sys
import tempfile

TOP = {"src", "docs", "tests", "bench", "scripts", "cmake"}
QUOTED = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"[\w.*-]+(/[\w.*-]+)+/?|(" + "|".join(sorted(TOP)) + r")/")
SOURCE_FILE = re.compile(r"\.(h|cc)$")
PLACEHOLDER = re.compile(r"(^|[/_])(NAME|NNN|thing)([/_.-]|$)|[/_]thing")


def files_below(folder: str) -> list:
    return [os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names]


class Tree:
    """What there is below a source directory."""

    def __init__(self, root: str):
        self.root = root
        source = os.path.join(root, "src")
        self.directories = {entry for entry in os.listdir(source) if os.path.isdir(os.path.join(source, entry))}
        self.sources = files_below(source)

    def is_ours(self, path: str) -> bool:
        first = path.split("/")[0]
        return first in TOP or first in self.directories or SOURCE_FILE.search(path) is not None

    def has(self, path: str) -> bool:
        if glob.glob(os.path.join(self.root, path)) or glob.glob(os.path.join(self.root, "src", path)):
            return True
        if path.split("/")[0] in TOP | self.directories:
            return False
        return any(fnmatch.fnmatch("/" + source, "*/" + path) for source in self.sources)


def check_text(text: str, name: str, tree: Tree) -> list:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for quoted in QUOTED.findall(line):
            path = quoted.split()[0] if quoted.split() else ""
            if not PATH.fullmatch(path) or PLACEHOLDER.search(path) or not tree.is_ours(path):
                continue
            if not tree.has(path):
                found.append(f"{name}:{number}: there is no {path}")
    return found


def check_tree(root: str) -> list:
    tree = Tree(root)
    found = []
    documents = ["README.md", "CONTRIBUTING.md", *sorted(glob.glob("docs/*.md", root_dir=root))]
    for name in documents:
        path = os.path.join(root, name)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                found += check_text(file.read(), name, tree)
    return found


SELF_TEST_FILES = ["src/base/a.h", "src/server/http/b.cc", "docs/page.md", "scripts/build", "tests/lint/c.py"]
SELF_TEST = [
    # (text, how many objections)
    ("`src/base/a.h` `src/server/http/` `base/a.h` `http/b.cc` `docs/page.md` `scripts/build --target X`", 0),
    ("`src/base/b.h`", 1),
    ("`base/b.h` and `server/grpc`", 2),
    ("`http/a.cc`", 1),
    ("`scripts/bilud NAME`", 1),
    ("`server/http/*.cc` `base/*.h`", 0),
    ("`base/*.cc`", 1),
    ("`src/NAME/CMakeLists.txt` `tests/unit/NAME/thing_test.cc` `tests/e2e/test_thing.py`", 0),
    ("`build/bin/x` `/v2/models/a` `a/b` `text/plain` src/missing.h", 0),
    ("first\n`tests/lint/d.py`", 1),
]


def self_test() -> int:
    failures = 0
    for text, expected in SELF_TEST:
        with tempfile.TemporaryDirectory() as root:
            for name in SELF_TEST_FILES:
                os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
                with open(os.path.join(root, name), "w", encoding="utf-8") as file:
                    file.write(text if name == "docs/page.md" else "\n")
            objections = check_tree(root)
            if len(objections) != expected:
                failures += 1
                print(f"{text!r}: expected {expected} objections, got {objections}")
    return 1 if failures else 0


def main() -> int:
    if sys.argv[1] == "--self-test":
        return self_test()
    found = check_tree(sys.argv[1])
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
