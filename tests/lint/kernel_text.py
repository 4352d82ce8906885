#!/usr/bin/env python3
"""Checks that the text of our kernels, which the programs carry, was made from the kernels' present source.

usage: kernel_text.py SOURCE_DIR
       kernel_text.py --self-test
       kernel_text.py --digest FILE...

A header *_ptx.h names the files beside it that it was made from and their digest: sha256 of all that is in them but
comments and white space. scripts/kernels-ptx writes it.
"""

import glob
import hashlib
import os
import re
import sys
import tempfile

MADE_FROM = re.compile(r"^// Of ((?:[\w.]+ )+)with digest ([0-9a-f]{64})\.$", re.MULTILINE)


def digest_of(paths: list) -> str:
    text = ""
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text += file.read()
    return hashlib.sha256(re.sub(r"\s", "", re.sub(r"//.*", "", text)).encode()).hexdigest()


def problems_in(folder: str) -> list:
    found = []
    headers = glob.glob(os.path.join(folder, "**", "*_ptx.h"), recursive=True)
    for header in headers:
        with open(header, encoding="utf-8") as file:
            made = MADE_FROM.search(file.read())
        if made is None:
            found.append(f"{header}: does not say what it was made from: run scripts/kernels-ptx")
            continue
        sources = [os.path.join(os.path.dirname(header), name) for name in made[1].split()]
        if not all(os.path.exists(source) for source in sources) or digest_of(sources) != made[2]:
            found.append(f"{header}: was made from another {made[1].strip()}: run scripts/kernels-ptx")
    return found if headers else [f"{folder}: no header *_ptx.h"]


def self_test() -> int:
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "k.cu")
        header = os.path.join(folder, "k_ptx.h")

        def write(path: str, text: str) -> None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)

        write(source, "int one;  // a comment\n")
        write(header, "// nothing\n")
        missing = problems_in(folder)
        write(header, f"// Of k.cu with digest {digest_of([source])}.\n")
        fresh = problems_in(folder)
        write(source, "int\n  one;\n")
        same = problems_in(folder)
        write(source, "int two;\n")
        stale = problems_in(folder)
    good = len(missing) == 1 and not fresh and not same and len(stale) == 1
    print("finds them" if good else "finds too much or too little")
    return 0 if good else 1


def main() -> int:
    if sys.argv[1] == "--self-test":
        return self_test()
    if sys.argv[1] == "--digest":
        print(digest_of(sys.argv[2:]))
        return 0
    problems = [problem for top in ("src", "tests") for problem in problems_in(os.path.join(sys.argv[1], top))]
    print("\n".join(problems) if problems else "kernels are carried as they are")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
